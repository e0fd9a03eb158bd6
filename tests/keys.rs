//! `firebox keys`, and a service that asks for one: as those meet it who have one, and as those do who have not.

mod kit;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use kit::{Answer, HostInventory, Keys, MOMENT, Service, bearer, firebox};
use serde_json::{Value, json};

/// When the service must have heard of what `firebox keys` did.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

fn bash(code: &str) -> Value {
    json!({"lang": "bash", "code": code})
}

fn execute(service: &Service, key: &str, request: &Value) -> Answer {
    service.execute(request).with(&["--header", &bearer(key)]).answer()
}

fn begin(service: &Service, key: &str, code: &str) -> Child {
    service.execute(&bash(code)).with(&["--header", &bearer(key)]).start()
}

/// What a client that may not come in is told: no more than that, and how to show a key.
fn assert_kept_out(answer: &Answer, what: &str) {
    let error = &answer.json()["error"];
    assert_eq!((answer.code, &error["code"]), (401, &"unauthorized".into()), "{what}: {answer:?}");
    assert!(answer.headers.contains("www-authenticate: bearer realm=\"firebox\""), "{what}: {answer:?}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("Authorization: Bearer")), "{what}: {answer:?}");
}

fn wait_until(what: &str, within: Duration, is_so: impl Fn() -> bool) {
    let until = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < until, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_for(service: &Service, key: &str, line: &str) {
    let metrics = || service.get("/metrics").with(&["--header", &bearer(key)]).answer().body;
    wait_until(line, MOMENT, || metrics().contains(line));
}

#[test]
fn from_the_first_key_on_whoever_asks_must_have_one_and_no_restart_is_needed() {
    let host = HostInventory::take();
    let keys = Keys::none();
    let service = keys.serve(&[]);
    let ask = |header: &str| service.execute(&bash("echo hello")).with(&["--header", header]).answer();
    assert_eq!(ask("x: y").code, 200);

    let one = keys.create("one", &[]);
    wait_until("nobody comes in without a key", HEARD_WITHIN, || ask("x: y").code == 401);
    assert_kept_out(&ask("x: y"), "no key");
    for header in [bearer(&one), format!("authorization: bearer {one}"), format!("x-api-key: {one}")] {
        let answer = ask(&header);
        assert_eq!((answer.code, &answer.json()["stdout"]), (200, &"hello\n".into()), "{header}: {answer:?}");
    }
    // On a connection that stays, and by the other version of HTTP.
    let answer = service.execute(&bash("echo hello")).with(&["--http2-prior-knowledge", "--header", &bearer(&one)]);
    assert_eq!(answer.answer().code, 200);

    let two = keys.create("two", &[]);
    wait_until("another key is good", HEARD_WITHIN, || ask(&bearer(&two)).code == 200);
    keys.revoke("one");
    wait_until("a revoked key is not", HEARD_WITHIN, || ask(&bearer(&one)).code == 401);
    assert_kept_out(&ask(&bearer(&one)), "revoked");
    keys.revoke("two");
    wait_until("the last key is revoked", HEARD_WITHIN, || ask(&bearer(&two)).code == 401);
    assert_kept_out(&ask("x: y"), "no key is good, and none is shown");
    // Whether it is well is for everybody to ask.
    assert_eq!(service.get("/health").answer().code, 200);
    for path in ["/metrics", "/v1/languages", "/api/v1/languages/c", "/v1/jobs", "/", "/health/", "/v1/../health"] {
        assert_eq!(service.get(path).with(&["--path-as-is"]).answer().code, 401, "{path}");
    }
    service.stop();

    // And so it is after a restart.
    let service = keys.serve(&[]);
    assert_kept_out(&service.execute(&bash("echo hello")).answer(), "after a restart");
    let three = keys.create("one", &[]);
    wait_until("a new key is good", HEARD_WITHIN, || execute(&service, &three, &bash("echo hello")).code == 200);
    assert_eq!(execute(&service, &one, &bash("echo hello")).code, 401, "the old one of the same name");
    service.stop();
    host.assert_nothing_left();
}

#[test]
fn nobody_comes_in_with_anything_but_a_key() {
    let keys = Keys::none();
    let key = keys.create("one", &[]);
    let other = keys.create("two", &[]);
    keys.revoke("two");
    let service = keys.serve(&[]);
    let (id, secret) = key.rsplit_once('_').expect("a key has two parts");
    let foreign = other.rsplit_once('_').expect("a key has two parts").1;
    let mistyped = format!("{}{}", &key[..key.len() - 1], if key.ends_with('x') { 'y' } else { 'x' });
    let long = "x".repeat(50_000);
    for shown in [
        other.as_str(),
        id,
        &key[..key.len() - 1],
        &format!("{key}x"),
        &mistyped,
        &key.to_uppercase(),
        &format!("{id}_{foreign}"),
        &format!("{}_{secret}", other.rsplit_once('_').expect("a key has two parts").0),
        &format!("{key},{key}"),
        &format!("{key} {key}"),
        "fbx_000000000000_0000000000000000000000000000000000000000",
        "*",
        "null",
        "../keys",
        &long,
    ] {
        let what: String = shown.chars().take(70).collect();
        for header in [bearer(shown), format!("x-api-key: {shown}")] {
            let answer = service.execute(&bash("echo hello")).with(&["--header", &header]).answer();
            assert_kept_out(&answer, &what);
            // Nothing of it is repeated.
            assert!(!answer.body.contains(secret) && !answer.body.contains(&long), "{what}: {answer:?}");
        }
    }
    // In other places, or in more than one.
    let ask = |path: &str, headers: &[&str]| {
        let words: Vec<&str> = headers.iter().flat_map(|header| ["--header", header]).collect();
        service.post(path, bash("echo hello").to_string()).with(&words).answer()
    };
    for name in ["key", "api_key", "access_token", "token", "authorization"] {
        assert_kept_out(&ask(&format!("/v1/execute?{name}={key}"), &[]), name);
    }
    let (right, wrong) = (bearer(&key), bearer(&other));
    for headers in [
        &[&*format!("cookie: key={key}")][..],
        &[&format!("authorization: Basic {key}")],
        &[&format!("authorization: {key}")],
        &[&format!("proxy-authorization: Bearer {key}")],
        &[&right, &right],
        &[&right, &wrong],
        &[&wrong, &right],
        &[&right, &format!("x-api-key: {key}")],
    ] {
        assert_kept_out(&ask("/v1/execute", headers), &format!("{headers:?}"));
    }
    let many: Vec<&str> = (0..60).map(|_| wrong.as_str()).collect();
    assert_kept_out(&ask("/v1/execute", &many), "many");
    // Those of the older form are told so in it.
    let flat = ask("/api/v1/execute", &[]);
    assert!(flat.code == 401 && flat.json()["error"].is_string(), "{flat:?}");
    // A large body is not read for somebody who may not come in.
    let large = service.post("/v1/execute", vec![b' '; 16 << 20]).answer();
    assert_eq!(large.code, 401);
    assert_eq!(ask("/v1/execute", &[&right]).code, 200);
    let metrics = service.get("/metrics").with(&["--header", &right]).answer().body;
    assert!(metrics.contains(r#"firebox_refused_total{code="unauthorized"}"#), "{metrics}");
    service.stop();
}

#[test]
fn a_key_is_shown_once_and_its_secret_is_nowhere_else() {
    let keys = Keys::none();
    let created = keys.call(&["create", "one", "--running", "2"]);
    assert_eq!(created.code(), 0, "{created}");
    let key = created.stdout().trim().to_owned();
    let (id, secret) = key.rsplit_once('_').expect("a key has two parts");
    assert!(!created.stderr().contains(secret) && created.stderr().contains(id), "{created}");
    let other = keys.call(&["create", "two", "--json"]);
    let json: Value = serde_json::from_str(&other.stdout()).expect("it is JSON");
    let second = json["key"].as_str().expect("the key is there").to_owned();
    assert_eq!((&json["name"], &json["revoked"], &json["limits"]), (&"two".into(), &Value::Null, &json!({})));

    let service = keys.serve(&[]);
    assert_eq!(execute(&service, &key, &bash("echo hello; exit 3")).code, 200);
    assert_eq!(execute(&service, &second, &json!({"lang": "nothing", "code": "x"})).code, 404);
    let metrics = service.get("/metrics").with(&["--header", &bearer(&key)]).answer().body;
    let log = service.stop().stderr();
    let lists = [keys.call(&["list"]).stdout(), keys.call(&["list", "--json"]).stdout()];
    assert!(lists.iter().all(|list| list.contains(id) && list.contains("one")), "{lists:?}");
    assert!(lists[0].contains("running=2") && lists[1].contains(r#""running":2"#), "{lists:?}");
    // A log says whose job it was, by what is no secret.
    assert!(log.contains(&format!(r#""caller":"{id}""#)), "{log}");
    let mut kept = Vec::new();
    read_all(keys.directory.path(), &mut kept);
    assert!(kept.len() > 1);
    for secret in [secret, second.rsplit_once('_').expect("a key has two parts").1] {
        // Half of it is as bad.
        for half in [&secret[..20], &secret[20..]] {
            assert!(!log.contains(half), "{log}");
            assert!(!lists.iter().any(|list| list.contains(half)), "{lists:?}");
            assert!(!metrics.contains(half), "{metrics}");
            for (path, bytes) in &kept {
                assert!(!bytes.windows(half.len()).any(|window| window == half.as_bytes()), "{path:?}");
            }
        }
    }
    // Nobody who looks at numbers sees whose they are.
    assert!(!metrics.contains(id), "{metrics}");
}

fn read_all(directory: &std::path::Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        match path.is_dir() {
            true => read_all(&path, into),
            false => into.push((path.clone(), fs::read(&path).expect("it can be read"))),
        }
    }
}

#[test]
fn what_keys_is_told_wrong_it_says_so() {
    let keys = Keys::none();
    let empty = keys.call(&["list"]);
    assert!(empty.code() == 0 && empty.stdout().is_empty() && empty.stderr().contains("keys create"), "{empty}");
    let key = keys.create("one", &[]);
    let id = key.rsplit_once('_').expect("a key has two parts").0;
    for (words, said) in [
        (&["create", "one"][..], "there is a key called \"one\" already"),
        (&["create", ""], "no key can be called"),
        (&["create", "fbx_mine"], "no key can be called"),
        (&["create", "a\nb"], "no key can be called"),
        (&["create", "x", "--languages", "pyton"], "python"),
        (&["create", "x", "--rate", "0"], "requests per second"),
        (&["revoke", "two"], "there is no key called \"two\""),
        (&["revoke", "fbx_000000000000"], "there is no key"),
    ] {
        let refused = keys.call(words);
        assert_eq!(refused.code(), 2, "{words:?}: {refused}");
        assert!(refused.stderr().contains(said), "{words:?}: {refused}");
    }
    let nowhere = firebox().args(["keys", "--state", "none", "list"]).run();
    assert!(nowhere.code() == 2 && nowhere.stderr().contains("--state"), "{nowhere}");
    // By its id, and even by the whole of it: whoever finds one lying about wants it revoked.
    let revoked = keys.call(&["revoke", &key]);
    assert!(revoked.code() == 0 && revoked.stdout().contains(id) && !revoked.stdout().contains(&key), "{revoked}");
    let again = keys.call(&["revoke", id]);
    assert!(again.code() == 2 && again.stderr().contains("revoked already"), "{again}");
}

#[test]
fn with_keys_others_are_served_too_and_pages_do_not_matter() {
    let keys = Keys::none();
    let state = keys.state();
    let public = ["serve", "--listen", "0.0.0.0:0", "--languages", "bash", "--state", &state];
    let refused = firebox().args(public).run();
    assert_eq!(refused.code(), 2, "{refused}");
    assert!(
        refused.stderr().contains("firebox keys create") && refused.stderr().contains("--allow-anonymous"),
        "{refused}"
    );
    let key = keys.create("one", &[]);
    let service = Service::of(firebox().args(public).start());
    for header in ["host: jobs.example.org", "origin: https://page.example.org", "host: localhost"] {
        let ask = || service.execute(&bash("echo hello")).with(&["--header", header]);
        assert_eq!(ask().with(&["--header", &bearer(&key)]).answer().code, 200, "{header}");
        assert_kept_out(&ask().answer(), header);
    }
    service.stop();
    // Once every key is revoked, it is nobody's; least of all everybody's.
    keys.revoke("one");
    let service = Service::of(firebox().args(public).args(["--allow-anonymous"]).start());
    assert_kept_out(&service.execute(&bash("echo hello")).answer(), "all are revoked");
    let log = service.stop().stderr();
    assert!(log.contains("allow_anonymous"), "{log}");
}

#[test]
fn a_file_that_is_not_as_it_was_written_lets_nobody_in() {
    let keys = Keys::none();
    let key = keys.create("one", &[]);
    let good = fs::read(keys.file()).expect("it is there");
    let mut changed = good.clone();
    changed[30] ^= 1;
    let state = keys.state();
    let serve = || firebox().args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash", "--state", &state]);
    for (bytes, said) in [(&changed[..], "damaged"), (b"nonsense\n", "damaged")] {
        fs::write(keys.file(), bytes).expect("it can be written");
        let refused = serve().run();
        assert_eq!(refused.code(), 125, "{refused}");
        assert!(refused.stderr().contains(said) && refused.stderr().contains("private/keys"), "{refused}");
        let refused = keys.call(&["create", "two"]);
        assert!(refused.code() == 125 && refused.stderr().contains(said), "{refused}");
    }
    // A first line that was never finished is no key, and yet not nothing.
    fs::write(keys.file(), &good[..good.len() / 2]).expect("it can be written");
    let service = Service::of(serve().start());
    assert_kept_out(&service.execute(&bash("echo hello")).answer(), "half a line");
    service.stop();

    fs::write(keys.file(), &good).expect("it can be written");
    let mode = |mode| fs::set_permissions(keys.file(), std::os::unix::fs::PermissionsExt::from_mode(mode));
    mode(0o644).expect("it can be changed");
    let refused = serve().run();
    assert!(refused.code() == 125 && refused.stderr().contains("chmod 600"), "{refused}");
    mode(0o600).expect("it can be changed");

    // While it runs, those who had a key have it, nobody else has, and the log says what is wrong.
    let service = keys.serve(&[]);
    for bytes in [&changed[..], b"", &good[..10]] {
        fs::write(keys.file(), bytes).expect("it can be written");
        std::thread::sleep(HEARD_WITHIN);
        assert_eq!(execute(&service, &key, &bash("echo hello")).code, 200);
        assert_kept_out(&service.execute(&bash("echo hello")).answer(), "damaged while it ran");
    }
    fs::write(keys.file(), &good).expect("it can be written");
    let other = keys.create("two", &[]);
    wait_until("it goes on", HEARD_WITHIN, || execute(&service, &other, &bash("echo hello")).code == 200);
    fs::remove_file(keys.file()).expect("it can be removed");
    std::thread::sleep(HEARD_WITHIN);
    assert_eq!(execute(&service, &key, &bash("echo hello")).code, 200);
    assert_kept_out(&service.execute(&bash("echo hello")).answer(), "removed while it ran");
    let log = service.stop().stderr();
    for said in ["is damaged", "has lost lines", "has been removed or replaced"] {
        assert!(log.lines().any(|line| line.contains("ERROR") && line.contains(said)), "{said}: {log}");
    }
}

#[test]
fn a_key_grants_what_it_was_created_with_and_no_more() {
    let keys = Keys::none();
    let limited = keys.create(
        "limited",
        &["--languages", "c", "--timeout", "5s", "--memory", "64M", "--cpu-time", "2s", "--isolation", "jail"],
    );
    let elsewhere = keys.create("elsewhere", &["--isolation", "microvm"]);
    let slow = keys.create("slow", &["--rate", "0.2", "--burst", "2"]);
    let service = keys.serve(&[]);
    let c = |more: Value| {
        let mut request = json!({"lang": "c", "code": "int main(void) { return 0; }"});
        request.as_object_mut().expect("it is one").extend(more.as_object().cloned().expect("it is one"));
        request
    };
    let granted = execute(&service, &limited, &c(json!({})));
    assert_eq!(granted.code, 200, "{granted:?}");
    let limits = &granted.json()["limits"];
    assert_eq!(
        (&limits["timeout"], &limits["memory_mb"], &limits["cpu_seconds"], &limits["tasks"]),
        (&5.into(), &64.into(), &2.into(), &64.into())
    );
    for (key, request, code, word, field) in [
        (&limited, bash("echo hello"), 403, "forbidden", "lang"),
        (&limited, json!({"lang": "sh", "code": "echo hello"}), 403, "forbidden", "lang"),
        (&limited, c(json!({"isolation": "fence"})), 403, "forbidden", "isolation"),
        (&limited, c(json!({"timeout": 6})), 422, "limit_above_ceiling", "timeout"),
        (&limited, c(json!({"limits": {"memory_mb": 65}})), 422, "limit_above_ceiling", "limits.memory_mb"),
        (&limited, c(json!({"limits": {"cpu_seconds": 3}})), 422, "limit_above_ceiling", "limits.cpu_seconds"),
        (&elsewhere, bash("echo hello"), 403, "forbidden", "isolation"),
        (
            &elsewhere,
            json!({"lang": "bash", "code": "x", "isolation": "microvm"}),
            422,
            "isolation_unavailable",
            "isolation",
        ),
    ] {
        let answer = execute(&service, key, &request);
        let error = &answer.json()["error"];
        assert_eq!((answer.code, &error["code"], &error["field"]), (code, &word.into(), &field.into()), "{answer:?}");
    }
    assert_eq!([(); 2].map(|()| execute(&service, &slow, &bash("echo hello")).code), [200, 200]);
    let refused = execute(&service, &slow, &bash("echo hello"));
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (429, &"quota".into()), "{refused:?}");
    let after = refused.headers.lines().find_map(|line| line.strip_prefix("retry-after: ")).expect("it says when");
    let after: u64 = after.trim().parse().expect("it is a number");
    assert!((1..=5).contains(&after), "{refused:?}");
    std::thread::sleep(Duration::from_secs(after));
    assert_eq!(execute(&service, &slow, &bash("echo hello")).code, 200, "it had to wait so long");
    // What one key has had is not what another has.
    assert_eq!(execute(&service, &limited, &c(json!({}))).code, 200);
    service.stop();
}

#[test]
fn the_jobs_of_a_key_run_and_wait_within_its_bounds_and_others_beside_them() {
    let keys = Keys::none();
    let bounded = keys.create("bounded", &["--running", "1", "--queue", "1"]);
    let other = keys.create("other", &[]);
    let service = keys.serve(&["--running", "4"]);
    let first = begin(&service, &bounded, "sleep 3; echo first");
    wait_for(&service, &other, "firebox_jobs_running 1");
    let second = begin(&service, &bounded, "echo second");
    wait_for(&service, &other, "firebox_jobs_waiting 1");
    let asked = Instant::now();
    let third = execute(&service, &bounded, &bash("echo third"));
    assert_eq!((third.code, &third.json()["error"]["code"]), (429, &"quota".into()), "{third:?}");
    assert!(third.headers.contains("retry-after: ") && asked.elapsed() < Duration::from_secs(2), "{third:?}");
    assert_eq!(execute(&service, &other, &bash("echo hello")).json()["stdout"], "hello\n");
    for (job, said) in [(first, "first"), (second, "second")] {
        let output = job.wait_with_output().expect("curl ends");
        assert!(String::from_utf8_lossy(&output.stdout).contains(said), "{output:?}");
    }
    service.stop();
}

#[test]
fn a_job_that_waits_is_not_begun_when_its_key_has_been_revoked() {
    let keys = Keys::none();
    let (gone, stays) = (keys.create("gone", &[]), keys.create("stays", &[]));
    let service = keys.serve(&["--running", "1"]);
    let runs = begin(&service, &gone, "sleep 3; echo first");
    wait_for(&service, &stays, "firebox_jobs_running 1");
    let waits = begin(&service, &gone, "echo second");
    wait_for(&service, &stays, "firebox_jobs_waiting 1");
    keys.revoke("gone");
    let (runs, waits) = (runs.wait_with_output().expect("curl ends"), waits.wait_with_output().expect("curl ends"));
    // What had begun came to its end.
    assert!(String::from_utf8_lossy(&runs.stdout).contains("first"), "{runs:?}");
    let told = String::from_utf8_lossy(&waits.stdout).into_owned();
    assert!(told.contains(" 401 ") && told.contains("revoked") && !told.contains("second"), "{told}");
    service.stop();
}

/// Sends this so often, each time on a connection of its own, and reads nothing.
fn send_often(service: &Service, request: &str, times: usize) -> Vec<TcpStream> {
    let send = |_| {
        let mut stream = service.connect();
        stream.write_all(request.as_bytes()).expect("it is taken");
        stream
    };
    (0..times).map(send).collect()
}

/// How many were told by now that there is no more for them, in its own words.
fn refused_among(streams: &mut [TcpStream]) -> usize {
    let is_refused = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket takes a timeout");
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        let is_refused = answer.contains(" 503 ");
        if is_refused {
            assert!(answer.contains("retry-after: 1") && answer.contains("left to others"), "{answer}");
        }
        is_refused
    };
    streams.iter_mut().map(is_refused).filter(|is_refused| *is_refused).count()
}

#[test]
fn one_with_a_thousand_requests_delays_the_first_job_of_another_by_one() {
    const REQUESTS: usize = 600;
    let keys = Keys::none();
    let (greedy, modest) = (keys.create("greedy", &[]), keys.create("modest", &[]));
    let service = keys.serve(&["--running", "1", "--queue", "1000", "--queue-time", "10m"]);
    // Long ones, so that few of them end between two looks, however busy the machine is.
    let body = bash("read -r -t 2 < /dev/zero; :").to_string();
    let request = format!(
        "POST /v1/execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}\r\n\r\n{body}",
        body.len(),
        bearer(&greedy)
    );
    let mut greedy_ones = send_often(&service, &request, REQUESTS);
    let counted = |counter: &str| {
        let metrics = service.get("/metrics").with(&["--header", &bearer(&modest)]).answer().body;
        let line = metrics.lines().find(|line| line.starts_with(counter)).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    // Nobody takes more of the queue than is left to others.
    wait_until("many are refused", MOMENT, || counted("firebox_refused_total{code=\"full\"}") > 40);
    let before = counted("firebox_jobs_total{");
    assert_eq!(execute(&service, &modest, &bash("echo hello")).json()["stdout"], "hello\n");
    let passed = counted("firebox_jobs_total{") - before;
    // The one that ran, the one whose turn it was, its own, and what came between the questions.
    assert!(passed <= 12, "{passed} jobs were done meanwhile");
    // The rest was told at once, in its own words.
    let refused = refused_among(&mut greedy_ones);
    assert!(refused > 40, "{refused} were refused");
    drop(greedy_ones);
    service.stop();
}

#[test]
fn one_who_fills_all_connections_with_requests_that_wait_leaves_some_to_others() {
    const CONNECTIONS: usize = 40;
    let keys = Keys::none();
    let (greedy, modest) = (keys.create("greedy", &[]), keys.create("modest", &[]));
    let connections = CONNECTIONS.to_string();
    let service = keys.serve(&["--running", "2", "--queue", "1000", "--connections", &connections]);
    let id = service.post("/v1/jobs", bash("sleep 1000").to_string()).with(&["--header", &bearer(&greedy)]).answer();
    assert_eq!(id.code, 202, "{id:?}");
    let id = id.json()["id"].as_str().expect("an id").to_owned();
    let request = format!("GET /v1/jobs/{id}?wait=60s HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", bearer(&greedy));
    let mut greedy_ones = send_often(&service, &request, CONNECTIONS);
    let begun = Instant::now();
    assert_eq!(execute(&service, &modest, &bash("echo hello")).json()["stdout"], "hello\n");
    // Those of the greedy one wait for longer than that.
    assert!(begun.elapsed() < MOMENT / 2, "{:?}", begun.elapsed());
    let refused = refused_among(&mut greedy_ones);
    assert_eq!(refused, CONNECTIONS / 2);
    drop(greedy_ones);
    service.stop();
}

#[test]
fn cpu_time_of_a_day_is_counted_whether_or_not_somebody_waits_for_the_outcome() {
    let keys = Keys::none();
    let (key, other) = (keys.create("one", &["--cpu-per-day", "1s"]), keys.create("two", &[]));
    let service = keys.serve(&["--running", "1"]);
    let burn = "end=$((SECONDS + 2)); while [ $SECONDS -lt $end ]; do :; done";
    assert_eq!(execute(&service, &key, &bash("echo hello")).code, 200);
    // Its client goes away, and it is stopped: what it took, it took. On a busy machine that is little.
    let until = Instant::now() + 3 * MOMENT;
    let refused = loop {
        let mut gone = begin(&service, &key, "while :; do :; done");
        wait_for(&service, &other, "firebox_jobs_running 1");
        std::thread::sleep(Duration::from_secs(1));
        gone.kill().expect("it runs");
        gone.wait().expect("it was killed");
        wait_for(&service, &other, "firebox_jobs_running 0");
        let answer = execute(&service, &key, &bash("echo hello"));
        if answer.code != 200 {
            break answer;
        }
        assert!(Instant::now() < until, "nothing was counted");
    };
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (429, &"quota".into()), "{refused:?}");
    let after = refused.headers.lines().find_map(|line| line.strip_prefix("retry-after: ")).expect("it says when");
    assert!(after.trim().parse::<u64>().is_ok_and(|after| after <= 86_400), "{refused:?}");
    assert_eq!(execute(&service, &other, &bash(burn)).code, 200);
    service.stop();
    let service = keys.serve(&[]);
    assert_eq!(execute(&service, &key, &bash("echo hello")).code, 429, "it was forgotten");
    assert_eq!(execute(&service, &other, &bash("echo hello")).code, 200);
    service.stop();
}

#[test]
fn what_was_built_for_one_key_is_not_there_for_another() {
    let keys = Keys::none();
    let (one, two) = (keys.create("one", &[]), keys.create("two", &[]));
    let service = keys.serve(&[]);
    let request = json!({"lang": "c", "code": "int main(void) { return 0; }", "steps": true});
    let kept = |key: &str| {
        let answer = execute(&service, key, &request);
        assert_eq!(answer.code, 200, "{answer:?}");
        answer.json()["steps"][0]["kept"] == true
    };
    for key in [&one, &two] {
        assert!(!kept(key));
        // Of which nothing is kept if something of the compiler was still leaving when it was looked at.
        assert!((0..5).any(|_| kept(key)));
    }
    service.stop();
}
