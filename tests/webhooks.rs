//! Telling others that a job has ended, and never those whom only the service can reach.

mod kit;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit::{Certificate, MOMENT, Service, firebox, tool};
use serde_json::{Value, json};

/// What somebody was told.
#[derive(Debug, Clone)]
struct Told {
    path: String,
    headers: Vec<String>,
    body: String,
}

impl Told {
    fn header(&self, name: &str) -> String {
        let found = self
            .headers
            .iter()
            .find_map(|line| line.to_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned));
        found.unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }
}

/// Somebody who is told, and answers each time the next of these, and the last again and again.
struct Receiver {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    fn start(answers: &[&str]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (told, answers) =
            (Arc::new(Mutex::new(Vec::new())), answers.iter().map(ToString::to_string).collect::<Vec<_>>());
        let all = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.expect("a connection"));
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    lines.push(line.trim().to_owned());
                }
                let Some(first) = lines.first().cloned() else { continue };
                let length = lines
                    .iter()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
                reader.read_exact(&mut body).expect("the body");
                let mut all = all.lock().expect("nobody panicked");
                let answer = answers.get(all.len()).or(answers.last()).expect("an answer");
                let path = first.split(' ').nth(1).expect("a path").to_owned();
                all.push(Told { path, headers: lines, body: String::from_utf8(body).expect("text") });
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        Receiver { address, told }
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().expect("nobody panicked").clone()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const NOT_NOW: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

fn job(url: &str) -> Value {
    json!({"trace_id": "told", "lang": "bash", "code": "echo hello", "webhook": {"url": url, "secret": "between us"}})
}

/// Returns the job when its webhook is as it should be.
fn wait_for(service: &Service, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + MOMENT;
    loop {
        let job = service.get(&format!("/v1/jobs/{id}")).answer().json();
        if is_so(&job["webhook"]) {
            return job;
        }
        assert!(Instant::now() < until, "it does not come to that: {job}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Computed by somebody else.
fn hmac(secret: &str, text: &str) -> String {
    let mut openssl = Command::new(tool("openssl"))
        .args(["dgst", "-sha256", "-hmac", secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl starts");
    openssl.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = openssl.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("text").trim().rsplit(' ').next().expect("a sum").to_owned()
}

#[test]
fn the_end_of_a_job_is_told_signed_and_told_again_until_it_is_heard() {
    let receiver = Receiver::start(&[NOT_NOW, "garbage\r\n\r\n", OK]);
    let service = Service::start(&["--languages", "bash", "--webhook-allow-private"]);
    let id = service.submit(&job(&receiver.url("/a?b=c")));
    let told = wait_for(&service, &id, |webhook| webhook["status"] == "delivered");
    assert_eq!((&told["webhook"]["attempts"], &told["status"]), (&3.into(), &"done".into()), "{told}");
    assert!(!told.to_string().contains("between us"), "{told}");
    let all = receiver.told();
    assert_eq!(all.len(), 3);
    for (number, told) in all.iter().enumerate() {
        assert_eq!((told.path.as_str(), told.header("firebox-job")), ("/a?b=c", id.clone()));
        assert_eq!(told.header("firebox-attempt"), (number + 1).to_string());
        let signature = told.header("firebox-signature");
        let (time, sum) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("two parts");
        assert_eq!(sum, hmac("between us", &format!("{time}.{}", told.body)), "{told:?}");
        let job: Value = serde_json::from_str(&told.body).expect("JSON");
        assert_eq!(
            (&job["caller"], &job["id"], &job["trace_id"], &job["outcome"]["stdout"]),
            (&"everybody".into(), &id.as_str().into(), &"told".into(), &"hello\n".into())
        );
    }
    let metrics = service.get("/metrics").answer().body;
    assert!(metrics.contains(r#"firebox_webhooks_total{result="delivered"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"firebox_webhooks_total{result="failed"} 2"#), "{metrics}");
    let ended = service.stop();
    assert!(!ended.stderr().contains("between us") && !ended.stderr().contains("/a?b=c"), "{ended}");
}

#[test]
fn a_redirect_is_not_followed_and_the_operators_secret_signs_what_has_none() {
    let secret = Receiver::start(&[OK]);
    let there = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", secret.url("/secret"));
    let receiver = Receiver::start(&[&there]);
    let call = firebox().env("FIREBOX_WEBHOOK_SECRET", "the house's");
    let call = call.args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash", "--webhook-allow-private"]);
    let service = Service::of(call.start());
    let id = service.submit(&json!({"lang": "bash", "code": "true", "webhook": {"url": receiver.url("/")}}));
    let told = wait_for(&service, &id, |webhook| webhook["attempts"].as_u64() >= Some(2));
    let error = told["webhook"]["last_error"].as_str().expect("an error");
    assert!(error.contains("302") && error.contains("redirects are not followed"), "{told}");
    assert!(secret.told().is_empty());
    let told = &receiver.told()[0];
    let signature = told.header("firebox-signature");
    let (time, sum) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("two parts");
    assert_eq!(sum, hmac("the house's", &format!("{time}.{}", told.body)));
    service.stop();
}

#[test]
fn nobody_is_told_whom_only_the_service_can_reach() {
    let receiver = Receiver::start(&[OK]);
    let port = receiver.address.port();
    let service = Service::start(&["--languages", "bash"]);
    for url in [
        &format!("http://127.0.0.1:{port}/"),
        "http://example.com/",
        &format!("https://127.0.0.1:{port}/"),
        &format!("https://[::1]:{port}/"),
        &format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://[fd00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://user:password@example.com/",
        "file:///etc/passwd",
        "unix:/run/docker.sock",
        "",
    ] {
        let answer = service.post("/v1/jobs", job(url).to_string()).answer();
        let error = answer.json()["error"].clone();
        assert_eq!((answer.code, &error["field"]), (400, &"webhook.url".into()), "{url}: {answer:?}");
    }
    let unsigned = json!({"lang": "bash", "code": "true", "webhook": {"url": "https://example.com/"}});
    let answer = service.post("/v1/jobs", unsigned.to_string()).answer();
    assert_eq!((answer.code, &answer.json()["error"]["field"]), (400, &"webhook.secret".into()), "{answer:?}");
    // Names are found out only when they are asked for; which of them there are inside is not told.
    for (host, why) in ["localhost", "nowhere.invalid"].map(|host| (host, "leads to no public address")) {
        let id = service.submit(&job(&format!("https://{host}:{port}/")));
        let told = wait_for(&service, &id, |webhook| {
            webhook["attempts"].as_u64() >= Some(1) && webhook["last_error"].is_string()
        });
        assert!(told["webhook"]["last_error"].as_str().is_some_and(|error| error.contains(why)), "{told}");
        assert_eq!(told["status"], "done");
    }
    for host in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost."] {
        let answer = service.post("/v1/jobs", job(&format!("https://{host}:{port}/")).to_string()).answer();
        if answer.code == 202 {
            let id = answer.json()["id"].as_str().expect("an id").to_owned();
            wait_for(&service, &id, |webhook| webhook["last_error"].is_string());
        }
    }
    assert!(receiver.told().is_empty(), "{:?}", receiver.told());
    service.stop();
}

#[test]
fn what_is_to_be_told_outlives_the_service() {
    let state = kit::temp_dir();
    if let Some(user) = kit::OrdinaryUser::where_nobody_is_named() {
        std::os::unix::fs::chown(state.path(), Some(user.uid), Some(user.uid)).expect("it can be given away");
    }
    let serve = || {
        let call = firebox().env("FIREBOX_STATE", state.path().join("state"));
        let call = call.args(["serve", "--listen", "127.0.0.1:0", "--languages", "bash", "--webhook-allow-private"]);
        Service::of(call.start())
    };
    let receiver = Receiver::start(&[NOT_NOW, NOT_NOW, OK]);
    let service = serve();
    let id = service.submit(&job(&receiver.url("/")));
    wait_for(&service, &id, |webhook| webhook["attempts"].as_u64() >= Some(1));
    service.kill();
    let service = serve();
    let told = wait_for(&service, &id, |webhook| webhook["status"] == "delivered");
    assert!(told["webhook"]["attempts"].as_u64() >= Some(3), "{told}");
    service.stop();
}

/// A receiver with TLS, which answers whatever it is told by 204.
const ENCRYPTED: &str = r#"
import http.server, ssl, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[test]
fn whoever_is_told_must_have_a_certificate_that_is_trusted() {
    let [theirs, anothers] = ["theirs", "anothers"].map(Certificate::of_a_server);
    let mut receiver = Command::new(tool("python3"))
        .args(["-c", ENCRYPTED])
        .args([theirs.path(), theirs.key()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut port = String::new();
    BufReader::new(receiver.stdout.take().expect("it is piped")).read_line(&mut port).expect("it says its port");
    let url = format!("https://127.0.0.1:{}/", port.trim());
    let with = |roots: &Certificate| {
        let roots = roots.path().display().to_string();
        Service::start(&["--languages", "bash", "--webhook-allow-private", "--webhook-roots", &roots])
    };
    let service = with(&anothers);
    let id = service.submit(&job(&url));
    let told = wait_for(&service, &id, |webhook| webhook["attempts"] == 1 && webhook["last_error"].is_string());
    let error = told["webhook"]["last_error"].as_str().expect("a text");
    assert!(error.contains("could not be encrypted") && error.contains("certificate"), "{told}");
    service.stop();
    let service = with(&theirs);
    let id = service.submit(&job(&url));
    let told = wait_for(&service, &id, |webhook| webhook["status"] == "delivered");
    assert_eq!(told["webhook"]["attempts"], 1, "{told}");
    service.stop();
    receiver.kill().expect("it can be ended");
    receiver.wait().expect("it is over");

    let bad = firebox().args(["serve", "--webhook-roots", "Cargo.toml"]).run();
    assert!(bad.code() == 2 && bad.stderr().contains("Cargo.toml"), "{bad}");
}
