//! What speaks as Google Cloud Storage does: a doorman who knows one token, before a real server of S3.
//!
//! Google's XML API is that of S3 in paths, lists, pieces and words of error. What it has of its own is who may come in: a
//! token instead of a signature. So that is all that is made up here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::s3::RealS3;

/// Listens until the test's process ends.
pub(crate) struct LikeGoogle {
    /// `HOST:PORT`.
    pub(crate) host: String,
    s3: Arc<RealS3>,
}

impl LikeGoogle {
    pub(crate) const TOKEN: &str = "ya29.a-token-that-nobody-is-told";

    /// None where there is no server of S3.
    pub(crate) fn start(directory: &Path) -> Option<LikeGoogle> {
        let s3 = Arc::new(RealS3::start_for_all(directory)?);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = s3.host.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, stream) = (server.clone(), stream.unwrap());
                // Whoever hangs up has what it wanted.
                std::thread::spawn(move || pass(&stream, &server).ok());
            }
        });
        Some(LikeGoogle { host, s3 })
    }

    pub(crate) fn make_bucket(&self, name: &str) -> PathBuf {
        self.s3.make_bucket(name)
    }

    /// What the environment says to whoever uses it.
    pub(crate) fn variables(at: &str) -> Vec<(String, String)> {
        let variables =
            [("GOOGLE_BASE_URL", format!("http://{at}")), ("GOOGLE_BEARER_TOKEN", LikeGoogle::TOKEN.to_owned())];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// One question and its answer; each comes on a connection of its own.
fn pass(mut client: &TcpStream, server: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length, mut is_known) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        match line.trim_end().split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)) {
            Some((name, value)) if name == "authorization" => {
                is_known = value == format!("Bearer {}", LikeGoogle::TOKEN);
                continue;
            }
            Some((name, _)) if name == "connection" => continue,
            Some((name, value)) if name == "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if !is_known {
        let text = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>AuthenticationRequired</Code>\
            <Message>Authentication required.</Message></Error>";
        let length = text.len();
        return write!(client, "HTTP/1.1 401 x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}");
    }
    let mut server = TcpStream::connect(server)?;
    write!(server, "{head}connection: close\r\n\r\n")?;
    server.write_all(&body)?;
    std::io::copy(&mut server, &mut client).map(drop)
}
