//! What stands around a job on its way: TLS, names of requests, what web pages may, and compression.

mod kit;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kit::{Certificate, MOMENT, Service, firebox, tool};
use rustix::process::Signal;
use serde_json::{Value, json};

fn hello() -> Value {
    json!({"lang": "bash", "code": "echo hello"})
}

fn text(path: std::path::PathBuf) -> String {
    path.into_os_string().into_string().expect("a path in UTF-8")
}

fn with_tls(certificate: &Certificate, words: &[&str]) -> Service {
    let (file, key) = (text(certificate.path()), text(certificate.key()));
    let tls = ["--languages", "bash", "--tls-certificate", &file, "--tls-key", &key];
    Service::start(&[&tls[..], words].concat())
}

/// The name in the certificate that clients are shown.
fn shown_name(service: &Service) -> String {
    let mut client = Command::new(tool("openssl"))
        .args(["s_client", "-connect", &service.address.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    let mut said = String::new();
    client.stdout.take().expect("it is piped").read_to_string(&mut said).expect("text");
    client.wait().expect("openssl ends");
    let name = said.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or_else(|| panic!("{said}"));
    name.trim_start_matches("CN").trim_start_matches([' ', '=']).to_owned()
}

#[test]
fn with_a_certificate_both_versions_are_spoken_over_tls_and_nothing_else() {
    let certificate = Certificate::of("first");
    let service = with_tls(&certificate, &["--request-time", "1s"]);
    let ca = text(certificate.path());
    for (version, says) in [("--http1.1", "http/1.1 200"), ("--http2", "http/2 200")] {
        for tls in ["--tlsv1.3", "--tlsv1.2"] {
            let answer = service.execute(&hello()).with(&["--cacert", &ca, version, tls]).answer();
            assert_eq!(answer.json()["stdout"], "hello\n", "{answer:?}");
            assert!(answer.headers.starts_with(says), "{version}: {answer:?}");
        }
    }
    // Nobody takes it for another one.
    let other = Certificate::of("other");
    let refused = service.get("/health").with(&["--cacert", &text(other.path())]).start().wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("certificate"), "{refused:?}");
    // Neither who says nothing, nor who speaks without TLS, nor who stops in the middle of a greeting stays.
    for begin in [&b""[..], b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = service.connect();
        stream.write_all(begin).expect("it is read");
        let begun = Instant::now();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(begun.elapsed() < MOMENT, "{begin:?} is still there");
        assert!(!String::from_utf8_lossy(&said).contains("HTTP"), "{begin:?} was answered");
    }
    service.stop();
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_at_the_start_with_what_is_wrong() {
    let (first, second) = (Certificate::of("first"), Certificate::of("second"));
    let (certificate, key) = (text(first.path()), text(first.key()));
    for (certificate, key, words) in [
        ("none.pem", key.as_str(), vec!["cannot read", "none.pem", "No such file"]),
        (&certificate, "none.pem", vec!["cannot read", "none.pem", "No such file"]),
        (&key, &key, vec!["no certificate in", "key.pem", "chain"]),
        (&certificate, &certificate, vec!["no private key in", "certificate.pem"]),
        (&certificate, &text(second.key()), vec!["is not that of the certificate"]),
        ("broken.pem", &key, vec!["broken.pem"]),
    ] {
        let call = firebox().file("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
        let words_of_it = ["serve", "--listen", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key];
        let refused = call.args(words_of_it).run();
        assert_eq!(refused.code(), 2, "{refused}");
        for word in words {
            assert!(refused.stderr().contains(word), "no {word:?} in {refused}");
        }
    }
    let half = firebox().args(["serve", "--tls-certificate", &certificate]).run();
    assert_eq!(half.code(), 2, "{half}");
    assert!(half.stderr().contains("no `tls_key`"), "{half}");
}

#[test]
fn a_certificate_is_read_again_when_the_operator_says_so() {
    let (first, second) = (Certificate::of("first"), Certificate::of("second"));
    let service = with_tls(&first, &[]);
    assert_eq!(shown_name(&service), "first");
    second.replace(&first.path(), &first.key());
    // A service that root started has no right to read root's files any more.
    for path in [first.path(), first.key()] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("the file is ours");
    }
    kit::show_to_everybody(first.path().parent().expect("it is in a directory"));
    service.call.signal(Signal::HUP);
    let until = Instant::now() + MOMENT;
    while shown_name(&service) != "second" {
        assert!(Instant::now() < until, "the new certificate is not shown");
    }
    // What cannot be used changes nothing.
    std::fs::write(first.path(), "no PEM").expect("the file is ours");
    service.call.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(shown_name(&service), "second");
    let log = service.stop();
    assert!(log.stderr().contains("was read again") && log.stderr().contains("could not be read again"), "{log}");
}

#[test]
fn a_request_has_a_name_and_every_line_of_the_log_about_it_has_it() {
    let service = Service::start(&["--languages", "bash"]);
    let named = |words: &[&str]| service.execute(&hello()).with(words).answer();
    let given = named(&["--header", "x-request-id: mine-1"]);
    assert!(given.headers.contains("x-request-id: mine-1\r\n"), "{given:?}");
    let streamed = named(&["--header", "x-request-id: mine-2", "--header", "accept: text/event-stream"]);
    assert!(streamed.headers.contains("x-request-id: mine-2"), "{streamed:?}");
    // Another one is made up for what would not fit into a line, and for who gave none.
    let long = format!("x-request-id: {}", "x".repeat(129));
    for words in [vec![], vec!["--header", "x-request-id: two words"], vec!["--header", long.as_str()]] {
        let answer = named(&words);
        let id = answer.headers.lines().find_map(|line| line.strip_prefix("x-request-id: ")).map(str::trim);
        assert!(id.is_some_and(|id| id.len() >= 32 && !id.contains(' ')), "{answer:?}");
    }
    // Refused ones have theirs as well.
    let refused = service.get("/none").with(&["--header", "x-request-id: mine-3"]).answer();
    assert!(refused.code == 404 && refused.headers.contains("x-request-id: mine-3"), "{refused:?}");
    let ended = service.stop();
    for id in ["mine-1", "mine-2"] {
        let of_it = |line: &&str| line.contains("\"status\"") && line.contains(&format!("\"request_id\":\"{id}\""));
        assert_eq!(ended.stderr().lines().filter(of_it).count(), 1, "{id}: {ended}");
    }
}

#[test]
fn pages_that_the_operator_named_may_ask_and_no_others() {
    let service = Service::start(&["--languages", "bash", "--cors-origins", "https://app.example,http://a.example:81"]);
    let from = |origin: &str| service.execute(&hello()).with(&["--header", &format!("origin: {origin}")]).answer();
    for origin in ["https://app.example", "http://a.example:81"] {
        let answer = from(origin);
        assert_eq!(answer.json()["stdout"], "hello\n", "{answer:?}");
        assert!(answer.headers.contains(&format!("access-control-allow-origin: {origin}\r\n")), "{answer:?}");
        assert!(!answer.headers.contains("allow-credentials"), "{answer:?}");
    }
    for origin in ["https://evil.example", "http://app.example", "null"] {
        let answer = from(origin);
        assert_eq!(answer.code, 403, "{origin}: {answer:?}");
        assert!(!answer.headers.contains("access-control-allow-origin"), "{answer:?}");
    }
    let preflight = |service: &Service, origin: &str| {
        let origin = format!("origin: {origin}");
        let words = ["--request", "OPTIONS", "--header", &origin, "--header", "access-control-request-method: POST"];
        service
            .get("/v1/execute")
            .with(&words)
            .with(&["--header", "access-control-request-headers: content-type"])
            .answer()
    };
    let asked = preflight(&service, "https://app.example");
    assert_eq!(asked.code, 200, "{asked:?}");
    for header in ["access-control-allow-origin: https://app.example", "content-type", "post", "access-control-max-age"]
    {
        assert!(asked.headers.contains(header), "no {header}: {asked:?}");
    }
    assert!(!preflight(&service, "https://evil.example").headers.contains("access-control-allow-origin"));
    service.stop();
    // By default there are none.
    let service = Service::start(&["--languages", "bash"]);
    assert_eq!(preflight(&service, "https://app.example").code, 403);
    let own = service.execute(&hello()).with(&["--header", "origin: http://localhost:3000"]).answer();
    assert!(own.code == 200 && !own.headers.contains("access-control"), "{own:?}");
    service.stop();
    let refused = firebox().args(["serve", "--cors-origins", "*"]).run();
    assert!(refused.code() == 2 && refused.stderr().contains("`*`"), "{refused}");
}

#[test]
fn answers_are_compressed_for_who_can_read_it_and_requests_are_not() {
    let service = Service::start(&["--languages", "bash"]);
    let long = json!({"lang": "bash", "code": "printf '%5000s' x; echo"});
    let gzip = ["--header", "accept-encoding: gzip"];
    let packed = service.execute(&long).with(&gzip).answer();
    assert!(packed.headers.contains("content-encoding: gzip") && packed.headers.contains("vary: "), "{packed:?}");
    // Bytes that are no text are shown as three, at most.
    assert!(packed.body.len() < 3000, "{packed:?}");
    let unpacked = service.execute(&long).with(&["--compressed"]).answer();
    assert_eq!(unpacked.json()["stdout"].as_str().map(str::len), Some(5001));
    // Nobody who did not ask, nothing short, and no events.
    assert!(!service.execute(&long).answer().headers.contains("content-encoding"));
    assert!(!service.execute(&hello()).with(&gzip).answer().headers.contains("content-encoding"));
    let events = service.execute(&long).with(&gzip).with(&["--header", "accept: text/event-stream"]).answer();
    assert!(!events.headers.contains("content-encoding"), "{events:?}");

    for encoding in ["gzip", "br", "deflate, gzip"] {
        let refused = service.execute(&hello()).with(&["--header", &format!("content-encoding: {encoding}")]).answer();
        let error = refused.json()["error"].clone();
        assert_eq!((refused.code, &error["expected"]), (415, &"identity".into()), "{refused:?}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(encoding)), "{refused:?}");
    }
    service.stop();
}
