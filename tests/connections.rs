//! Connections of clients that mean no good, or nothing at all: each meets its limit, and others are served meanwhile.

mod kit;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kit::Service;
use kit::http2::{ACK, END_HEADERS, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, head};
use serde_json::{Value, json};

/// What a client has for whatever is its turn, in these tests.
const WITHIN: &str = "1s";
/// When a connection that should be let go is gone, on a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// How long another client may wait meanwhile.
const AT_ONCE: Duration = Duration::from_secs(3);

fn start() -> Service {
    Service::start(&["--languages", "bash", "--request-time", WITHIN])
}

/// Reads until the connection is closed, and returns what came; fails when it stays open.
fn until_closed(stream: &mut TcpStream, what: &str) -> String {
    let begun = Instant::now();
    let mut said = Vec::new();
    stream.set_read_timeout(Some(GONE_WITHIN)).expect("a socket takes a timeout");
    // A reset is an end as well, a timeout is not.
    if let Err(error) = stream.read_to_end(&mut said) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{what}: it is still there");
    }
    assert!(begun.elapsed() < GONE_WITHIN, "{what}: it is still there");
    String::from_utf8_lossy(&said).into_owned()
}

fn assert_responsive(service: &Service) {
    let asked = Instant::now();
    assert_eq!(service.get("/v1/languages").answer().code, 200);
    assert!(asked.elapsed() < AT_ONCE, "others waited for {:?}", asked.elapsed());
}

#[test]
fn who_sends_nothing_or_half_of_anything_is_let_go() {
    let service = start();
    service.get("/v1/languages").answer();
    let whole = "GET /v1/languages HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let half_a_body =
        "POST /v1/execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    for (what, sent, answer) in [
        ("nothing", "", None),
        ("half a preface", "PRI * HTTP/2.0\r\n", None),
        ("half a head", "GET /health HTTP/1.1\r\nhost: localhost\r\n", None),
        ("half a body", half_a_body, Some(" 408 ")),
        ("nothing after an answer", whole, Some(" 200 ")),
        ("a preface and nothing else", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    ] {
        let mut stream = service.connect();
        stream.write_all(sent.as_bytes()).expect("it is read");
        assert_responsive(&service);
        let said = until_closed(&mut stream, what);
        match answer {
            Some(answer) => {
                assert!(said.contains(answer), "{what}: {said}");
                let (_, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{what}: no body: {said}"));
                let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {said}"));
                let code = (answer == " 408 ").then_some("request_timeout");
                assert_eq!(body["error"]["code"].as_str(), code, "{what}: {said}");
            }
            None => assert!(!said.starts_with("HTTP") || said.contains(" 408 "), "{what}: {said}"),
        }
    }
    service.stop();
}

#[test]
fn a_head_that_never_becomes_a_request_is_answered_without_a_body() {
    let service = start();
    let many: String = (0..2_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{many}\r\n");
    for (what, sent, status) in
        [("no head", "what is this\r\n\r\n", "HTTP/1.1 400 "), ("a head of too many lines", &many, "HTTP/1.1 431 ")]
    {
        let mut stream = service.connect();
        stream.write_all(sent.as_bytes()).expect("it is read");
        let said = until_closed(&mut stream, what);
        assert!(said.starts_with(status) && said.ends_with("\r\n\r\n"), "{what}: {said}");
    }
    service.stop();
}

#[test]
fn who_sends_byte_by_byte_has_no_more_time_for_it() {
    let service = start();
    for begin in ["GET / HTTP/1.1\r\nhost: localhost\r\nx: ", "PRI"] {
        let mut stream = service.connect();
        stream.write_all(begin.as_bytes()).expect("it is read");
        let begun = Instant::now();
        while stream.write_all(b"x").is_ok() {
            assert!(begun.elapsed() < GONE_WITHIN, "{begin:?} is still there");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    service.stop();
}

#[test]
fn who_keeps_a_connection_alive_and_does_nothing_is_told_to_go() {
    let service = start();
    let mut stream = service.connect();
    stream.write_all(PREFACE).expect("it is read");
    Frame::new(SETTINGS, 0, 0, []).send(&mut stream).expect("it is read");
    let begun = Instant::now();
    let mut told = false;
    // Every sign of life that it asks for is given.
    while let Some(frame) = Frame::read(&mut stream) {
        assert!(begun.elapsed() < GONE_WITHIN, "it is still there");
        told |= frame.kind == GOAWAY;
        if frame.kind == PING && frame.flags & ACK == 0 {
            let _ = Frame::new(PING, ACK, 0, frame.payload).send(&mut stream);
        }
    }
    assert!(told, "it was closed without a word");
    service.stop();
}

#[test]
fn who_takes_nothing_of_its_answer_is_let_go() {
    let service = start();
    let job = json!({"lang": "bash", "code": "printf '%30000000s' x", "limits": {"output_kb": 40000}}).to_string();
    // More than the kernel holds for a connection, so the answer has to wait for its reader.
    let mut stream = service.connect();
    let length = job.len();
    let head = format!(
        "POST /v1/execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it is read");
    stream.write_all(job.as_bytes()).expect("it is read");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer begins");
    assert_eq!(&first, b"HTTP/1.1 200");
    std::thread::sleep(Duration::from_secs(8));
    assert_responsive(&service);
    let rest = until_closed(&mut stream, "an answer that nobody takes");
    assert!(rest.len() < 30_000_000, "it was kept for its reader");

    // The same where the client gives no window.
    let mut stream = service.connect();
    stream.write_all(PREFACE).expect("it is read");
    let no_window = [0, 4, 0, 0, 0, 0];
    Frame::new(SETTINGS, 0, 0, no_window).send(&mut stream).expect("it is read");
    let get = kit::http2::head(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/v1/languages"),
        (":authority", "localhost"),
    ]);
    Frame::new(HEADERS, END_HEADERS | 1, 1, get).send(&mut stream).expect("it is read");
    let begun = Instant::now();
    while let Some(frame) = Frame::read(&mut stream) {
        assert!(begun.elapsed() < GONE_WITHIN, "it is still there");
        if frame.kind == PING && frame.flags & ACK == 0 {
            let _ = Frame::new(PING, ACK, 0, frame.payload).send(&mut stream);
        }
    }
    // Who does take its answer, however slowly, gets all of it.
    let answer = service.post("/v1/execute", job).with(&["--limit-rate", "8M"]).answer();
    assert_eq!(answer.json()["stdout"].as_str().map(str::len), Some(30_000_000));
    service.stop();
}

#[test]
fn more_streams_than_one_connection_may_have_are_refused() {
    let service = start();
    let mut stream = service.connect();
    stream.write_all(PREFACE).expect("it is read");
    Frame::new(SETTINGS, 0, 0, []).send(&mut stream).expect("it is read");
    let post = head(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/execute"),
        (":authority", "localhost"),
        ("content-type", "application/json"),
    ]);
    // None of them ends: a body is to come.
    for number in 0..160 {
        Frame::new(HEADERS, END_HEADERS, number * 2 + 1, post.clone()).send(&mut stream).expect("it is read");
    }
    assert_responsive(&service);
    let (mut refused, mut answered) = (0, 0);
    let begun = Instant::now();
    while refused + answered < 160 {
        assert!(begun.elapsed() < GONE_WITHIN, "{refused} were refused and {answered} answered");
        match Frame::read(&mut stream) {
            // REFUSED_STREAM: it can be sent again.
            Some(Frame { kind: RST_STREAM, payload, .. }) if payload == [0, 0, 0, 7] => refused += 1,
            Some(Frame { kind: HEADERS, .. }) => answered += 1,
            Some(_) => {}
            None => break,
        }
    }
    assert_eq!((refused, answered), (32, 128));
    service.stop();
}

#[test]
fn as_many_connections_as_there_may_be_keep_nobody_out() {
    let words = ["--languages", "bash", "--connections", "8", "--request-time", "60s"];
    let service = Service::start(&words);
    // A job that runs keeps its connection, whoever waits for one.
    let busy = service.execute(&json!({"lang": "bash", "code": "sleep 5; echo done"})).start();
    while !service.get("/metrics").answer().body.contains("firebox_jobs_running 1") {}
    let mut idle: Vec<_> = (0..32).map(|_| service.connect()).collect();
    for stream in idle.iter_mut().step_by(2) {
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n");
    }
    let asked = Instant::now();
    assert_eq!(service.get("/v1/languages").answer().code, 200);
    // They make room by eights, one second after another.
    assert!(asked.elapsed() < Duration::from_secs(15), "others waited for {:?}", asked.elapsed());
    let output = busy.wait_with_output().expect("curl ends");
    assert!(String::from_utf8_lossy(&output.stdout).contains(r#""stdout":"done\n""#), "{output:?}");
    drop(idle);
    service.stop();
}

#[test]
fn more_connections_than_there_are_descriptors_for_are_refused_at_the_start() {
    let refused = kit::firebox().args(["serve", "--listen", "127.0.0.1:0", "--connections", "1000000000"]).run();
    assert_eq!(refused.code(), 2, "{refused}");
    assert!(refused.stderr().contains("descriptors") && refused.stderr().contains("--connections"), "{refused}");
}
