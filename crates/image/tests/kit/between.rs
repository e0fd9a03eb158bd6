//! Somebody between a client and a server of HTTP, on this host, who does to what passes what the test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What is done to a question or its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meddling {
    /// Nothing.
    Pass,
    /// Answers this itself.
    Status(u16),
    /// Answers that there is too much to do, and when to ask again, in seconds.
    Busy(u32),
    /// Waits with it until another about the same is here as well, or for so long.
    Meet(Duration),
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

/// What came, and when.
#[derive(Clone)]
pub(crate) struct Question {
    /// The method and the path.
    pub(crate) said: String,
    /// Where the piece begins that is asked for, if it is one.
    pub(crate) from: Option<u64>,
    pub(crate) at: Instant,
}

struct State {
    server: String,
    rules: Mutex<Vec<Rule>>,
    questions: Mutex<Vec<Question>>,
    here: Here,
}

/// Questions that came and are not answered yet.
#[derive(Default)]
struct Here {
    now: Mutex<Vec<Arc<str>>>,
    /// Somebody came.
    came: Condvar,
    /// What was here at each moment at which one came.
    moments: Mutex<Vec<Vec<Arc<str>>>>,
}

impl Between {
    pub(crate) fn start(server: &str, rules: &[Rule]) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (rules, questions) = (Mutex::new(rules.to_vec()), Mutex::default());
        let state = Arc::new(State { server: server.to_owned(), rules, questions, here: Here::default() });
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
        self.about("").into_iter().map(|question| question.said).collect()
    }

    /// Those with this in them.
    pub(crate) fn about(&self, part: &str) -> Vec<Question> {
        let questions = self.state.questions.lock().unwrap();
        questions.iter().filter(|question| question.said.contains(part)).cloned().collect()
    }

    /// How many of one method and with this in their paths were here at once.
    pub(crate) fn most_at_once(&self, method: &str, path: &str) -> usize {
        self.state.here.most_at_once(method, path)
    }
}

impl Here {
    /// A question is here for as long as somebody holds what this returns.
    fn enter(&self, said: &str) -> Inside<'_> {
        let said: Arc<str> = said.into();
        let mut now = self.now.lock().unwrap();
        now.push(said.clone());
        self.moments.lock().unwrap().push(now.clone());
        self.came.notify_all();
        Inside { here: self, said }
    }

    fn most_at_once(&self, method: &str, path: &str) -> usize {
        let is_meant = |said: &&Arc<str>| said.starts_with(method) && said.contains(path);
        let moments = self.moments.lock().unwrap();
        moments.iter().map(|here| here.iter().filter(is_meant).count()).max().unwrap_or(0)
    }
}

struct Inside<'a> {
    here: &'a Here,
    said: Arc<str>,
}

impl Inside<'_> {
    /// Waits until two that are about the same were here at once.
    fn meet(&self, within: Duration) {
        let (method, path) = self.said.split_once(' ').unwrap();
        let path = path.split('?').next().unwrap();
        let is_alone = |_: &mut Vec<_>| self.here.most_at_once(method, path) < 2;
        drop(self.here.came.wait_timeout_while(self.here.now.lock().unwrap(), within, is_alone).unwrap());
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.here.now.lock().unwrap().retain(|said| !Arc::ptr_eq(said, &self.said));
    }
}

impl State {
    /// One question and its answer; each comes on a connection of its own.
    fn pass(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client);
        let (mut head, mut first, mut length, mut from) = (String::new(), String::new(), 0, None);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let name = line.to_ascii_lowercase();
            if let Some(value) = name.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if let Some(value) = name.strip_prefix("range: bytes=") {
                from = value.split('-').next().and_then(|from| from.parse().ok());
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
        let question = Question { said: first.clone(), from, at: Instant::now() };
        self.questions.lock().unwrap().push(question);
        let inside = self.here.enter(&first);
        let meddling = self.meddling(&first);
        match meddling {
            Some(Meddling::Cut) => return Ok(()),
            Some(Meddling::Meet(within)) => inside.meet(within),
            Some(Meddling::Busy(seconds)) => {
                let head = format!("retry-after: {seconds}\r\nconnection: close\r\ncontent-length: 0");
                return write!(client, "HTTP/1.1 429 x\r\n{head}\r\n\r\n");
            }
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
        // Whoever is answered may ask the next before we are done with this.
        drop(inside);
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
