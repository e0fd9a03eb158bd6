//! What an operator sees of a service: its log, its metrics, spans of its jobs, and what it tells whoever started it.

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kit::{MOMENT, Service, Started, firebox};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use serde_json::{Value, json};

#[test]
fn nothing_of_a_job_but_its_name_is_in_the_log_whatever_becomes_of_it() {
    let words = ["--languages", "bash,c", "--log-level", "debug", "--running", "1", "--queue", "0"];
    let service = Service::start(&[&words[..], &["--webhook-allow-private"]].concat());
    let canary = "cana''ry";
    let of = |trace_id: &str, rest: Value| {
        let mut job = json!({"trace_id": trace_id, "lang": "bash", "code": format!("echo {canary} # canary"),
            "stdin": "canary", "args": ["canary"], "env": {"canary": "canary"}});
        job.as_object_mut().expect("an object").extend(rest.as_object().cloned().expect("an object"));
        job
    };
    let jobs = [
        ("ran", of("ran", json!({})), 200),
        ("failed", of("failed", json!({"code": format!("echo {canary} >&2; exit 3")})), 200),
        (
            "timed-out",
            of("timed-out", json!({"code": format!("echo {canary}; sleep 9"), "limits": {"run_seconds": 0.3}})),
            200,
        ),
        ("uncompiled", of("uncompiled", json!({"lang": "c", "code": "int canary(void) { return canary_; }"})), 200),
        (
            "steps",
            of("steps", json!({"steps": true, "code": null, "files": [{"path": "canary", "content": "canary"}]})),
            200,
        ),
    ];
    for (name, job, code) in &jobs {
        assert_eq!(service.execute(job).answer().code, *code, "{name}");
    }
    let streamed =
        service.execute(&of("streamed", json!({}))).with(&["--header", "accept: text/event-stream"]).answer();
    assert!(streamed.body.contains("canary"), "{streamed:?}");
    // What outlives its connection, and whoever is to be told of it and does not listen.
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    let webhook = json!({"webhook": {"url": format!("http://{nobody}/canary?canary"), "secret": "canary"}});
    let batch =
        json!({"jobs": [of("batched", json!({})), of("batched-failed", json!({"code": "echo canary >&2; exit 3"}))]});
    let accepted = [
        service.post("/v1/jobs", of("kept", webhook).to_string()).answer(),
        service.post("/v1/jobs/batch", batch.to_string()).with(&["--header", "idempotency-key: canary"]).answer(),
    ];
    for answer in accepted {
        assert_eq!(answer.code, 202, "{answer:?}");
        let json = answer.json();
        let jobs = json["jobs"].as_array().cloned().unwrap_or_else(|| vec![json.clone()]);
        for job in jobs {
            let id = job["id"].as_str().expect("a job has an id");
            // To its end.
            let told = service.get(&format!("/v1/jobs/{id}/events")).answer();
            assert!(told.body.contains("event: outcome") && told.body.contains("cana"), "{told:?}");
        }
    }
    let until = Instant::now() + MOMENT;
    while !service.get("/metrics").answer().body.contains(r#"firebox_webhooks_total{result="failed"}"#) {
        assert!(Instant::now() < until, "nobody was to be told");
    }
    // What never runs, and what breaks off.
    for (rest, code) in [
        (json!({"canary": 1}), 400),
        (json!({"code": {"canary": 1}}), 400),
        (json!({"files": [{"path": "../canary", "content": "canary"}], "code": null}), 400),
        (json!({"lang": "canary"}), 404),
        (json!({"options": {"canary": 1}}), 400),
        (json!({"limits": {"output_kb": 99999999}}), 422),
    ] {
        assert_eq!(service.execute(&of("refused", rest.clone())).answer().code, code, "{rest}");
    }
    for sent in [
        "GET /canary?canary HTTP/1.1\r\ncanary\r\n\r\n",
        "canary\r\n\r\n",
        "POST /v1/execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"canary",
    ] {
        let mut stream = service.connect();
        stream.write_all(sent.as_bytes()).expect("it is read");
    }
    let mut gone = service.execute(&of("gone", json!({"code": format!("echo {canary}; sleep 9")}))).start();
    let until = Instant::now() + MOMENT;
    while !service.get("/metrics").answer().body.contains("firebox_jobs_running 1") {
        assert!(Instant::now() < until, "no job runs");
    }
    assert_eq!(service.execute(&of("no-room", json!({}))).answer().code, 503);
    gone.kill().expect("it runs");
    gone.wait().expect("it was killed");
    let log = service.stop().stderr().to_owned();
    assert!(!log.contains("canary"), "{log}");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert!(lines.iter().any(|line| line["level"] == "DEBUG"), "{log}");
    for name in ["kept", "batched", "batched-failed"] {
        let its: Vec<&Value> = lines.iter().filter(|line| line["trace_id"] == name).collect();
        let ends: Vec<&&Value> = its.iter().filter(|line| line["message"] == "job").collect();
        assert_eq!(ends.len(), 1, "{name}: {log}");
        // What is said of it is what is said of one that somebody waits for.
        let waited_for = lines.iter().find(|line| line["trace_id"] == "ran").expect("it ran");
        let words =
            |line: &Value| -> BTreeSet<String> { line.as_object().expect("an object").keys().cloned().collect() };
        assert_eq!(words(ends[0]), words(waited_for), "{log}");
        for line in its {
            let spans = line["spans"].as_array().expect("a line has its spans");
            let is_its = |span: &Value| span["name"] == "job" && span["trace_id"] == name && span["id"].is_string();
            assert!(spans.iter().any(is_its), "{line}");
        }
    }
    let told = lines.iter().filter(|line| line["message"] == "webhook").collect::<Vec<_>>();
    assert!(!told.is_empty() && told.iter().all(|line| line["trace_id"] == "kept"), "{log}");
    for name in ["ran", "failed", "timed-out", "uncompiled", "steps", "streamed"] {
        let its: Vec<&Value> = lines.iter().filter(|line| line["trace_id"] == name).collect();
        assert_eq!(its.len(), 1, "{name}: {log}");
        // The line itself has it, and so would every other that is written while the job is worked on.
        let spans = its[0]["spans"].as_array().expect("a line has its spans");
        assert!(spans.iter().any(|span| span["name"] == "job" && span["trace_id"] == name), "{}", its[0]);
        assert!(spans.iter().any(|span| span["name"] == "request" && span["request_id"].is_string()), "{}", its[0]);
    }
}

#[test]
fn how_much_is_logged_can_be_chosen() {
    let service = Service::start(&["--languages", "bash", "--log-level", "error"]);
    service.execute(&json!({"lang": "bash", "code": "true"})).answer();
    let ended = service.stop();
    assert_eq!(ended.stderr(), "", "{ended}");
    let refused = firebox().args(["serve", "--log-level", "loud"]).run();
    assert!(refused.code() == 2 && refused.stderr().contains("debug"), "{refused}");
}

/// A collector of spans: the bodies of what it was sent.
fn collector() -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).expect("a head");
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.to_lowercase());
            }
            assert!(head[0].starts_with("post /v1/traces "), "{head:?}");
            assert!(head.iter().any(|line| line.trim() == "content-type: application/json"), "{head:?}");
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            let mut body = vec![0; length.trim().parse().expect("a number")];
            stream.read_exact(&mut body).expect("a body");
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").expect("it is read");
            if sender.send(serde_json::from_slice(&body).expect("JSON")).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

fn spans_of(document: &Value) -> Vec<Value> {
    let resource = &document["resourceSpans"][0];
    let name = &resource["resource"]["attributes"][0];
    assert_eq!((&name["key"], &name["value"]["stringValue"]), (&"service.name".into(), &"firebox".into()));
    resource["scopeSpans"][0]["spans"].as_array().cloned().expect("spans")
}

#[test]
fn a_collector_gets_a_span_of_each_job_with_its_stages_below_it() {
    let (address, received) = collector();
    let service = Service::start(&["--languages", "bash,c", "--otlp-endpoint", &format!("http://{address}")]);
    let traceparent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let c = json!({"trace_id": "mine", "lang": "c", "code": "int main(void) { return 3; }"});
    assert_eq!(service.execute(&c).with(&["--header", traceparent]).answer().json()["exit_code"], 3);
    let bash = json!({"trace_id": "other", "lang": "bash", "code": "echo canary # canary"});
    service.execute(&bash).answer();
    // One whose client does not want it is not told of.
    let unwanted = json!({"trace_id": "unwanted", "lang": "bash", "code": "true"});
    let not_sampled = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    service.execute(&unwanted).with(&["--header", not_sampled]).answer();
    let mut spans = Vec::new();
    // Of one that outlives its connection as well.
    let later = json!({"trace_id": "later", "lang": "bash", "code": "true"});
    let traceparent = "traceparent: 00-00000000000000000000000000000abc-0000000000000def-01";
    assert_eq!(service.post("/v1/jobs", later.to_string()).with(&["--header", traceparent]).answer().code, 202);
    while spans.len() < 4 + 3 + 3 {
        let document = received.recv_timeout(MOMENT).expect("spans come");
        assert!(!document.to_string().contains("canary"), "{document}");
        spans.extend(spans_of(&document));
    }
    let named = |span: &Value, name: &str| {
        span["attributes"].as_array().is_some_and(|all| {
            all.iter().any(|one| one["key"] == "firebox.trace_id" && one["value"]["stringValue"] == name)
        })
    };
    let job = spans.iter().find(|span| named(span, "mine")).expect("the job's own");
    assert_eq!(job["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(job["parentSpanId"], "b7ad6b7169203331");
    let status = job["attributes"].as_array().expect("attributes").iter().find(|one| one["key"] == "firebox.status");
    assert_eq!(status.expect("a status")["value"]["stringValue"], "runtime_error");
    let time = |span: &Value, end: &str| span[end].as_str().expect("a text").parse::<u128>().expect("a number");
    let (begin, end) = (time(job, "startTimeUnixNano"), time(job, "endTimeUnixNano"));
    let mut stages: Vec<&Value> = spans.iter().filter(|span| span["parentSpanId"] == job["spanId"]).collect();
    stages.sort_by_key(|span| time(span, "startTimeUnixNano"));
    let names: Vec<&str> = stages.iter().filter_map(|span| span["name"].as_str()).collect();
    assert_eq!(names, ["queue", "compile", "run"]);
    let mut last = begin;
    for stage in stages {
        let (from, to) = (time(stage, "startTimeUnixNano"), time(stage, "endTimeUnixNano"));
        assert!(last <= from && from <= to && to <= end, "{stage} in {job}");
        assert_eq!(stage["traceId"], job["traceId"]);
        last = to;
    }
    let other = spans.iter().find(|span| named(span, "other")).expect("the other job's");
    assert!(other.get("parentSpanId").is_none() && other["traceId"] != job["traceId"], "{other}");
    let later = spans.iter().find(|span| named(span, "later")).expect("the later job's");
    assert_eq!(later["traceId"], "00000000000000000000000000000abc");
    assert_eq!(later["parentSpanId"], "0000000000000def");
    assert!(!spans.iter().any(|span| named(span, "unwanted")), "{spans:?}");
    let ids: BTreeSet<&str> = spans.iter().filter_map(|span| span["spanId"].as_str()).collect();
    assert_eq!(ids.len(), spans.len());
    // What is left at the end is sent before it.
    service.execute(&json!({"trace_id": "last", "lang": "bash", "code": "true"})).answer();
    service.stop();
    let last = received.recv_timeout(MOMENT).expect("the last come");
    assert!(spans_of(&last).iter().any(|span| named(span, "last")), "{last}");
}

#[test]
fn a_collector_that_is_away_or_never_answers_costs_no_job_anything() {
    // Takes connections into the kernel's queue, and nothing from them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let away = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    for address in [silent.local_addr().expect("it has one"), away] {
        let service = Service::start(&["--languages", "bash", "--otlp-endpoint", &format!("http://{address}")]);
        for _ in 0..5 {
            let asked = Instant::now();
            assert_eq!(service.execute(&json!({"lang": "bash", "code": "true"})).answer().code, 200);
            assert!(asked.elapsed() < Duration::from_secs(3), "a job waited for the collector");
        }
        let asked = Instant::now();
        service.stop();
        assert!(asked.elapsed() < Duration::from_secs(10), "the end waited for the collector");
    }
    let refused = firebox().args(["serve", "--otlp-endpoint", "https://otel.example"]).run();
    assert!(refused.code() == 2 && refused.stderr().contains("http://HOST:PORT"), "{refused}");
}

#[test]
fn metrics_are_read_by_whoever_knows_their_format() {
    let service = Service::start(&["--languages", "bash,c"]);
    service.execute(&json!({"lang": "bash", "code": "exit 1"})).answer();
    service.execute(&json!({"lang": "c", "code": "int main(void) { return 0; }"})).answer();
    service.execute(&json!({"lang": "bash", "code": "sleep 9", "limits": {"run_seconds": 0.2}})).answer();
    service.execute(&json!({"lang": "bash", "code": ""})).answer();
    let answer = service.get("/metrics").answer();
    assert!(answer.headers.contains("application/openmetrics-text"), "{answer:?}");
    let samples = parse_openmetrics(&answer.body);
    let value = |name: &str| *samples.get(name).unwrap_or_else(|| panic!("no {name} in {}", answer.body));
    for stage in ["queue", "cell", "store", "prepare", "limit", "start", "compile", "run", "measure", "end", "total"] {
        assert_eq!(value(&format!("firebox_job_seconds_count{{stage=\"{stage}\"}}")), 3.0, "{stage}");
    }
    assert!(value("firebox_job_seconds_sum{stage=\"run\"}") >= 0.2);
    assert_eq!(value("firebox_jobs_total{language=\"bash\",status=\"timeout\"}"), 1.0);
    assert_eq!(
        (value("firebox_refused_total{code=\"malformed\"}"), value("firebox_refused_total{code=\"fault\"}")),
        (1.0, 0.0)
    );
    assert_eq!((value("firebox_jobs_running"), value("firebox_jobs_waiting")), (0.0, 0.0));
    assert!((1e6..1e9).contains(&value("firebox_process_memory_bytes")));
    // Each job had a cell; all of them go, and nothing of any is left.
    let until = Instant::now() + MOMENT;
    loop {
        let samples = parse_openmetrics(&service.get("/metrics").answer().body);
        assert_eq!(samples["firebox_cells_leaked_total"], 0.0);
        if samples["firebox_cells_gone_total"] >= 3.0 && samples["firebox_cells_leaving"] == 0.0 {
            break;
        }
        assert!(Instant::now() < until, "{samples:?}");
    }
    service.stop();
}

/// Every sample by its name with labels. Strict: whatever OpenMetrics does not allow fails.
fn parse_openmetrics(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut family = "";
    let lines: Vec<&str> = text.strip_suffix('\n').expect("the last line ends").split('\n').collect();
    let (last, lines) = lines.split_last().expect("there are lines");
    assert_eq!(*last, "# EOF");
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    for line in lines {
        if let Some(words) = line.strip_prefix("# ") {
            let mut words = words.splitn(3, ' ');
            let (what, name, rest) = (words.next(), words.next().expect("a name"), words.next().expect("a text"));
            assert!(is_name(name), "{line}");
            match what.expect("a word") {
                "TYPE" => {
                    assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                    assert!(kinds.insert(name, rest).is_none(), "twice: {line}");
                }
                "HELP" => assert!(!rest.is_empty(), "{line}"),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                other => panic!("{other}: {line}"),
            }
            family = name;
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        let (name, labels) = match sample.split_once('{') {
            None => (sample, ""),
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))),
        };
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("it is not of {family}: {line}"));
        let allowed: &[&str] = match kinds.get(family).copied() {
            Some("counter") => &["_total"],
            Some("histogram") => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        assert!(allowed.contains(&suffix) && value >= 0.0, "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            // None of ours needs an escape, which also means that none is what a client chose.
            assert!(is_name(name) && value.is_some_and(|value| !value.contains(['"', '\\'])), "{line}");
        }
        assert!(samples.insert(sample.to_owned(), value).is_none(), "twice: {line}");
    }
    for (family, _) in kinds.iter().filter(|(_, kind)| **kind == "histogram") {
        let buckets: Vec<(&String, &f64)> =
            samples.iter().filter(|(name, _)| name.starts_with(&format!("{family}_bucket"))).collect();
        let stages: BTreeSet<String> = buckets
            .iter()
            .filter_map(|(name, _)| name.split(',').find(|label| label.contains("stage=")))
            .map(|label| label.trim_start_matches(|c| c != 's').trim_end_matches('}').to_owned())
            .collect();
        for stage in stages {
            let of_it = |(name, value): &(&String, &f64)| {
                let bound = name.split_once("le=\"")?.1.split('"').next()?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
                name.contains(&stage).then_some((bound, **value))
            };
            let mut counts: Vec<(f64, f64)> = buckets.iter().filter_map(of_it).collect();
            counts.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(counts.is_sorted_by(|one, other| one.1 <= other.1), "{family} {stage}: {counts:?}");
            let (bound, all) = counts.last().expect("buckets");
            assert!(bound.is_infinite() && samples[&format!("{family}_count{{{stage}}}")] == *all, "{family} {stage}");
        }
    }
    samples
}

#[test]
fn whoever_started_it_is_told_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let directory = kit::temp_dir();
    kit::show_to_everybody(directory.path());
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    socket.set_read_timeout(Some(MOMENT)).expect("a socket takes a timeout");
    let call = firebox().env("NOTIFY_SOCKET", path.as_os_str()).env("WATCHDOG_USEC", "300000");
    let service = Service::of(call.args(["serve", "--languages", "bash", "--listen", "127.0.0.1:0"]).start());
    let hear = || {
        let mut bytes = [0; 100];
        let length = socket.recv(&mut bytes).expect("it says something");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let first: BTreeSet<String> = (0..2).map(|_| hear()).collect();
    assert!(first.contains("READY=1"), "{first:?}");
    let begun = Instant::now();
    (0..5).for_each(|_| assert_eq!(hear(), "WATCHDOG=1"));
    assert!(begun.elapsed() < Duration::from_millis(1500), "it lives too slowly: {:?}", begun.elapsed());
    // To read a certificate again, where there is none, ends nothing.
    service.call.signal(Signal::HUP);
    assert_eq!(service.execute(&json!({"lang": "bash", "code": "true"})).answer().code, 200);
    (0..3).for_each(|_| assert_eq!(hear(), "WATCHDOG=1"));
    service.call.signal(Signal::TERM);
    while hear() != "STOPPING=1" {}
    assert_eq!(service.call.wait().leaving_nothing().code(), 0);
}

/// A service that is started as systemd does with a socket: on the fourth descriptor, with two variables that say so.
fn handed(listener: &impl AsFd, words: &[&str]) -> Started {
    let hand = "import os, sys
os.dup2(int(sys.argv[1]), 3)
os.closerange(4, 1000)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.execv(sys.argv[2], sys.argv[2:])";
    let python = kit::tool("python3").into_os_string();
    let number = listener.as_fd().as_raw_fd().to_string();
    let call = firebox().through([python, "-c".into(), hand.into(), number.into()]);
    let open = |flags| fcntl_setfd(listener, flags).expect("it is open");
    open(FdFlags::empty());
    let started = call.args(["serve", "--languages", "bash"]).args(words.iter().copied()).start();
    open(FdFlags::CLOEXEC);
    started
}

#[test]
fn who_comes_while_it_starts_again_waits_in_the_socket_that_was_handed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    let first = Service::of(handed(&listener, &[]));
    assert_eq!(first.address, address);
    // No job has it.
    let code = "for fd in {3..99}; do [ ! -e /proc/self/fd/$fd ] || echo $fd; done; echo hello";
    let hello = json!({"lang": "bash", "code": code});
    assert_eq!(first.execute(&hello).answer().json()["stdout"], "hello\n");
    first.stop();
    let mut early = TcpStream::connect(address).expect("the socket is still there");
    let body = hello.to_string();
    write!(
        early,
        "POST /v1/execute HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it is sent");
    let second = Service::of(handed(&listener, &[]));
    let mut answer = String::new();
    early.set_read_timeout(Some(MOMENT)).expect("a socket takes a timeout");
    early.read_to_string(&mut answer).expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""stdout":"hello\n""#), "{answer}");
    second.stop();
}

#[test]
fn a_socket_that_is_of_no_use_is_refused_with_what_to_do_and_another_process_s_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let twice = handed(&listener, &["--listen", "127.0.0.1:0"]);
    let of_no_use = handed(&datagrams, &[]);
    for (call, help) in [(twice, "leave `listen` out"), (of_no_use, "ListenStream=127.0.0.1:8080")] {
        let ended = call.wait().leaving_nothing();
        assert!(ended.code() == 2 && ended.stderr().contains(help), "{ended}");
    }
    let open = TcpListener::bind("0.0.0.0:0").expect("a port");
    let refused = handed(&open, &[]).wait().leaving_nothing();
    assert!(refused.code() == 2 && refused.stderr().contains("there are no keys"), "{refused}");
    let of_another = firebox().env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    let service = Service::of(of_another.args(["serve", "--languages", "bash", "--listen", "127.0.0.1:0"]).start());
    assert_eq!(service.get("/health").answer().code, 200);
    service.stop();
}
