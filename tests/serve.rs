//! `firebox serve`: jobs over HTTP, as clients meet it.

mod kit;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use kit::{HostInventory, Lineage, MOMENT, Role, Service, family, firebox};
use rustix::process::Signal;
use serde_json::{Value, json};

/// When nothing of a job is left any more whose client has gone.
const GONE_WITHIN: Duration = Duration::from_millis(100);
const FOREVER: &str = "while :; do :; done";

fn bash(code: &str) -> Value {
    json!({"lang": "bash", "code": code})
}

/// Returns when the service has so many steps of jobs running.
fn wait_for_steps(service: &Service, count: usize) {
    let until = Instant::now() + MOMENT;
    let steps = || family(service.call.pid(), Lineage::Jail).iter().filter(|member| member.role == Role::Step).count();
    while steps() != count {
        assert!(Instant::now() < until, "{} steps and not {count}", steps());
        std::thread::yield_now();
    }
}

#[test]
fn a_job_in_every_language_comes_to_its_outcome_by_both_addresses() {
    let host = HostInventory::take();
    let service = Service::start(&[]);
    for (lang, code, path) in [
        ("rust", "fn main() { println!(\"hello\"); }", "/v1/execute"),
        ("python", "print('hello')", "/api/v1/execute"),
        ("javascript", "console.log('hello')", "/v1/execute"),
        ("bash", "echo hello", "/api/v1/execute"),
        ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); }", "/v1/execute"),
    ] {
        let request = json!({"trace_id": "mine", "lang": lang, "code": code, "timeout": 60});
        let answer = service.post(path, request.to_string()).answer();
        let outcome = answer.json();
        assert_eq!(answer.code, 200, "{answer:?}");
        assert_eq!(
            (&outcome["trace_id"], &outcome["stdout"], &outcome["stderr"], &outcome["exit_code"], &outcome["status"]),
            (&"mine".into(), &"hello\n".into(), &"".into(), &0.into(), &"ok".into()),
            "{answer:?}"
        );
    }
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn a_job_that_ran_is_answered_with_200_whatever_its_program_did() {
    let service = Service::start(&["--languages", "bash,c"]);
    for (request, status, exit_code) in [
        (bash("exit 3"), "runtime_error", 3),
        (json!({"lang": "c", "code": "int main(void) { return x; }"}), "compile_error", 1),
        (json!({"lang": "bash", "code": FOREVER, "limits": {"run_seconds": 0.3}}), "timeout", 124),
        (bash("kill -SEGV $$"), "signaled", 139),
    ] {
        let answer = service.execute(&request).answer();
        assert_eq!(answer.code, 200, "{answer:?}");
        let outcome = answer.json();
        assert_eq!((&outcome["status"], &outcome["exit_code"]), (&status.into(), &exit_code.into()), "{answer:?}");
    }
    service.stop();
}

#[test]
fn what_never_ran_is_told_with_code_field_and_what_to_do() {
    let service = Service::start(&["--languages", "bash"]);
    let of = |request: &str| service.post("/v1/execute", request).answer();
    for (request, code, word, field) in [
        ("", 400, "malformed", Value::Null),
        ("[1]", 400, "malformed", Value::Null),
        (r#"{"lang": "bash", "code": "x", "cod": 1}"#, 400, "malformed", "cod".into()),
        (r#"{"lang": "bash", "code": 5}"#, 400, "malformed", "code".into()),
        (r#"{"lang": "bash"}"#, 400, "malformed", "code".into()),
        (r#"{"lang": "bash", "code": ""}"#, 400, "malformed", "code".into()),
        (r#"{"lang": "bash", "code": "x", "env": {"A": "1", "A": "2"}}"#, 400, "malformed", "env".into()),
        (r#"{"lang": "bash", "code": "x", "timeout": -1}"#, 400, "malformed", "timeout".into()),
        (r#"{"lang": "bash", "code": "x", "timeout": 1e999}"#, 400, "malformed", "timeout".into()),
        (r#"{"lang": "bash", "code": "x", "timeout": 0}"#, 400, "malformed", "timeout".into()),
        (r#"{"lang": "bash", "code": "x", "options": {"o": 1}}"#, 400, "malformed", "options.o".into()),
        (r#"{"lang": "bash", "code": "x", "timeout": 601}"#, 422, "limit_above_ceiling", "timeout".into()),
        (
            r#"{"lang": "bash", "code": "x", "limits": {"output_kb": 99999999}}"#,
            422,
            "limit_above_ceiling",
            "limits.output_kb".into(),
        ),
        (r#"{"lang": "bash", "code": "x", "isolation": "microvm"}"#, 422, "isolation_unavailable", "isolation".into()),
        (r#"{"lang": "bahs", "code": "x"}"#, 404, "unknown_language", "lang".into()),
        (r#"{"lang": "python", "code": "x"}"#, 404, "language_unavailable", "lang".into()),
    ] {
        let answer = of(request);
        let error = answer.json()["error"].clone();
        assert_eq!(
            (answer.code, &error["code"], &error["field"]),
            (code, &word.into(), &field),
            "{request}: {answer:?}"
        );
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer:?}");
    }
    assert!(of(r#"{"lang": "bahs", "code": "x"}"#).body.contains("`bash`"));
    // Neither of two is taken.
    for twice in ["lang", "language"] {
        let answer = of(&format!(r#"{{"lang": "bash", "{twice}": "bash", "code": "x"}}"#));
        let error = &answer.json()["error"];
        assert_eq!((answer.code, &error["code"]), (400, &"malformed".into()), "{twice}: {answer:?}");
        assert!(error["message"].as_str().is_some_and(|said| said.contains("duplicate field `lang`")), "{answer:?}");
    }
    // The name of a job is told where it is known.
    let named = of(r#"{"trace_id": "mine", "lang": "bahs", "code": "x"}"#);
    assert_eq!(named.json()["trace_id"], "mine");
    // Text that is no UTF-8, and nesting that would fill a stack.
    let no_text = service.post("/v1/execute", &b"{\"lang\": \"\xff\"}"[..]).answer();
    let error = &no_text.json()["error"];
    assert_eq!((no_text.code, &error["code"]), (400, &"malformed".into()), "{no_text:?}");
    assert!(
        error["message"].as_str().is_some_and(|message| message.contains("UTF-8") || message.contains("unicode")),
        "{no_text:?}"
    );
    let deep = format!(r#"{{"lang": "bash", "code": {}"#, "[".repeat(1_000_000));
    assert_eq!(service.post("/v1/execute", deep).answer().code, 400);
    let many: Vec<String> = (0..1_000_000).map(|number| format!(r#""{number}": """#)).collect();
    let many = service
        .post("/v1/execute", format!(r#"{{"lang": "bash", "code": "x", "env": {{{}}}}}"#, many.join(",")))
        .answer();
    assert_eq!((many.code, &many.json()["error"]["field"]), (400, &"env".into()), "{many:?}");

    let other = service.get("/v1/execute").answer();
    assert_eq!((other.code, &other.json()["error"]["code"]), (405, &"method_not_allowed".into()));
    let other = service.get("/v2").answer();
    assert_eq!((other.code, &other.json()["error"]["code"]), (404, &"not_found".into()));
    let text = service.post("/v1/execute", "x").with(&["--header", "content-type: text/plain"]).answer();
    assert_eq!((text.code, &text.json()["error"]["code"]), (415, &"unsupported_media_type".into()));
    // Those who come from there expect a text.
    let flat = service.post("/api/v1/execute", r#"{"lang": "bahs", "code": "x"}"#).answer().json();
    assert!(flat["error"].is_string() && flat["code"] == "unknown_language", "{flat}");
    service.stop();
}

#[test]
fn more_than_may_be_sent_is_refused() {
    let service = Service::start(&["--languages", "bash"]);
    // Decoded it is too much, as text it is not.
    let code = format!("# {}\necho hello", "x".repeat(8 << 20));
    let answer = service.execute(&bash(&code)).answer();
    assert_eq!((answer.code, &answer.json()["error"]["code"]), (413, &"too_large".into()), "{answer:?}");
    // And what is too much as text is not read.
    let body = " ".repeat(33 << 20);
    let answer = service.post("/v1/execute", body).answer();
    assert_eq!((answer.code, &answer.json()["error"]["code"]), (413, &"too_large".into()), "{answer:?}");
    // What is nearly too much is a job.
    let code = format!("# {}\necho hello", "x".repeat((8 << 20) - 64));
    let answer = service.execute(&bash(&code)).answer();
    assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"hello\n".into()), "{}", answer.code);
    service.stop();
}

#[test]
fn what_a_job_may_be_given_counts_decoded_and_all_together() {
    let service = Service::start(&["--languages", "bash"]);
    let given = |mib: usize| {
        let some = "x".repeat(mib << 20);
        let files = json!([{"path": "main.sh", "content": "wc -c"}, {"path": "some", "content": some}]);
        service.execute(&json!({"lang": "bash", "files": files, "stdin": some})).answer()
    };
    let answer = given(3);
    assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"3145728\n".into()), "{}", answer.body);
    let answer = given(5);
    assert_eq!((answer.code, &answer.json()["error"]["code"]), (413, &"too_large".into()), "{answer:?}");
    for field in ["code", "stdin"] {
        let mut request = bash("wc -c");
        request[field] = "x".repeat((8 << 20) + 1).into();
        let answer = service.execute(&request).answer();
        assert_eq!((answer.code, &answer.json()["error"]["code"]), (413, &"too_large".into()), "{field}: {answer:?}");
    }
    // Six bytes of text for each that is meant: what is sent is beyond what may be given, and what is meant is not.
    let request = format!(r#"{{"lang": "bash", "code": "wc -c", "stdin": "{}"}}"#, r"\u0061".repeat(4 << 20));
    assert!((8 << 20) < request.len() && request.len() < (32 << 20));
    let answer = service.post("/v1/execute", request).answer();
    assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"4194304\n".into()), "{}", answer.body);
    service.stop();
}

#[test]
fn output_comes_as_it_is_written_and_the_outcome_last() {
    let service = Service::start(&["--languages", "bash,c"]);
    let request = bash("echo first; read -r line < /dev/null; sleep 3; printf '\\xff'; echo last >&2");
    let mut curl = service.execute(&request).with(&["--header", "accept: text/event-stream"]).start();
    let asked = Instant::now();
    let mut lines = BufReader::new(curl.stdout.take().expect("it is piped")).lines().map(|line| line.expect("text"));
    assert!(lines.next().is_some_and(|line| line.contains("200")));
    let mut events = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("event: ") {
            let data = lines.next().expect("an event has data");
            let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("{data:?}"));
            let data: Value = serde_json::from_str(data).expect("the data is JSON");
            events.push((name.to_owned(), data, asked.elapsed()));
        }
    }
    assert!(curl.wait().expect("curl ends").success());
    let output = |event: &(String, Value, Duration)| (event.0.clone(), event.1.clone());
    assert_eq!(output(&events[0]), ("output".into(), json!({"step": "run", "stream": "stdout", "text": "first\n"})));
    assert!(events[0].2 < Duration::from_secs(3), "it came with the end: {events:?}");
    let rest: Vec<_> = events[1..events.len() - 1].iter().map(output).collect();
    assert!(
        rest.contains(&("output".into(), json!({"step": "run", "stream": "stdout", "base64": "/w=="}))),
        "{rest:?}"
    );
    assert!(
        rest.contains(&("output".into(), json!({"step": "run", "stream": "stderr", "text": "last\n"}))),
        "{rest:?}"
    );
    let (name, outcome, _) = &events[events.len() - 1];
    assert_eq!((name.as_str(), &outcome["status"], &outcome["stderr"]), ("outcome", &"ok".into(), &"last\n".into()));
    // What never ran is no stream.
    let refused = service.execute(&bash("")).with(&["--header", "accept: text/event-stream"]).answer();
    assert_eq!(refused.code, 400);
    service.stop();
}

#[test]
fn a_client_that_goes_away_takes_its_job_along() {
    let host = HostInventory::take();
    let service = Service::start(&["--languages", "bash", "--warm", "0"]);
    wait_for_steps(&service, 0);
    let without_a_job = host.left();
    let is_gone_with_its_client = |what: &str| {
        let gone = Instant::now();
        loop {
            let looked = Instant::now();
            let left: Vec<String> = host.left().into_iter().filter(|thing| !without_a_job.contains(thing)).collect();
            if left.is_empty() {
                break;
            }
            assert!(looked < gone + GONE_WITHIN, "{what}: left {GONE_WITHIN:?} after its client: {left:#?}");
        }
    };
    let job = bash("(sleep 100 &) ; sleep 100");
    for accept in ["application/json", "text/event-stream"] {
        let accept = format!("accept: {accept}");
        let mut curl = service.execute(&job).with(&["--header", &accept]).start();
        wait_for_steps(&service, 3);
        curl.kill().expect("it runs");
        is_gone_with_its_client(&accept);
        curl.wait().expect("it was killed");
    }
    // Whatever it sent before it went, and whoever still has to read that.
    for behind in ["G", "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut stream = service.connect();
        let body = job.to_string();
        let head = "POST /v1/execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}{behind}", body.len()).expect("it is read");
        wait_for_steps(&service, 3);
        drop(stream);
        is_gone_with_its_client(behind);
    }
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn when_it_is_full_clients_are_told_at_once_and_nobody_who_was_let_in_is_lost() {
    let service = Service::start(&["--languages", "bash", "--running", "1", "--queue", "2"]);
    let slow = bash("sleep 2; echo done");
    let mut let_in: Vec<_> = Vec::new();
    for number in 1..=3 {
        let_in.push(service.execute(&slow).start());
        let until = Instant::now() + MOMENT;
        let (running, waiting) =
            (format!("firebox_jobs_running {}", 1), format!("firebox_jobs_waiting {}", number - 1));
        while !{
            let metrics = service.get("/metrics").answer().body;
            metrics.contains(&running) && metrics.contains(&waiting)
        } {
            assert!(Instant::now() < until, "job {number} was not let in");
        }
    }
    let asked = Instant::now();
    let answer = service.execute(&bash("echo hello")).answer();
    assert!(asked.elapsed() < Duration::from_secs(1), "it waited");
    assert_eq!((answer.code, &answer.json()["error"]["code"]), (503, &"full".into()), "{answer:?}");
    assert!(answer.headers.contains("retry-after: 1"), "{answer:?}");
    let health = service.get("/health").answer();
    assert_eq!(
        (health.code, &health.json()["reasons"]),
        (503, &json!(["every place is taken, and the queue is full"])),
        "{health:?}"
    );
    for curl in let_in {
        let output = curl.wait_with_output().expect("curl ends");
        assert!(String::from_utf8_lossy(&output.stdout).contains(r#""stdout":"done\n""#), "{output:?}");
    }
    assert_eq!(service.get("/health").answer().code, 200);
    service.stop();
}

#[test]
fn a_job_that_waits_too_long_for_a_place_is_told_so() {
    let service = Service::start(&["--languages", "bash", "--running", "1", "--queue-time", "300ms"]);
    let slow = service.execute(&bash("sleep 2")).start();
    wait_for_steps_of_one_job(&service);
    let answer = service.execute(&bash("echo hello")).answer();
    assert_eq!((answer.code, &answer.json()["error"]["code"]), (503, &"full".into()), "{answer:?}");
    slow.wait_with_output().expect("curl ends");
    service.stop();
}

fn wait_for_steps_of_one_job(service: &Service) {
    let until = Instant::now() + MOMENT;
    while !service.get("/metrics").answer().body.contains("firebox_jobs_running 1") {
        assert!(Instant::now() < until, "no job runs");
    }
}

#[test]
fn no_web_page_and_no_bent_name_gets_in() {
    let service = Service::start(&["--languages", "bash"]);
    let hello = || service.execute(&bash("echo hello"));
    assert_eq!(hello().answer().code, 200);
    assert_eq!(hello().with(&["--header", "origin: http://localhost:3000"]).answer().code, 200);
    for header in ["origin: https://evil.example", "origin: null", "host: evil.example", "host: evil.example:80"] {
        let answer = hello().with(&["--header", header]).answer();
        assert_eq!((answer.code, &answer.json()["error"]["code"]), (403, &"forbidden".into()), "{header}: {answer:?}");
        // Nor by the addresses that only tell something.
        assert_eq!(service.get("/v1/languages").with(&["--header", header]).answer().code, 403, "{header}");
    }
    let bent = hello().with(&["--http2-prior-knowledge", "--header", "host: evil.example"]).answer();
    assert_eq!(bent.code, 403, "{bent:?}");
    service.stop();
}

#[test]
fn others_are_served_only_if_that_was_meant() {
    let refused = firebox().args(["serve", "--listen", "0.0.0.0:0"]).run();
    assert_eq!(refused.code(), 2, "{refused}");
    assert!(refused.stderr().contains("--allow-anonymous"), "{refused}");
}

#[test]
fn where_others_were_meant_they_come_by_any_name_and_from_any_page() {
    let call = firebox().args(["serve", "--listen", "0.0.0.0:0", "--allow-anonymous", "--languages", "bash"]);
    let service = Service::of(call.start());
    for header in ["host: runner.example", "origin: https://page.example", "origin: null"] {
        let answer = service.execute(&bash("echo hello")).with(&["--header", header]).answer();
        assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"hello\n".into()), "{header}: {answer:?}");
    }
    service.stop();
}

#[test]
fn by_its_other_name_it_serves_on_the_port_that_is_asked_for() {
    // Free a moment ago; nothing else here asks for a port by its number.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let service = Service::of(firebox().args(["api", "--port", &port.to_string(), "--languages", "bash"]).start());
    assert_eq!(service.address, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let answer = service.post("/api/v1/execute", bash("echo hello").to_string()).answer();
    assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"hello\n".into()), "{answer:?}");
    service.stop();
}

#[test]
fn both_versions_of_http_are_spoken() {
    let service = Service::start(&["--languages", "bash"]);
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        let answer = service.execute(&bash("echo hello")).with(&[version]).answer();
        assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"hello\n".into()), "{version}: {answer:?}");
    }
    service.stop();
}

#[test]
fn it_tells_what_it_can_run_and_how_it_is() {
    let service = Service::start(&[]);
    let health = service.get("/health").answer();
    assert_eq!((health.code, &health.json()["status"]), (200, &"healthy".into()), "{health:?}");
    assert_eq!(health.json()["version"], env!("CARGO_PKG_VERSION"));
    for path in ["/v1/languages", "/api/v1/languages"] {
        let listed = service.get(path).answer().json();
        let bash = listed.as_array().and_then(|all| all.iter().find(|language| language["name"] == "bash")).cloned();
        assert!(bash.is_some_and(|bash| bash["version"].is_string() && bash["missing"].is_null()), "{listed}");
    }
    let one = service.get("/v1/languages/rs").answer().json();
    assert_eq!((&one["name"], &one["options"][0]["name"]), (&"rust".into(), &"edition".into()), "{one}");
    assert_eq!(service.get("/v1/languages/rsut").answer().code, 404);
    service.execute(&bash("exit 1")).answer();
    service.execute(&bash("")).answer();
    let metrics = service.get("/metrics").answer();
    for line in [
        r#"firebox_jobs_total{language="bash",status="runtime_error"} 1"#,
        r#"firebox_refused_total{code="malformed"} 1"#,
        r#"firebox_job_seconds_count{stage="run"} 1"#,
        r#"firebox_cells_waiting{language="bash"}"#,
        "firebox_jobs_running 0",
    ] {
        assert!(metrics.body.contains(line), "no {line:?} in {}", metrics.body);
    }
    service.stop();
}

#[test]
fn told_to_stop_it_lets_running_jobs_end_and_takes_no_more() {
    let host = HostInventory::take();
    let service = Service::start(&["--languages", "bash"]);
    let running = service.execute(&bash("sleep 2; echo done")).start();
    wait_for_steps_of_one_job(&service);
    let mut idle = service.connect();
    service.call.signal(Signal::TERM);
    let output = running.wait_with_output().expect("curl ends");
    assert!(String::from_utf8_lossy(&output.stdout).contains(r#""stdout":"done\n""#), "{output:?}");
    // Who was connected and said nothing is not waited for.
    assert_eq!(idle.read(&mut [0]).expect("it is closed and not reset"), 0);
    let ended = service.call.wait().leaving_nothing();
    assert_eq!(ended.code(), 0, "{ended}");
    host.assert_nothing_left();
}

#[test]
fn told_to_stop_as_soon_as_it_says_that_it_listens_it_stops_as_ever() {
    let host = HostInventory::take();
    for _ in 0..10 {
        Service::start(&["--languages", "bash"]).stop();
    }
    host.assert_nothing_left();
}

/// A job that nothing ends but whoever cancels it, within the time of these tests.
fn endless() -> Value {
    json!({"lang": "bash", "code": "sleep 100", "limits": {"run_seconds": 60}})
}

#[test]
fn told_twice_it_ends_now() {
    let host = HostInventory::take();
    let service = Service::start(&["--languages", "bash", "--grace", "60s"]);
    let running = service.execute(&endless()).start();
    wait_for_steps_of_one_job(&service);
    service.call.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(service.call.is_running(), "it did not wait for the job");
    let told = Instant::now();
    service.call.signal(Signal::TERM);
    let ended = service.call.wait().leaving_nothing();
    assert!(told.elapsed() < Duration::from_secs(5), "{:?} after it was told again: {ended}", told.elapsed());
    assert_eq!(ended.code(), 0, "{ended}");
    running.wait_with_output().expect("curl ends");
    host.assert_nothing_left();
}

#[test]
fn told_to_stop_it_sends_those_who_wait_elsewhere() {
    let host = HostInventory::take();
    let service = Service::start(&["--languages", "bash", "--running", "1"]);
    let running = service.execute(&bash("sleep 3; echo done")).start();
    wait_for_steps_of_one_job(&service);
    let waiting = service.execute(&bash("echo hello")).start();
    let until = Instant::now() + MOMENT;
    while !service.get("/metrics").answer().body.contains("firebox_jobs_waiting 1") {
        assert!(Instant::now() < until, "no job waits");
    }
    service.call.signal(Signal::TERM);
    let said = waiting.wait_with_output().expect("curl ends").stdout;
    let said = String::from_utf8_lossy(&said).to_lowercase();
    assert!(said.starts_with("http/1.1 503 ") && said.contains(r#""code":"shutting_down""#), "{said}");
    assert!(said.contains("retry-after: "), "{said}");
    let output = running.wait_with_output().expect("curl ends");
    assert!(String::from_utf8_lossy(&output.stdout).contains(r#""stdout":"done\n""#), "{output:?}");
    let ended = service.call.wait().leaving_nothing();
    assert_eq!(ended.code(), 0, "{ended}");
    host.assert_nothing_left();
}

#[test]
fn what_still_runs_when_the_grace_is_over_is_cut_short_and_nothing_is_left() {
    let host = HostInventory::take();
    for accept in ["application/json", "text/event-stream"] {
        let service = Service::start(&["--languages", "bash", "--grace", "1s"]);
        let accept = format!("accept: {accept}");
        let running = service.execute(&endless()).with(&["--header", &accept]).start();
        wait_for_steps_of_one_job(&service);
        service.call.signal(Signal::TERM);
        let told = Instant::now();
        let ended = service.call.wait().leaving_nothing();
        let took = told.elapsed();
        assert_eq!(ended.code(), 0, "{ended}");
        assert!(Duration::from_secs(1) <= took && took < Duration::from_secs(6), "{accept}: {took:?}: {ended}");
        assert!(ended.stderr().contains("the grace period is over"), "{ended}");
        // Its client is not kept waiting, and is not told of an outcome that there is not: that nothing came, or that it
        // broke off, is what curl says, unless it was answered.
        let output = running.wait_with_output().expect("curl ends");
        assert!(told.elapsed() < took + Duration::from_secs(2), "{accept}: its client was left waiting");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!said.contains("event: outcome") && !said.contains(r#""exit_code":0"#), "{accept}: {output:?}");
        assert!(matches!(output.status.code(), Some(0 | 18 | 52 | 56)), "{accept}: {output:?}");
    }
    host.assert_nothing_left();
}

#[test]
fn clients_that_send_slowly_or_nothing_are_let_go() {
    let service = Service::start(&["--languages", "bash", "--request-time", "1s"]);
    let begins = [
        "",
        "GET /health HTTP/1.1\r\nhost: localhost\r\n",
        "POST /v1/execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{",
    ];
    for begin in begins {
        let mut stream = service.connect();
        stream.write_all(begin.as_bytes()).expect("it is read");
        let begun = Instant::now();
        let mut answered = Vec::new();
        // Closed, or answered and closed; a reset is an end as well.
        let _ = stream.read_to_end(&mut answered);
        assert!(begun.elapsed() < Duration::from_secs(20), "{begin:?} is still there");
        let answered = String::from_utf8_lossy(&answered);
        assert!(answered.is_empty() || answered.contains(" 408 "), "{begin:?}: {answered}");
    }
    // A head without end is not stored.
    let mut stream = service.connect();
    let line = format!("x: {}\r\n", "y".repeat(1000));
    let head = format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{}", line.repeat(1000));
    let _ = stream.write_all(head.as_bytes());
    let mut answered = Vec::new();
    let _ = stream.read_to_end(&mut answered);
    assert!(answered.is_empty() || String::from_utf8_lossy(&answered).contains(" 431 "), "{answered:?}");
    assert_eq!(service.get("/health").answer().code, 200);
    service.stop();
}

#[test]
fn the_log_has_the_names_of_jobs_and_never_what_they_are() {
    let service = Service::start(&["--languages", "bash"]);
    let request = json!({"trace_id": "a-name", "lang": "bash", "code": "echo se''cret-output # secret-code", "stdin": "secret-input"});
    assert_eq!(service.execute(&request).answer().json()["stdout"], "secret-output\n");
    let ended = service.stop();
    let log = ended.stderr();
    assert!(log.contains("a-name") && !log.contains("secret"), "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn settings_come_from_flags_the_environment_and_a_file_in_this_order() {
    for (file, variable, flag, running) in
        [("running = 3", None, None, 3), ("running = 3", Some("2"), None, 2), ("running = 3", Some("2"), Some("1"), 1)]
    {
        let mut call = firebox().file("firebox.toml", format!("{file}\nlanguages = [\"bash\"]\n"));
        call = call.args(["serve", "--listen", "127.0.0.1:0", "--queue", "0", "--config", "firebox.toml"]);
        if let Some(variable) = variable {
            call = call.env("FIREBOX_RUNNING", variable);
        }
        if let Some(flag) = flag {
            call = call.args(["--running", flag]);
        }
        let service = Service::of(call.start());
        let slow: Vec<_> = (0..running).map(|_| service.execute(&bash("sleep 2")).start()).collect();
        let until = Instant::now() + MOMENT;
        while !service.get("/metrics").answer().body.contains(&format!("firebox_jobs_running {running}")) {
            assert!(Instant::now() < until, "{running} do not run");
        }
        assert_eq!(service.execute(&bash("echo hello")).answer().code, 503);
        slow.into_iter().for_each(|curl| drop(curl.wait_with_output()));
        service.stop();
    }
    let unknown = firebox().file("firebox.toml", "runing = 3").args(["serve", "--config", "firebox.toml"]).run();
    assert_eq!(unknown.code(), 2, "{unknown}");
    assert!(unknown.stderr().contains("unknown field `runing`"), "{unknown}");
}
