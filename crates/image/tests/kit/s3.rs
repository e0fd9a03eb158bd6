//! `s3s-fs`, a server that speaks S3 and keeps objects as files, on this host, for one test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::server::{Says, Server};
use super::skipped;

/// Says where it is.
const PROGRAM: &str = "FIREBOX_TEST_S3";

/// Who may ask.
const KEYS: [&str; 4] = ["--access-key", RealS3::KEY, "--secret-key", RealS3::SECRET];

/// A server that ends with the test.
pub(crate) struct RealS3 {
    _server: Server,
    /// `HOST:PORT`.
    pub(crate) host: String,
    root: PathBuf,
}

impl RealS3 {
    pub(crate) const KEY: &str = "a-key";
    pub(crate) const SECRET: &str = "a-secret-that-nobody-is-told";

    /// Whether it is installed. Where not, that is said: `cargo xtask test` installs it.
    pub(crate) fn may_be() -> bool {
        let is_there = std::env::var_os(PROGRAM).is_some();
        if !is_there {
            skipped(&format!("s3s-fs is not installed: {PROGRAM} would say where"));
        }
        is_there
    }

    /// None where it may not be.
    pub(crate) fn start(directory: &Path) -> Option<RealS3> {
        RealS3::start_with(directory, &KEYS)
    }

    /// One whose buckets are hosts below this one.
    pub(crate) fn start_below(directory: &Path, domain: &str) -> Option<RealS3> {
        RealS3::start_with(directory, &[&KEYS[..], &["--domain", domain]].concat())
    }

    /// One that asks nobody for a key.
    pub(crate) fn start_for_all(directory: &Path) -> Option<RealS3> {
        RealS3::start_with(directory, &[])
    }

    fn start_with(directory: &Path, words: &[&str]) -> Option<RealS3> {
        let program = RealS3::may_be().then(|| std::env::var_os(PROGRAM)).flatten()?;
        let root = directory.join("buckets");
        std::fs::create_dir_all(&root).unwrap();
        let mut s3s = Command::new(program);
        s3s.args(["--host", "127.0.0.1", "--port", "0"]).args(words).arg(&root);
        s3s.env("RUST_LOG", "info").env("NO_COLOR", "1");
        let (server, host) = Server::start(&mut s3s, &Says::Output, |line| {
            let (_, host) = line.split_once("http://127.0.0.1:")?;
            Some(format!("127.0.0.1:{}", host.chars().take_while(char::is_ascii_digit).collect::<String>()))
        })
        .expect("the server of S3 ended before it listened");
        Some(RealS3 { _server: server, host, root })
    }

    pub(crate) fn make_bucket(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// What the environment says to whoever uses it.
    pub(crate) fn variables(&self, at: &str) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ENDPOINT_URL", format!("http://{at}")),
            ("AWS_ACCESS_KEY_ID", RealS3::KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", RealS3::SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// All objects of a bucket: their names, lengths, and when they were written. What the server notes for itself is left out.
pub(crate) fn objects(bucket: &Path) -> Vec<(String, u64, SystemTime)> {
    let mut found = Vec::new();
    let mut folders = vec![bucket.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let name = entry.path().strip_prefix(bucket).unwrap().to_str().unwrap().to_owned();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if !name.starts_with('.') {
                found.push((name, metadata.len(), metadata.modified().unwrap()));
            }
        }
    }
    found.sort();
    found
}
