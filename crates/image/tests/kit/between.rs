//! Somebody between a client and a server of HTTP, on this host, who does to what passes what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is done to a question or its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meddling {
    /// Answers this itself.
    Status(u16),
    /// Hangs up before the question is passed on.
    Cut,
    /// Passes on so many bytes of the answer's body, and hangs up.
    CutAnswer(usize),
    /// Passes on so many bytes of the answer's body, and then says no more.
    Stall(usize),
    /// Passes the answer on, a byte of it now and then.
    Drip,
    /// Passes on another content of the same length.
    Other,
    /// Says that there is more than there is.
    Longer,
    /// Says that there is less than there is, and gives so much.
    Shorter,
    /// Goes on for ever.
    Endless,
    /// Passes the question on, and loses the answer.
    Lost,
}

/// Which questions, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) method: &'static str,
    /// What is in the path.
    pub(crate) path: &'static str,
    pub(crate) meddling: Meddling,
    pub(crate) times: usize,
}

/// Listens until the test's process ends.
pub(crate) struct Between {
    /// `HOST:PORT`.
    pub(crate) host: String,
    state: Arc<State>,
}

struct State {
    server: String,
    rules: Mutex<Vec<Rule>>,
    questions: Mutex<Vec<String>>,
}

impl Between {
    pub(crate) fn start(server: &str, rules: &[Rule]) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (rules, questions) = (Mutex::new(rules.to_vec()), Mutex::default());
        let state = Arc::new(State { server: server.to_owned(), rules, questions });
        let between = Between { host, state: state.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (state, stream) = (state.clone(), stream.unwrap());
                // Whoever hangs up has what it wanted.
                std::thread::spawn(move || state.pass(&stream).ok());
            }
        });
        between
    }

    /// The questions that came: their methods and paths.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.state.questions.lock().unwrap().clone()
    }
}

impl State {
    /// One question and its answer; each comes on a connection of its own.
    fn pass(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client);
        let (mut head, mut first, mut length) = (String::new(), String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let name = line.to_ascii_lowercase();
            if let Some(value) = name.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if first.is_empty() {
                first = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
            }
            if line == "\r\n" {
                break;
            }
            if !name.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        self.questions.lock().unwrap().push(first.clone());
        let meddling = self.meddling(&first);
        match meddling {
            Some(Meddling::Cut) => return Ok(()),
            Some(Meddling::Status(status)) => {
                let text = "<Error><Code>Meddled</Code><Message>on purpose</Message></Error>";
                let length = text.len();
                let retry = "retry-after: 0\r\nconnection: close\r\n";
                return write!(client, "HTTP/1.1 {status} x\r\n{retry}content-length: {length}\r\n\r\n{text}");
            }
            _ => {}
        }
        let mut server = TcpStream::connect(&self.server)?;
        write!(server, "{head}connection: close\r\n\r\n")?;
        server.write_all(&body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let (head, body) = answer.split_at(at);
        let said = |length: usize| {
            let head = String::from_utf8_lossy(head);
            let lines =
                head.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
            format!("{}\r\ncontent-length: {length}\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n")).into_bytes()
        };
        let mut say = |parts: &[&[u8]]| parts.iter().try_for_each(|part| client.write_all(part));
        match meddling {
            Some(Meddling::CutAnswer(most)) => say(&[head, &body[..most.min(body.len())]]),
            Some(Meddling::Stall(most)) => {
                // An answer without a body is over with its head.
                let head = if body.is_empty() { b"" } else { head };
                say(&[head, &body[..most.min(body.len())]])?;
                // Until whoever asked has lost patience and hangs up.
                client.set_read_timeout(Some(Duration::from_secs(120)))?;
                client.read(&mut [0]).map(drop)
            }
            Some(Meddling::Drip) => answer.chunks(1).try_for_each(|byte| {
                std::thread::sleep(Duration::from_millis(100));
                say(&[byte])
            }),
            Some(Meddling::Other) => say(&[head, &vec![7; body.len()]]),
            Some(Meddling::Longer) => say(&[&said(body.len() + 100), body, &[7; 100]]),
            Some(Meddling::Shorter) => say(&[&said(body.len() / 2), &body[..body.len() / 2]]),
            Some(Meddling::Endless) => {
                say(&[b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n"])?;
                loop {
                    say(&[&[b' '; 1 << 16]])?;
                }
            }
            Some(Meddling::Lost) => Ok(()),
            _ => say(&[head, body]),
        }
    }

    fn meddling(&self, question: &str) -> Option<Meddling> {
        let mut rules = self.rules.lock().unwrap();
        let (method, path) = question.split_once(' ')?;
        let fits = |rule: &&mut Rule| 0 < rule.times && rule.method == method && path.contains(rule.path);
        let rule = rules.iter_mut().find(fits)?;
        rule.times -= 1;
        Some(rule.meddling)
    }
}
