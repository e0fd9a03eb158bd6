//! A registry that misbehaves as it was told to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firebox_image::{Digest, Platform};

/// What it does instead of answering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Answers this status.
    Status(u16),
    /// Answers that there is too much to do, and when to ask again, in seconds.
    Busy(u32),
    /// The same, by the moment that comes in so many seconds.
    BusyUntil(u32),
    /// Names somebody else to get a token from.
    Realm(&'static str),
    /// Gives so many bytes and hangs up.
    Cut(usize),
    /// Gives so many bytes and says nothing more.
    Stall(usize),
    /// Gives a byte now and then.
    Dribble,
    /// Says that there are more bytes than there are.
    Longer,
    /// Says that there is half of what there is, and gives so much.
    Shorter,
    /// Gives other bytes.
    Other,
    /// Knows no ranges.
    NoRanges,
    /// Gives another part than was asked for.
    WrongRange,
    /// Sends whoever asks elsewhere.
    Redirect,
    /// What it says is no HTTP.
    Noise,
}

/// What questions are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum About {
    Token,
    Manifest,
    Configuration,
    Layer,
}

/// When somebody asked, and what: `path range authorization`.
type Question = (Instant, String);

/// One image of one layer. Faults are used up in their order by questions about one thing.
pub(crate) struct FaultyRegistry {
    pub(crate) host: String,
    questions: Arc<Mutex<Vec<Question>>>,
    shelf: Arc<Shelf>,
    ended: Option<JoinHandle<()>>,
}

/// What questions for a token begin with.
const TOKEN: &str = "/token?";

struct Shelf {
    host: String,
    documents: HashMap<String, Vec<u8>>,
    /// What questions begin with that meet faults.
    about: String,
    faults: Mutex<Vec<Fault>>,
    /// The token that opens it, if it wants one.
    token: Option<String>,
    over: Mutex<bool>,
}

impl FaultyRegistry {
    pub(crate) fn start(about: About, layer: &[u8], mut faults: Vec<Fault>, token: Option<&str>) -> FaultyRegistry {
        faults.reverse();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let digest = Digest::of(layer);
        let config = format!(
            r#"{{"os":"linux","architecture":"{}","rootfs":{{"type":"layers","diff_ids":["{digest}"]}}}}"#,
            Platform::of_this_host().to_string().trim_start_matches("linux/")
        );
        let described =
            |bytes: &[u8]| format!(r#"{{"mediaType":"x","digest":"{}","size":{}}}"#, Digest::of(bytes), bytes.len());
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
            described(config.as_bytes()),
            described(layer)
        );
        let layer_path = format!("/v2/x/blobs/{digest}");
        let manifest_path = "/v2/x/manifests/latest".to_owned();
        let config_path = format!("/v2/x/blobs/{}", Digest::of(config.as_bytes()));
        let about = match about {
            About::Token => TOKEN.to_owned(),
            About::Manifest => manifest_path.clone(),
            About::Configuration => config_path.clone(),
            About::Layer => layer_path.clone(),
        };
        let documents = HashMap::from([
            (manifest_path, manifest.into_bytes()),
            (config_path, config.into_bytes()),
            ("/elsewhere".to_owned(), layer.to_vec()),
            (layer_path, layer.to_vec()),
        ]);
        let shelf = Arc::new(Shelf {
            host: host.clone(),
            documents,
            about,
            faults: Mutex::new(faults),
            token: token.map(str::to_owned),
            over: Mutex::new(false),
        });
        let questions = Arc::new(Mutex::new(Vec::new()));
        let ended = std::thread::spawn({
            let (shelf, questions) = (shelf.clone(), questions.clone());
            move || {
                for stream in listener.incoming() {
                    if *shelf.over.lock().unwrap() {
                        return;
                    }
                    let (shelf, questions) = (shelf.clone(), questions.clone());
                    std::thread::spawn(move || {
                        // Whoever asked may hang up whenever it likes.
                        let _ = shelf.serve(&stream.unwrap(), &questions);
                    });
                }
            }
        });
        FaultyRegistry { host, questions, shelf, ended: Some(ended) }
    }

    /// Questions with this in them, as `path range authorization`.
    pub(crate) fn asked_for(&self, part: &str) -> Vec<String> {
        self.moments_of(part).into_iter().map(|(_, question)| question).collect()
    }

    /// The same, with when they came.
    pub(crate) fn moments_of(&self, part: &str) -> Vec<Question> {
        self.questions.lock().unwrap().iter().filter(|(_, question)| question.contains(part)).cloned().collect()
    }
}

/// As HTTP writes it.
fn moment_in(seconds: u32) -> String {
    let mut date = Command::new("date");
    date.args(["-u", &format!("-d+{seconds} seconds"), "+%a, %d %b %Y %H:%M:%S GMT"]).env("LC_ALL", "C");
    String::from_utf8(date.output().unwrap().stdout).unwrap().trim().to_owned()
}

impl Drop for FaultyRegistry {
    fn drop(&mut self) {
        *self.shelf.over.lock().unwrap() = true;
        // So that it looks.
        drop(TcpStream::connect(&self.host));
        self.ended.take().unwrap().join().unwrap();
    }
}

impl Shelf {
    fn serve(&self, stream: &TcpStream, questions: &Mutex<Vec<Question>>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if reader.read_until(b'\n', &mut head)? == 0 {
                    return Ok(());
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
            };
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let from = header("range").and_then(|range| range[6..].trim_end_matches('-').parse::<usize>().ok());
            let authorization = header("authorization");
            let said = authorization.clone().unwrap_or_default();
            let question = format!("{path} {} {said}", from.unwrap_or(0));
            questions.lock().unwrap().push((Instant::now(), question));
            if !self.answer(stream, &path, from, authorization.as_deref())? {
                return Ok(());
            }
        }
    }

    /// The next one, if the question is about what meets them.
    fn fault(&self, path: &str) -> Option<Fault> {
        path.starts_with(&self.about).then(|| self.faults.lock().unwrap().pop()).flatten()
    }

    /// Answers one question; false when the connection is over.
    fn answer(
        &self,
        mut stream: &TcpStream,
        path: &str,
        from: Option<usize>,
        said: Option<&str>,
    ) -> std::io::Result<bool> {
        let mut say = |status: u16, headers: &str, length: usize, body: &[u8]| {
            write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{headers}\r\n")?;
            stream.write_all(body).map(|()| body.len() == length)
        };
        let token = format!(r#"{{"token":"{}"}}"#, self.token.as_deref().unwrap_or_default());
        let document: &[u8] = if let Some(query) = path.strip_prefix(TOKEN) {
            assert!(query.contains("service=here"), "{query}");
            token.as_bytes()
        } else {
            let wants = self.token.as_ref().map(|token| format!("Bearer {token}"));
            if path.starts_with("/v2/") && wants.as_deref() != said && wants.is_some() {
                let realm = match self.fault(path) {
                    Some(Fault::Realm(realm)) => realm.to_owned(),
                    _ => format!("http://{}/token", self.host),
                };
                let scope = "service=\"here\",scope=\"repository:x:pull\"";
                let challenge = format!("www-authenticate: Bearer realm=\"{realm}\",{scope}\r\n");
                return say(401, &challenge, 0, b"");
            }
            let Some(document) = self.documents.get(path) else { return say(404, "", 0, b"") };
            document
        };
        let fault = self.fault(path);
        let start = from.filter(|_| fault != Some(Fault::NoRanges)).unwrap_or(0);
        let start = if fault == Some(Fault::WrongRange) { start.saturating_sub(1) } else { start };
        let body = &document[start..];
        let (status, range) = match from {
            Some(_) if fault != Some(Fault::NoRanges) => {
                (206, format!("content-range: bytes {start}-{}/{}\r\n", document.len() - 1, document.len()))
            }
            _ => (200, String::new()),
        };
        match fault {
            None | Some(Fault::NoRanges | Fault::WrongRange | Fault::Realm(_)) => say(status, &range, body.len(), body),
            Some(Fault::Status(status)) => say(status, "retry-after: 0\r\n", 0, b""),
            Some(Fault::Busy(seconds)) => say(429, &format!("retry-after: {seconds}\r\n"), 0, b""),
            Some(Fault::BusyUntil(seconds)) => say(429, &format!("retry-after: {}\r\n", moment_in(seconds)), 0, b""),
            Some(Fault::Cut(most)) => say(status, &range, body.len(), &body[..most.min(body.len())]).map(|_| false),
            Some(Fault::Stall(most)) => {
                say(status, &range, body.len(), &body[..most.min(body.len())])?;
                // Until whoever asked has lost patience and hangs up.
                stream.set_read_timeout(Some(Duration::from_secs(120)))?;
                stream.read(&mut [0]).map(|_| false)
            }
            Some(Fault::Dribble) => {
                say(status, &range, body.len(), b"")?;
                for byte in body {
                    stream.write_all(&[*byte])?;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(false)
            }
            Some(Fault::Shorter) => say(status, &range, body.len() / 2, &body[..body.len() / 2]),
            Some(Fault::Longer) => say(status, &range, body.len() + 100, &[body, &[7; 100]].concat()),
            Some(Fault::Other) => say(status, &range, body.len(), &vec![7; body.len()]),
            Some(Fault::Redirect) => say(307, &format!("location: http://{}/elsewhere\r\n", self.host), 0, b""),
            Some(Fault::Noise) => {
                stream.write_all(b"\x00\x01\x02 what?\r\n\r\n")?;
                Ok(false)
            }
        }
    }
}
