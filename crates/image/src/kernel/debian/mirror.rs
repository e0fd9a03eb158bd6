//! A mirror of Debian's archive, and asking it.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;
use std::time::Duration;

use ureq::{Agent, BodyReader, ResponseExt};

use crate::digest::{Digest, DigestingReader};
use crate::kernel::fetch::{KernelProgress, Tell};
use crate::registry::{Patience, Reach, Steady, agent, is_busy, is_here, is_transient};

/// The address of a mirror: what comes before `dists` and `pool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror(String);

/// Text that is no address of a mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mirror: expected `https://HOST/PATH`, such as `https://deb.debian.org/debian`")]
pub struct NoMirror(pub String);

impl Default for Mirror {
    fn default() -> Mirror {
        Mirror("https://deb.debian.org/debian".to_owned())
    }
}

impl FromStr for Mirror {
    type Err = NoMirror;

    fn from_str(text: &str) -> Result<Mirror, NoMirror> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_letter = |byte: u8| byte.is_ascii_graphic() && !b"@?#\\\"<>`{}|^".contains(&byte);
        let is_mirror =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(is_letter));
        if is_mirror {
            Ok(Mirror(text.trim_end_matches('/').to_owned()))
        } else {
            Err(NoMirror(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mirror {
    /// Whether what comes from there has to be believed for another reason than that it came from there.
    pub(super) fn is_plain(&self) -> bool {
        self.0.starts_with("http://") && !is_here(&self.0)
    }

    fn reach(&self) -> Reach {
        match self.0.starts_with("https://") {
            true => Reach::Tls,
            false if is_here(&self.0) => Reach::Here,
            false => Reach::Plain,
        }
    }
}

/// What is known of a file before it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// Why a mirror does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// It cannot be reached, or what it says is no HTTP.
    #[error("cannot ask for `{url}`")]
    Ask {
        /// For what.
        url: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// It answers something else.
    #[error("`{url}` is answered with {status}")]
    Status {
        /// For what it was asked.
        url: String,
        /// What it said.
        status: u16,
    },
    /// It breaks off.
    #[error("`{url}` breaks off")]
    Cut {
        /// What.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// It is on this host, and sends on to somebody who is not.
    #[error("`{url}` leads to `{to}`, which is not on this host: name that mirror itself")]
    Elsewhere {
        /// What.
        url: String,
        /// Where it leads.
        to: String,
    },
    /// It is longer than it may be.
    #[error("`{url}` is longer than {most} bytes")]
    Long {
        /// What.
        url: String,
        /// How long it may be.
        most: u64,
    },
    /// It is another file than the one that was named.
    #[error(
        "`{url}` is not what the mirror's list says: {found_bytes} bytes with the digest {found}, not {size} with {expected}"
    )]
    Other {
        /// What.
        url: String,
        /// Its digest.
        found: Digest,
        /// How long it is.
        found_bytes: u64,
        /// What its digest should have been.
        expected: Digest,
        /// How long it should have been.
        size: u64,
    },
    /// It cannot be kept.
    #[error("cannot write what comes from `{url}`")]
    Write {
        /// What.
        url: String,
        /// Why not.
        source: io::Error,
    },
}

/// Somebody who asks one mirror.
pub(super) struct Asking<'m> {
    mirror: &'m Mirror,
    agent: Agent,
    patience: Patience,
}

impl<'m> Asking<'m> {
    pub(super) fn new(mirror: &'m Mirror, patience: Patience) -> Asking<'m> {
        Asking { mirror, agent: agent(mirror.reach(), patience), patience }
    }

    /// Something of which nothing is known but how long it may be.
    pub(super) fn document(&self, path: &str, most: u64) -> Result<Vec<u8>, MirrorError> {
        let (url, reader) = self.get(path)?;
        let mut bytes = Vec::new();
        match reader.take(most + 1).read_to_end(&mut bytes) {
            Err(source) => Err(MirrorError::Cut { url, source }),
            Ok(_) if most < bytes.len() as u64 => Err(MirrorError::Long { url, most }),
            Ok(_) => Ok(bytes),
        }
    }

    /// Something that is known, written to where it is to be: it is there as it was named, or this fails.
    pub(super) fn file(
        &self,
        path: &str,
        known: Known,
        into: &mut impl Write,
        tell: Tell<'_>,
    ) -> Result<(), MirrorError> {
        let Known { digest: expected, size } = known;
        let (url, reader) = self.get(path)?;
        let mut reader = DigestingReader::new(reader.take(size.saturating_add(1)));
        let mut buffer = vec![0; 256 << 10];
        let mut bytes = 0;
        loop {
            tell(KernelProgress::Downloading { bytes, of: size });
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    bytes += read as u64;
                    into.write_all(&buffer[..read]).map_err(|source| MirrorError::Write { url: url.clone(), source })?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(MirrorError::Cut { url, source }),
            }
        }
        match reader.finish() {
            (found, found_bytes) if found == expected && found_bytes == size => Ok(()),
            (found, found_bytes) => Err(MirrorError::Other { url, found, found_bytes, expected, size }),
        }
    }

    /// Asks until there is an answer, as often as there is patience for.
    fn get(&self, path: &str) -> Result<(String, Steady<BodyReader<'static>>), MirrorError> {
        let url = format!("{}/{path}", self.mirror);
        let mut tries = 0;
        loop {
            tries += 1;
            let is_last = self.patience.tries <= tries;
            match self.agent.get(&url).call() {
                // Who is believed for being here has to be here.
                Ok(response) if self.mirror.reach() == Reach::Here && !is_here(&response.get_uri().to_string()) => {
                    return Err(MirrorError::Elsewhere { url, to: response.get_uri().to_string() });
                }
                Ok(response) if response.status().as_u16() == 200 => {
                    return Ok((url, Steady::new(response.into_body().into_reader(), self.patience)));
                }
                Ok(response) if is_last || !is_busy(response.status()) => {
                    return Err(MirrorError::Status { url, status: response.status().as_u16() });
                }
                Err(source) if is_last || !is_transient(&source) => {
                    return Err(MirrorError::Ask { url, source: Box::new(source) });
                }
                _ => std::thread::sleep(
                    (Duration::from_millis(100) * 2u32.saturating_pow(tries)).min(self.patience.pause),
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_an_address_and_nothing_else() {
        for (text, is_plain) in [
            ("https://deb.debian.org/debian/", false),
            ("http://deb.debian.org/debian", true),
            ("http://127.0.0.1:8000", false),
            ("http://127.0.0.1.example.org/debian", true),
        ] {
            let mirror: Mirror = text.parse().unwrap();
            assert_eq!((mirror.is_plain(), mirror.to_string().as_str()), (is_plain, text.trim_end_matches('/')));
        }
        for text in
            ["", "deb.debian.org", "ftp://x/y", "https://", "https:///x", "https://a@b", "https://x/?y", "https://x y"]
        {
            assert!(text.parse::<Mirror>().is_err(), "{text}");
        }
    }
}
