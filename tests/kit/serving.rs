//! `firebox serve`, and clients of it.

use std::ffi::OsString;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::firebox::{Started, firebox};
use super::running::Finished;
use super::tool;

/// How long anything of a service may take that happens by itself, on a busy machine.
pub(crate) const MOMENT: Duration = Duration::from_secs(60);

/// A service on a port of its own.
pub(crate) struct Service {
    pub(crate) call: Started,
    pub(crate) address: SocketAddr,
    scheme: String,
    /// What starts a client where the service can be reached.
    client: Vec<OsString>,
}

/// What a client was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// A request that `curl` makes, as users do.
pub(crate) struct Request {
    words: Vec<OsString>,
    wrapper: Vec<OsString>,
    body: Option<Vec<u8>>,
    address: SocketAddr,
}

impl Service {
    /// With these words behind `firebox serve`.
    pub(crate) fn start(words: &[&str]) -> Service {
        Service::of(firebox().args(["serve", "--listen", "127.0.0.1:0"]).args(words).start())
    }

    /// One that was started already.
    pub(crate) fn of(call: Started) -> Service {
        call.wait_for_stdout("\n");
        let said = call.stdout();
        let (before, address) = said.trim().rsplit_once("://").unwrap_or_else(|| panic!("no address in {said:?}"));
        let scheme = before.rsplit(' ').next().expect("there is at least one").to_owned();
        let address = address.parse().unwrap_or_else(|error| panic!("{error}: {said:?}"));
        Service { address, scheme, call, client: Vec::new() }
    }

    /// One whose clients these words start, as it listens where others are not.
    pub(crate) fn reached_through(self, client: &[OsString]) -> Service {
        Service { client: client.to_vec(), ..self }
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        let url = format!("{}://{}{path}", self.scheme, self.address);
        let words = ["--silent", "--show-error", "--include", "--no-buffer", "--max-time", "60", &url];
        let words = words.into_iter().map(OsString::from).collect();
        Request { words, wrapper: self.client.clone(), body: None, address: self.address }
    }

    /// A request with a body that is said to be JSON.
    pub(crate) fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Request {
        let body = Some(body.into());
        Request { body, ..self.get(path).with(&["--header", "content-type: application/json", "--data-binary", "@-"]) }
    }

    pub(crate) fn execute(&self, request: &Value) -> Request {
        self.post("/v1/execute", request.to_string())
    }

    /// Hands in a job that outlives its connection, and returns its id.
    pub(crate) fn submit(&self, job: &Value) -> String {
        let answer = self.post("/v1/jobs", job.to_string()).answer();
        assert_eq!(answer.code, 202, "{answer:?}");
        answer.json()["id"].as_str().expect("a job has an id").to_owned()
    }

    /// A connection of one's own, for what no honest client does.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the service listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
        stream
    }

    /// Kills it as nothing else can, and waits until its kernel has ended what it could not.
    pub(crate) fn kill(self) {
        self.call.signal(Signal::KILL);
        let (ended, guard) = self.call.wait_keeping_guard();
        assert!(!ended.status.success(), "{ended}");
        let until = Instant::now() + MOMENT;
        while !guard.processes().is_empty() {
            assert!(Instant::now() < until, "its cells are still there: {:?}", guard.contents());
            std::thread::yield_now();
        }
    }

    /// Tells it to stop, and sees that nothing is left of it.
    pub(crate) fn stop(self) -> Finished {
        self.call.signal(Signal::TERM);
        let ended = self.call.wait().leaving_nothing();
        assert_eq!(ended.code(), 0, "{ended}");
        ended
    }
}

impl Request {
    pub(crate) fn with(mut self, words: &[&str]) -> Request {
        self.words.extend(words.iter().map(OsString::from));
        self
    }

    /// Begins, and lets the caller look at what comes, or go away.
    pub(crate) fn start(self) -> Child {
        let mut words = self.wrapper.into_iter().chain([tool("curl").into_os_string()]).chain(self.words);
        let mut command = Command::new(words.next().expect("curl at least"));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start curl: {error}"));
        let mut stdin = child.stdin.take().expect("it is piped");
        let body = self.body.unwrap_or_default();
        // Another thread, since the answer may come before the end of the question.
        std::thread::spawn(move || {
            let _ = stdin.write_all(&body);
        });
        child
    }

    pub(crate) fn answer(self) -> Answer {
        let address = self.address;
        let output = self.start().wait_with_output().expect("curl ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (headers, body) =
            said.rsplit_once("\r\n\r\n").map_or((said.as_str(), ""), |(headers, body)| (headers, body));
        // What came before, such as `100 Continue`, is none of it.
        let headers = headers.rsplit_once("\r\n\r\n").map_or(headers, |(_, last)| last);
        let code = headers.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.unwrap_or_else(|| {
            panic!("no answer from {address}: {said:?} {}", String::from_utf8_lossy(&output.stderr))
        });
        Answer { code, headers: headers.to_lowercase(), body: body.to_owned() }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
