//! A server that answers with whatever nobody would: whoever asks it is told that it went wrong, in time, and no more.

mod kit;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use firebox_image::{Bucket, OciLayout, Patience, Settings, Store};
use kit::{Made, chain, has, take};

/// Answers every question with the same bytes, and hangs up.
fn serve(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            // Whoever hangs up has what it wanted.
            std::thread::spawn(move || say(&stream.unwrap(), &answer).ok());
        }
    });
    host
}

fn say(mut stream: &TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    stream.write_all(answer)
}

fn answers() -> Vec<Vec<u8>> {
    let good = "last-modified: Sun, 22 Nov 2026 03:40:22 GMT\r\netag: \"x\"\r\n";
    let list = |inner: &str| {
        let text = format!("<ListBucketResult><Name>images</Name>{inner}</ListBucketResult>");
        format!("HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n{text}", text.len())
    };
    let contents = |key: &str, size: &str, when: &str| {
        list(&format!("<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{when}</LastModified></Contents>"))
    };
    let entities = (0..30).map(|n| format!("<!ENTITY a{} \"&a{n};&a{n};\">", n + 1)).collect::<String>();
    let texts = vec![
        String::new(),
        "\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH\r\n".to_owned(),
        "HTTP/1.1 200 x\r\n\r\n".to_owned(),
        "HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 x\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 x\r\ncontent-length: 18446744073709551615\r\n\r\n".to_owned(),
        "HTTP/1.1 200 x\r\ncontent-length: 99999999999999999999999\r\n\r\n".to_owned(),
        "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx".to_owned(),
        "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx".to_owned(),
        format!("HTTP/1.1 200 x\r\ncontent-encoding: gzip\r\n{good}content-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 x\r\n{good}content-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 206 x\r\n{good}content-range: bytes 0-18446744073709551615/5\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 206 x\r\n{good}content-range: bytes 5-1/18446744073709551615\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 206 x\r\n{good}content-range: lines\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("HTTP/1.1 204 x\r\n{good}\r\n"),
        "HTTP/1.1 200 x\r\nlast-modified: never\r\netag: \u{fffd}\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        "HTTP/1.1 304 x\r\n\r\n".to_owned(),
        "HTTP/1.1 301 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 409 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 999 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 403 x\r\ncontent-length: 9\r\n\r\n\u{1b}[2J<Code>".to_owned(),
        "HTTP/1.1 503 x\r\nretry-after: 99999999999999999999\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 x\r\n{}\r\n", "x: y\r\n".repeat(100_000)),
        format!("HTTP/1.1 200 x\r\nx: {}\r\n\r\n", "y".repeat(10_000_000)),
        "HTTP/1.1 100 x\r\n\r\n".repeat(1000),
        list("<IsTruncated>true</IsTruncated>"),
        list("<IsTruncated>perhaps</IsTruncated>"),
        list(&"<Contents>".repeat(100_000)),
        contents("names/../../x", "1", "2026-11-22T03:40:22.000Z"),
        contents("names/x", "-1", "2026-11-22T03:40:22.000Z"),
        contents("names/x", "99999999999999999999999", "2026-11-22T03:40:22.000Z"),
        contents("names/x", "1", "262143-99-99T99:99:99.000Z"),
        format!("HTTP/1.1 200 x\r\nconnection: close\r\n\r\n<!DOCTYPE x [<!ENTITY a0 \"ha\">{entities}]><ListBucketResult><Name>&a30;</Name></ListBucketResult>"),
        "HTTP/1.1 200 x\r\nconnection: close\r\n\r\n<InitiateMultipartUploadResult><UploadId>\r\n&amp;#?/\u{7f}</UploadId></InitiateMultipartUploadResult>".to_owned(),
    ];
    let mut answers: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    answers.push(vec![0; 1 << 20]);
    answers.push((0..=255u8).cycle().take(1 << 20).collect());
    answers
}

#[test]
fn whatever_is_answered_it_goes_wrong_and_nothing_else_happens() {
    if !has(&["umoci"]) {
        return;
    }
    let made = Made::image();
    let here = kit::store(made.directory.path());
    let name = "x".parse().unwrap();
    take(&here, &OciLayout::directory(&made.oci(), Some("x")).unwrap(), "x").unwrap();
    let other = Store::open(&made.directory.path().join("other"), None).unwrap();
    for answer in answers() {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        let host = serve(answer);
        let variables = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let settings = Settings {
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            endpoint: Some(format!("http://{host}")),
            patience: Patience {
                silence: Duration::from_secs(60),
                tries: 2,
                pause: Duration::from_millis(20),
                rate: 8 << 10,
            },
            parallel: 2,
        };
        let bucket = Bucket::open(&"images".parse().unwrap(), &settings).unwrap();
        let fetched = bucket.download(&other, &name, None, &|_| ());
        assert!(fetched.as_ref().is_err_and(|error| !chain(error).is_empty()), "{shown}: {fetched:?}");
        assert_eq!(other.names().unwrap(), [], "{shown}");
        // A server that says yes to everything is taken at its word by whoever sends: nobody could tell. It ends, though.
        let _ = bucket.upload(&here, &name, true, &|_| ());
        // A list may be empty. One without an end takes its time, and is another test's.
        if !shown.contains("<IsTruncated>true") {
            let listed = bucket.images();
            assert!(listed.as_ref().map_or(true, Vec::is_empty), "{shown}: {listed:?}");
        }
    }
    assert_eq!(other.verify().unwrap().damages, []);
    assert_eq!(here.verify().unwrap().damages, []);
}
