//! SHA-256, the name by which registries and the store know content.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use sha2::{Digest as _, Sha256};

/// The SHA-256 of some content. As text: `sha256:` and 64 lower-case hexadecimal digits, as everywhere in OCI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: expected `sha256:` and 64 hexadecimal digits")]
pub struct NoDigest(pub String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The 64 digits alone: what a file is called by.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The digest that these 64 digits, and nothing else, stand for.
    pub fn from_hex(hex: &str) -> Option<Digest> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != 64 || !hex.as_bytes().iter().all(is_digit) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let value = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
            *byte = value(digits[0]) << 4 | value(digits[1]);
        }
        Some(Digest(bytes))
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Digest, NoDigest> {
        let hex = text.strip_prefix("sha256:");
        hex.and_then(Digest::from_hex).ok_or_else(|| NoDigest(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest in the making.
#[derive(Clone, Default)]
pub(crate) struct Digesting(Sha256);

impl Digesting {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A reader that notes the digest and the length of what goes through it.
pub(crate) struct DigestingReader<R> {
    inner: R,
    digesting: Digesting,
    length: u64,
}

impl<R: Read> DigestingReader<R> {
    pub(crate) fn new(inner: R) -> DigestingReader<R> {
        DigestingReader { inner, digesting: Digesting::default(), length: 0 }
    }

    /// What went through so far.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (self.digesting.finish(), self.length)
    }
}

impl<R: Read> Read for DigestingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digesting.update(&buffer[..read]);
        self.length += read as u64;
        Ok(read)
    }
}

/// A digest in the making on a thread of its own, so that whoever has the bytes can go on with them meanwhile.
pub(crate) struct DigestingBehind<'scope> {
    full: SyncSender<(Vec<u8>, usize)>,
    empty: Receiver<Vec<u8>>,
    digest: ScopedJoinHandle<'scope, Digest>,
}

/// How many chunks the thread may be behind.
const BEHIND: usize = 8;
const CHUNK: usize = 256 << 10;

impl<'scope> DigestingBehind<'scope> {
    pub(crate) fn start(scope: &'scope Scope<'scope, '_>) -> DigestingBehind<'scope> {
        let (full, chunks) = sync_channel::<(Vec<u8>, usize)>(BEHIND);
        let (used, empty) = channel();
        let digest = scope.spawn(move || {
            let mut digesting = Digesting::default();
            for (chunk, used_bytes) in chunks {
                digesting.update(&chunk[..used_bytes]);
                // Nobody wants it back once everything was put in.
                let _ = used.send(chunk);
            }
            digesting.finish()
        });
        DigestingBehind { full, empty, digest }
    }

    /// A chunk to fill.
    pub(crate) fn chunk(&self) -> Vec<u8> {
        self.empty.try_recv().unwrap_or_else(|_| vec![0; CHUNK])
    }

    /// The next bytes: the first `length` of a chunk. Waits when the thread is too far behind.
    pub(crate) fn put(&self, chunk: Vec<u8>, length: usize) {
        // It listens until it is told that there is no more, below.
        let _ = self.full.send((chunk, length));
    }

    pub(crate) fn finish(self) -> Digest {
        drop(self.full);
        self.digest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_reads_as_it_is_written() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn what_only_looks_like_a_digest_is_refused() {
        let short = &EMPTY[..EMPTY.len() - 1];
        let upper = EMPTY.to_uppercase();
        for text in ["", "sha256:", short, &upper, &format!("{EMPTY}0"), &EMPTY.replace("256", "512"), "sha256:../../x"]
        {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
