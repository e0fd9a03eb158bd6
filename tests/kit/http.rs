//! A client of HTTP/1.1 on one connection that it keeps: no more than it takes to ask and to read the answer, so that what
//! is seen is the service. Nothing else of the kit is used in here, since the benchmark has this file, too.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take to come, or to go on.
const PATIENCE: Duration = Duration::from_secs(300);
/// More than any answer has that is asked for here.
const LARGEST: usize = 64 << 20;

/// A connection that is kept from request to request.
pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    /// What has been read and belongs to no answer yet.
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// In lower case, without the first line.
    headers: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, host: address.to_string(), unread: Vec::new() })
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Reply> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.send(head.as_bytes())?;
        self.receive()
    }

    /// Sends a body that is JSON and returns what is answered.
    pub(crate) fn post(&mut self, path: &str, accept: &str, json: &[u8]) -> Result<Reply> {
        self.begin_post(path, accept, json)?;
        self.receive()
    }

    /// Sends it and does not wait.
    pub(crate) fn begin_post(&mut self, path: &str, accept: &str, json: &[u8]) -> Result<()> {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\naccept: {accept}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.host,
            json.len()
        )
        .into_bytes();
        request.extend_from_slice(json);
        self.send(&request)
    }

    /// Whether the service has closed it meanwhile, as it may when nothing is asked for a while. What comes without having
    /// been asked for is an error.
    pub(crate) fn has_been_closed(&self) -> Result<bool> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.unread.is_empty() => Ok(false),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Err(wrong("something came that nobody had asked for")),
        }
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request)
    }

    pub(crate) fn receive(&mut self) -> Result<Reply> {
        let end = loop {
            match position(&self.unread, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read_more()?,
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| wrong("the head of an answer is no text"))?.to_lowercase();
        let (first, headers) = head.split_once("\r\n").ok_or_else(|| wrong("an answer without a first line"))?;
        let code = first.strip_prefix("http/1.1 ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let mut reply =
            Reply { code: code.ok_or_else(|| wrong(first))?, headers: headers.to_owned(), body: Vec::new() };
        reply.body = match (reply.header("content-length"), reply.header("transfer-encoding")) {
            (Some(length), None) => self.take(length.parse().map_err(|_| wrong(length))?)?,
            (None, Some("chunked")) => self.take_chunks()?,
            other => return Err(wrong(&format!("no telling where the answer ends: {other:?}"))),
        };
        Ok(reply)
    }

    fn take_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match position(&self.unread, b"\r\n") {
                    Some(end) => break self.unread.drain(..end + 2).collect::<Vec<u8>>(),
                    None => self.read_more()?,
                }
            };
            let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let length = usize::from_str_radix(&digits, 16).map_err(|_| wrong(&digits))?;
            body.extend(self.take(length)?);
            let end = self.take(2)?;
            if end != b"\r\n" {
                return Err(wrong("a chunk does not end where it should"));
            }
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.unread.len() < length {
            self.read_more()?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn read_more(&mut self) -> Result<()> {
        let mut some = [0; 1 << 16];
        let count = self.stream.read(&mut some)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&some[..count]);
        if LARGEST < self.unread.len() { Err(wrong("an answer without end")) } else { Ok(()) }
    }
}

impl Reply {
    /// By its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).next()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}
