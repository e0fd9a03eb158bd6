//! A doorman before a server of HTTP, on this host: sees what each question begins with, and lets it pass, changed or not, or answers it himself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens until the test's process ends.
pub(crate) struct Doorman {
    /// `HOST:PORT`.
    pub(crate) host: String,
    heard: Arc<Mutex<Vec<Head>>>,
}

/// What a question begins with.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The method and the path.
    pub(crate) said: String,
    /// Names are in small letters.
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the header says, which does not pass.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.headers.iter().position(|(known, _)| known == name)?;
        Some(self.headers.remove(at).1)
    }

    fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Head>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let said = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
        let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok(Some(Head { said, headers: headers.collect() }))
    }
}

/// What a doorman answers himself: a status, and a text.
pub(crate) type Answer = (u16, String);

impl Doorman {
    /// At any port of this host.
    pub(crate) fn start(server: &str, rule: impl Fn(&mut Head) -> Option<Answer> + Send + Sync + 'static) -> Doorman {
        Doorman::start_at("127.0.0.1:0", server, rule)
    }

    /// `server` is never asked where the rule has an answer to everything.
    pub(crate) fn start_at(
        at: &str,
        server: &str,
        rule: impl Fn(&mut Head) -> Option<Answer> + Send + Sync + 'static,
    ) -> Doorman {
        let listener = TcpListener::bind(at).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::default());
        let doorman = Doorman { host, heard: Arc::clone(&heard) };
        let (rule, server) = (Arc::new(rule), server.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (rule, server, heard, stream) = (rule.clone(), server.clone(), heard.clone(), stream.unwrap());
                // Whoever hangs up has what it wanted.
                std::thread::spawn(move || pass(&stream, &server, &*rule, &heard).ok());
            }
        });
        doorman
    }

    /// What came, as it came.
    pub(crate) fn heard(&self) -> Vec<Head> {
        self.heard.lock().unwrap().clone()
    }
}

/// One question and its answer; each comes on a connection of its own.
fn pass(
    mut client: &TcpStream,
    server: &str,
    rule: &dyn Fn(&mut Head) -> Option<Answer>,
    heard: &Mutex<Vec<Head>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let Some(mut head) = Head::read(&mut reader)? else { return Ok(()) };
    heard.lock().unwrap().push(head.clone());
    let mut body = vec![0; head.header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    if let Some((status, text)) = rule(&mut head) {
        let length = text.len();
        return write!(client, "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}");
    }
    let mut server = TcpStream::connect(server)?;
    head.take("connection");
    let headers: String = head.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(server, "{} HTTP/1.1\r\n{headers}connection: close\r\n\r\n", head.said)?;
    server.write_all(&body)?;
    std::io::copy(&mut server, &mut client).map(drop)
}
