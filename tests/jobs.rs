//! Jobs that outlive a connection, as clients meet them: accepted, run once, kept, whatever dies meanwhile.

mod kit;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use kit::{Answer, HostInventory, Lineage, MOMENT, Role, Service, family, firebox};
use serde_json::{Value, json};

/// When nothing of a job is left any more that was cancelled.
const GONE_WITHIN: Duration = Duration::from_millis(100);

fn bash(code: &str) -> Value {
    json!({"lang": "bash", "code": code})
}

/// A directory that outlives the services that use it.
struct State(tempfile::TempDir);

impl State {
    fn new() -> State {
        let directory = kit::temp_dir();
        if let Some(user) = kit::OrdinaryUser::where_nobody_is_named() {
            std::os::unix::fs::chown(directory.path(), Some(user.uid), Some(user.uid)).expect("it can be given away");
        }
        State(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn serve(&self, words: &[&str]) -> Service {
        let call = firebox().env("FIREBOX_STATE", self.path().join("state"));
        Service::of(call.args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash"]).args(words).start())
    }
}

fn submit(service: &Service, job: &Value) -> String {
    let answer = service.post("/v1/jobs", job.to_string()).answer();
    assert_eq!(answer.code, 202, "{answer:?}");
    id(&answer.json())
}

fn id(job: &Value) -> String {
    job["id"].as_str().unwrap_or_else(|| panic!("no id: {job}")).to_owned()
}

fn look(service: &Service, id: &str) -> Value {
    let answer = service.get(&format!("/v1/jobs/{id}")).answer();
    assert_eq!(answer.code, 200, "{answer:?}");
    answer.json()
}

/// Returns the job when it has ended.
fn ended(service: &Service, id: &str) -> Value {
    let until = Instant::now() + MOMENT;
    loop {
        let answer = service.get(&format!("/v1/jobs/{id}?wait=20s")).answer();
        let job = answer.json();
        if !matches!(job["status"].as_str(), Some("queued" | "running")) {
            return job;
        }
        assert!(Instant::now() < until, "it does not end: {job}");
    }
}

fn wait_for_status(service: &Service, id: &str, status: &str) {
    let until = Instant::now() + MOMENT;
    loop {
        let job = look(service, id);
        if job["status"] == status {
            return;
        }
        assert!(Instant::now() < until, "it is not {status}: {job}");
    }
}

/// Events as `(id, name, data)`.
fn events(answer: &Answer) -> Vec<(i64, String, Value)> {
    let mut events = Vec::new();
    for event in answer.body.split("\n\n").filter(|event| event.contains("data: ")) {
        let field = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{event:?}"));
            line.trim().to_owned()
        };
        let data = serde_json::from_str(&field("data:")).unwrap_or_else(|error| panic!("{error}: {event:?}"));
        events.push((field("id:").parse().expect("a number"), field("event:"), data));
    }
    events
}

fn names(events: &[(i64, String, Value)]) -> Vec<String> {
    events
        .iter()
        .map(|(_, name, data)| match name.as_str() {
            "status" => data["status"].as_str().expect("a status").to_owned(),
            other => other.to_owned(),
        })
        .collect()
}

#[test]
fn a_job_is_accepted_at_once_and_its_outcome_is_there_later() {
    let host = HostInventory::take();
    let service = State::new();
    let service = service.serve(&[]);
    for prefix in ["/v1/jobs", "/api/v1/jobs"] {
        let job = json!({"trace_id": "mine", "lang": "sh", "code": "echo hello; echo no >&2; exit 3", "steps": true});
        let answer = service.post(prefix, job.to_string()).answer();
        assert_eq!(answer.code, 202, "{answer:?}");
        let accepted = answer.json();
        let id = id(&accepted);
        assert_eq!((&accepted["status"], &accepted["trace_id"]), (&"queued".into(), &"mine".into()), "{accepted}");
        assert!(answer.headers.contains(&format!("location: {prefix}/{id}")), "{answer:?}");
        assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
        let job = ended(&service, &id);
        assert_eq!(
            (&job["status"], &job["attempts"], &job["lang"]),
            (&"done".into(), &1.into(), &"bash".into()),
            "{job}"
        );
        let outcome = &job["outcome"];
        assert_eq!(
            (&outcome["stdout"], &outcome["stderr"], &outcome["exit_code"], &outcome["status"], &outcome["trace_id"]),
            (&"hello\n".into(), &"no\n".into(), &3.into(), &"runtime_error".into(), &"mine".into()),
            "{job}"
        );
        assert!(outcome["steps"].is_array() && outcome["timing_ms"]["queue"].as_f64() > Some(0.0), "{job}");
        let told = service.get(&format!("{prefix}/{id}/events")).answer();
        let told = events(&told);
        assert_eq!(names(&told)[..2], ["queued", "running"], "{told:?}");
        assert_eq!(names(&told)[names(&told).len() - 2..], ["done", "outcome"], "{told:?}");
        assert!(told.iter().any(|(_, _, data)| data["stream"] == "stdout" && data["text"] == "hello\n"), "{told:?}");
        assert_eq!(&told[told.len() - 1].2, outcome);
    }
    // Ids have nothing in common.
    let ids: HashSet<String> = (0..20).map(|_| submit(&service, &bash("true"))).collect();
    assert_eq!(ids.len(), 20);
    ids.iter().for_each(|id| drop(ended(&service, id)));
    let metrics = service.get("/metrics").answer().body;
    assert!(metrics.contains(r#"firebox_jobs_kept{status="done"} 22"#), "{metrics}");
    let ended = service.stop();
    assert!(ended.stderr().contains(r#""trace_id":"mine""#) && !ended.stderr().contains("hello"), "{ended}");
    host.assert_nothing_left();
}

#[test]
fn what_is_refused_is_told_and_not_kept() {
    let state = State::new();
    let service = state.serve(&["--jobs-queue", "3"]);
    for (path, body, code, word, field) in [
        ("/v1/jobs", r#"{"lang": "bash", "code": 5}"#, 400, "malformed", json!("code")),
        ("/v1/jobs", r#"{"lang": "bash", "code": "x", "cod": 1}"#, 400, "malformed", json!("cod")),
        ("/v1/jobs", r#"[]"#, 400, "malformed", Value::Null),
        ("/v1/jobs", r#"{"lang": "bahs", "code": "x"}"#, 404, "unknown_language", json!("lang")),
        ("/v1/jobs", r#"{"lang": "bash", "code": "x", "timeout": 601}"#, 422, "limit_above_ceiling", json!("timeout")),
        ("/v1/jobs/batch", r#"{"jobs": []}"#, 400, "malformed", json!("jobs")),
        ("/v1/jobs/batch", r#"{"jobs": [{"lang": "bash", "code": "x"}], "x": 1}"#, 400, "malformed", json!("x")),
        ("/v1/jobs?a=b", r#"{"lang": "bash", "code": "x"}"#, 400, "malformed", json!("a")),
    ] {
        let answer = service.post(path, body).answer();
        let error = answer.json()["error"].clone();
        assert_eq!((answer.code, &error["code"], &error["field"]), (code, &word.into(), &field), "{body}: {answer:?}");
    }
    for query in ["status=ok", "limit=0", "limit=x", "after=garbage", "after=AQ", "after=%00", "x=1", "limit=1&limit=2"]
    {
        let answer = service.get(&format!("/v1/jobs?{query}")).answer();
        assert_eq!((answer.code, &answer.json()["error"]["code"]), (400, &"malformed".into()), "{query}: {answer:?}");
    }
    for id in ["0", "00000000000000000000000000000000", "..%2f..%2fetc", "%27%20OR%201=1", &"f".repeat(5000)] {
        for path in [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/events")] {
            let answer = service.get(&path).answer();
            assert_eq!((answer.code, &answer.json()["error"]["code"]), (404, &"not_found".into()), "{answer:?}");
        }
        let answer = service.get(&format!("/v1/jobs/{id}")).with(&["--request", "DELETE"]).answer();
        assert_eq!(answer.code, 404, "{answer:?}");
    }
    let id = submit(&service, &bash("sleep 100"));
    for wait in ["61s", "-1", "x"] {
        assert_eq!(service.get(&format!("/v1/jobs/{id}?wait={wait}")).answer().code, 400, "{wait}");
    }
    for last in ["-1", "x", "99999999999999999999"] {
        let header = format!("last-event-id: {last}");
        let answer = service.get(&format!("/v1/jobs/{id}/events")).with(&["--header", &header]).answer();
        assert_eq!(answer.code, 400, "{last}: {answer:?}");
    }
    service.get(&format!("/v1/jobs/{id}")).with(&["--request", "DELETE"]).answer();
    assert_eq!(service.get("/v1/jobs").answer().json()["jobs"].as_array().map(Vec::len), Some(1));
    service.stop();
}

#[test]
fn a_batch_is_accepted_whole_or_not_at_all() {
    let state = State::new();
    let service = state.serve(&["--running", "1", "--jobs-queue", "1500"]);
    let batch = |jobs: Vec<Value>| service.post("/v1/jobs/batch", json!({"jobs": jobs}).to_string()).answer();
    let mut jobs: Vec<Value> = (0..1000).map(|number| bash(&format!("echo {number}"))).collect();
    let wrong = batch(jobs.iter().cloned().chain([bash("one too many")]).collect());
    assert_eq!((wrong.code, &wrong.json()["error"]["field"]), (400, &"jobs".into()), "{wrong:?}");
    (jobs[3], jobs[700]) = (bash(""), json!({"lang": "bahs", "code": "x"}));
    let wrong = batch(jobs.clone());
    let told = wrong.json();
    assert_eq!((wrong.code, &told["error"]["field"]), (400, &"jobs[3].code".into()), "{wrong:?}");
    let each: Vec<_> = told["refused"].as_array().expect("a list").iter().map(|one| one["index"].as_u64()).collect();
    assert_eq!(each, [Some(3), Some(700)]);
    assert_eq!(told["refused"][1]["error"]["code"], "unknown_language");
    assert_eq!(service.get("/v1/jobs").answer().json()["jobs"], json!([]));
    (jobs[3], jobs[700]) = (bash("sleep 100"), bash("true"));
    jobs[0] = bash("sleep 100");
    let accepted = batch(jobs.clone());
    assert_eq!(accepted.code, 202, "{}", accepted.body);
    let ids: Vec<String> = accepted.json()["jobs"].as_array().expect("a list").iter().map(id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1000);
    // There is no room for as many more.
    let full = batch(jobs);
    assert_eq!((full.code, &full.json()["error"]["code"]), (503, &"full".into()), "{}", full.body);
    assert!(full.headers.contains("retry-after: "), "{}", full.headers);
    // In pages, newest first, whatever comes meanwhile.
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = service.get(&format!("/v1/jobs?limit=300{after}")).answer().json();
        let jobs = page["jobs"].as_array().expect("a list").clone();
        assert!(jobs.iter().all(|job| job["outcome"].is_null()));
        seen.extend(jobs.iter().map(id));
        submit(&service, &bash("echo later"));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(seen.iter().eq(ids.iter().rev()), "{} of {}", seen.len(), ids.len());
    let running = service.get("/v1/jobs?status=running").answer().json();
    assert_eq!(running["jobs"].as_array().map(Vec::len), Some(1), "{running}");
    service.stop();
}

#[test]
fn the_same_key_is_the_same_job() {
    let state = State::new();
    let service = state.serve(&[]);
    let send = |path: &str, key: &str, body: &Value| {
        service.post(path, body.to_string()).with(&["--header", &format!("idempotency-key: {key}")])
    };
    let job = bash("echo once");
    let first = send("/v1/jobs", "a", &job).answer();
    let again = send("/v1/jobs", "a", &job).answer();
    assert_eq!((first.code, again.code, &first.body), (202, 202, &again.body));
    assert!(again.headers.contains("idempotency-replayed: true") && again.headers.contains("location: "), "{again:?}");
    for (path, body) in [("/v1/jobs", bash("echo twice")), ("/v1/jobs/batch", json!({"jobs": [job]}))] {
        let other = send(path, "a", &body).answer();
        assert_eq!((other.code, &other.json()["error"]["code"]), (422, &"idempotency_conflict".into()), "{other:?}");
    }
    let batch = json!({"jobs": [job, job]});
    let (first, again) = (send("/v1/jobs/batch", "b", &batch).answer(), send("/v1/jobs/batch", "b", &batch).answer());
    assert_eq!((first.code, &first.body), (202, &again.body));
    // Twins at the same moment.
    let twins: Vec<_> = (0..8).map(|_| send("/v1/jobs", "c", &job).start()).collect();
    let bodies: HashSet<String> = twins
        .into_iter()
        .map(|curl| String::from_utf8(curl.wait_with_output().expect("curl ends").stdout).expect("text"))
        .map(|said| said.rsplit_once("\r\n\r\n").expect("a body").1.to_owned())
        .collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let key = "x".repeat(256);
    for key in ["", &key, "é"] {
        assert_eq!(send("/v1/jobs", key, &job).answer().code, if key.is_empty() { 202 } else { 400 }, "{key}");
    }
    let all = service.get("/v1/jobs").answer().json()["jobs"].as_array().map(Vec::len);
    assert_eq!(all, Some(5));
    // And after a crash.
    let before = send("/v1/jobs", "d", &job).answer();
    service.kill();
    let service = state.serve(&[]);
    let again = service.post("/v1/jobs", job.to_string()).with(&["--header", "idempotency-key: d"]).answer();
    assert_eq!(before.body, again.body);
    service.stop();
}

#[test]
fn a_job_that_is_not_wanted_any_more_is_gone() {
    let host = HostInventory::take();
    let state = State::new();
    let service = state.serve(&["--running", "1", "--warm", "0"]);
    let steps = || family(service.call.pid(), Lineage::Jail).iter().filter(|member| member.role == Role::Step).count();
    let delete = |id: &str| service.get(&format!("/v1/jobs/{id}")).with(&["--request", "DELETE"]).answer();
    while steps() != 0 {}
    let without_a_job = host.left();
    let runs = submit(&service, &bash("echo begun; (sleep 100 &) ; sleep 100"));
    let waits = submit(&service, &bash("echo never"));
    let until = Instant::now() + MOMENT;
    while steps() < 3 {
        assert!(Instant::now() < until, "it does not run");
    }
    let job = delete(&waits).json();
    assert_eq!((&job["status"], &job["attempts"], &job["outcome"]), (&"cancelled".into(), &0.into(), &Value::Null));
    let told = names(&events(&service.get(&format!("/v1/jobs/{waits}/events")).answer()));
    assert_eq!(told, ["queued", "cancelled"]);
    let answer = delete(&runs);
    let gone = Instant::now();
    loop {
        let looked = Instant::now();
        let left: Vec<String> = host.left().into_iter().filter(|thing| !without_a_job.contains(thing)).collect();
        if left.is_empty() {
            break;
        }
        assert!(looked < gone + GONE_WITHIN, "left {GONE_WITHIN:?} after it was cancelled: {left:#?}");
    }
    let job = answer.json();
    assert_eq!((answer.code, &job["status"]), (200, &"cancelled".into()), "{job}");
    assert_eq!(
        (&job["outcome"]["status"], &job["outcome"]["stdout"]),
        (&"cancelled".into(), &"begun\n".into()),
        "{job}"
    );
    // What has ended stays as it is.
    assert_eq!(delete(&runs).json(), job);
    let done = submit(&service, &bash("echo done"));
    let done = ended(&service, &done);
    assert_eq!(delete(&id(&done)).json(), done);
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn what_happens_to_a_job_is_told_from_where_a_client_left_off() {
    let state = State::new();
    let service = state.serve(&[]);
    let id = submit(&service, &bash("for i in 1 2 3 4; do echo $i; sleep 0.4; done; printf '\\xff'; echo end >&2"));
    let path = format!("/v1/jobs/{id}/events");
    // While it runs, from its beginning to its end.
    let whole = events(&service.get(&path).answer());
    assert_eq!(names(&whole)[..2], ["queued", "running"], "{whole:?}");
    assert_eq!(whole[whole.len() - 1].1, "outcome", "{whole:?}");
    assert!(whole.iter().map(|event| event.0).eq(1..=whole.len() as i64), "{whole:?}");
    let text: String = whole
        .iter()
        .filter_map(|(_, _, data)| if data["stream"] == "stdout" { data["text"].as_str() } else { None })
        .collect();
    assert_eq!(text, "1\n2\n3\n4\n", "{whole:?}");
    assert!(whole.iter().filter(|event| event.1 == "output").count() >= 4, "it came all at once: {whole:?}");
    let from = |service: &Service, last: i64| {
        service.get(&path).with(&["--header", &format!("last-event-id: {last}")]).answer()
    };
    for last in 0..whole.len() {
        assert_eq!(events(&from(&service, last as i64)), whole[last..], "from {last}");
    }
    // Who has heard it all is told not to come back.
    assert_eq!(from(&service, whole.len() as i64).code, 204);
    service.kill();
    let service = state.serve(&[]);
    assert_eq!(events(&from(&service, 3)), whole[3..]);
    service.stop();
}

#[test]
fn after_a_crash_every_job_comes_to_one_end() {
    let host = HostInventory::take();
    let state = State::new();
    let jobs: Vec<Value> = (0..200).map(|number| bash(&format!("echo {number}; sleep 0.05"))).collect();
    let service = state.serve(&["--running", "4"]);
    let accepted = service.post("/v1/jobs/batch", json!({"jobs": jobs}).to_string()).answer();
    let ids: Vec<String> = accepted.json()["jobs"].as_array().expect("a list").iter().map(id).collect();
    let lone = submit(&service, &bash("echo lone"));
    ended(&service, &ids[60]);
    service.kill();
    let service = state.serve(&["--running", "4"]);
    for (number, id) in ids.iter().enumerate() {
        let job = ended(&service, id);
        assert_eq!(
            (&job["status"], &job["outcome"]["stdout"]),
            (&"done".into(), &format!("{number}\n").into()),
            "{job}"
        );
        assert!(job["attempts"].as_u64().is_some_and(|attempts| attempts <= 2), "{job}");
        let told = names(&events(&service.get(&format!("/v1/jobs/{id}/events")).answer()));
        assert_eq!(told.iter().filter(|name| *name == "outcome").count(), 1, "{told:?}");
    }
    assert_eq!(ended(&service, &lone)["outcome"]["stdout"], "lone\n");
    let metrics = service.get("/metrics").answer().body;
    assert!(metrics.contains(r#"firebox_jobs_kept{status="done"} 201"#), "{metrics}");
    assert!(metrics.contains(r#"firebox_jobs_kept{status="queued"} 0"#), "{metrics}");
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn a_job_that_the_service_dies_of_is_not_run_for_ever() {
    let state = State::new();
    let service = state.serve(&["--running", "2"]);
    let fatal = submit(&service, &bash("echo begun; sleep 100"));
    let mut service = service;
    for attempt in 1..=3 {
        wait_for_status(&service, &fatal, "running");
        assert_eq!(look(&service, &fatal)["attempts"], attempt);
        service.kill();
        service = state.serve(&["--running", "2"]);
    }
    let job = look(&service, &fatal);
    assert_eq!(
        (&job["status"], &job["error"]["code"], &job["attempts"]),
        (&"failed".into(), &"interrupted".into(), &3.into()),
        "{job}"
    );
    assert!(job["outcome"].is_null(), "{job}");
    let told = events(&service.get(&format!("/v1/jobs/{fatal}/events")).answer());
    assert_eq!(names(&told)[names(&told).len() - 2..], ["failed", "error"], "{told:?}");
    let error = &told[told.len() - 1].2;
    assert_eq!((&error["error"]["code"], &error["trace_id"]), (&"interrupted".into(), &job["trace_id"]), "{error}");
    // Elsewhere it is a text, but not in the job, which is the same everywhere.
    let told = events(&service.get(&format!("/api/v1/jobs/{fatal}/events")).answer());
    let error = &told[told.len() - 1].2;
    assert_eq!((&error["code"], &error["trace_id"]), (&"interrupted".into(), &job["trace_id"]), "{error}");
    assert_eq!((error["error"].is_string(), &error["error"]), (true, &job["error"]["message"]), "{error}");
    assert_eq!(service.get(&format!("/api/v1/jobs/{fatal}")).answer().json(), job);
    service.stop();
}

#[test]
fn an_error_told_to_who_waits_has_the_form_of_the_address() {
    let service = Service::start(&["--languages", "bash", "--running", "1", "--queue-time", "100ms"]);
    let mut busy = service.post("/v1/execute", bash("sleep 9").to_string()).start();
    let until = Instant::now() + MOMENT;
    while !service.get("/metrics").answer().body.contains("firebox_jobs_running 1") {
        assert!(Instant::now() < until, "no job runs");
    }
    let waits = json!({"trace_id": "waits", "lang": "bash", "code": "true"}).to_string();
    for path in ["/v1/execute", "/api/v1/execute"] {
        let told = service.post(path, waits.clone()).with(&["--header", "accept: text/event-stream"]).answer();
        assert_eq!(told.code, 200, "{told:?}");
        assert!(told.body.contains("event: error\n"), "{told:?}");
        let data = told.body.lines().find_map(|line| line.strip_prefix("data: ")).expect("it has data");
        let data: Value = serde_json::from_str(data).expect("it is JSON");
        // As who does not want events is answered.
        let answer = service.post(path, waits.clone()).answer();
        assert_eq!((answer.code, answer.json()), (503, data.clone()), "{path}");
        assert_eq!(
            (data["error"].is_string(), &data["trace_id"]),
            (path.starts_with("/api"), &"waits".into()),
            "{data}"
        );
    }
    busy.kill().expect("it runs");
    busy.wait().expect("it was killed");
    service.stop();
}

#[test]
fn told_to_stop_it_keeps_what_waits_and_counts_nothing_against_what_it_cuts_short() {
    let host = HostInventory::take();
    let state = State::new();
    let service = state.serve(&["--running", "1", "--grace", "300ms"]);
    let cut = submit(&service, &bash("if test -e /nowhere; then :; fi; sleep 3; echo cut"));
    let waits = submit(&service, &bash("echo waits"));
    wait_for_status(&service, &cut, "running");
    // Who waits for it is let go.
    let waiting = service.get(&format!("/v1/jobs/{waits}?wait=60s")).start();
    let looking = service.get(&format!("/v1/jobs/{cut}/events")).start();
    std::thread::sleep(Duration::from_millis(300));
    service.stop();
    for curl in [waiting, looking] {
        let output = curl.wait_with_output().expect("curl ends");
        assert!(output.status.success(), "{output:?}");
    }
    let service = state.serve(&["--running", "1"]);
    let job = ended(&service, &cut);
    assert_eq!((&job["outcome"]["stdout"], &job["attempts"]), (&"cut\n".into(), &1.into()), "{job}");
    assert_eq!(ended(&service, &waits)["outcome"]["stdout"], "waits\n");
    // What may end within the grace ends.
    let last = submit(&service, &bash("sleep 1; echo last"));
    wait_for_status(&service, &last, "running");
    service.stop();
    let service = state.serve(&[]);
    assert_eq!(look(&service, &last)["outcome"]["stdout"], "last\n");
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn jobs_on_disk_and_clients_that_wait_take_turns() {
    let state = State::new();
    let service = state.serve(&["--running", "1"]);
    let jobs: Vec<Value> = (0..30).map(|_| bash("sleep 0.2")).collect();
    service.post("/v1/jobs/batch", json!({"jobs": jobs}).to_string()).answer();
    let answers: Vec<_> = (0..5).map(|_| service.execute(&bash("sleep 0.2")).start()).collect();
    for curl in answers {
        assert!(curl.wait_with_output().expect("curl ends").status.success());
    }
    let done = service.get("/v1/jobs?status=done").answer().json()["jobs"].as_array().map(Vec::len);
    assert!(done.is_some_and(|done| (3..20).contains(&done)), "{done:?} ran meanwhile");
    service.stop();
}

#[test]
fn what_has_ended_is_forgotten_in_time_and_when_it_is_too_much() {
    let state = State::new();
    let service = state.serve(&["--jobs-keep-time", "3s"]);
    let id = submit(&service, &bash("echo hello"));
    ended(&service, &id);
    let until = Instant::now() + MOMENT;
    while service.get(&format!("/v1/jobs/{id}")).answer().code != 404 {
        assert!(Instant::now() < until, "it is still there");
    }
    service.stop();
    let service = state.serve(&["--jobs-keep-size", "200K"]);
    let ids: Vec<String> = (0..10).map(|_| submit(&service, &bash("head -c 30000 /dev/zero | tr '\\0' x"))).collect();
    ids.iter().for_each(|id| drop(service.get(&format!("/v1/jobs/{id}?wait=20s")).answer()));
    // Each holds its output twice: what was told as it came, and the outcome.
    let until = Instant::now() + MOMENT;
    loop {
        let left = service.get("/v1/jobs").answer().json()["jobs"].as_array().expect("a list").len();
        if left == 3 {
            break;
        }
        assert!(left > 3 && Instant::now() < until, "{left} are there");
    }
    service.stop();
}

#[test]
fn a_directory_that_cannot_be_used_is_told_before_anything_is_served() {
    let state = State::new();
    let service = state.serve(&[]);
    let serve = |state: &Path| {
        firebox().env("FIREBOX_STATE", state).args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash"]).run()
    };
    let taken = serve(&state.path().join("state"));
    assert_eq!(taken.code(), 125, "{taken}");
    assert!(
        taken.stderr().contains("in use by another firebox (process ") && taken.stderr().contains("--state"),
        "{taken}"
    );
    service.stop();
    let file = state.path().join("state/private/data/firebox.db");
    std::fs::write(&file, "no database at all, however long one looks at it").expect("root writes");
    let damaged = serve(&state.path().join("state"));
    assert_eq!(damaged.code(), 125, "{damaged}");
    assert!(damaged.stderr().contains("damaged") && damaged.stderr().contains("move it away"), "{damaged}");
    let nowhere = serve(Path::new("/proc/nowhere"));
    assert_eq!(nowhere.code(), 125, "{nowhere}");
    assert!(nowhere.stderr().contains("/proc/nowhere") && nowhere.stderr().contains("--state none"), "{nowhere}");
}

#[test]
fn a_service_that_keeps_nothing_says_so_and_runs_jobs_all_the_same() {
    let service = Service::start(&["--languages", "bash", "--state", "none"]);
    assert_eq!(service.execute(&bash("echo hello")).answer().json()["stdout"], "hello\n");
    for answer in [service.post("/v1/jobs", bash("x").to_string()).answer(), service.get("/v1/jobs").answer()] {
        assert_eq!((answer.code, &answer.json()["error"]["code"]), (501, &"jobs_unavailable".into()), "{answer:?}");
    }
    service.stop();
}
