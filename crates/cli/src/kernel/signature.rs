//! Who has signed what a mirror says: asked of `gpgv`, where this host has it, and Debian's keys.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, anyhow};
use firebox_image::SignatureError;

/// Where Debian and its relatives have Debian's keys.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];
/// More than is read of any document of a mirror.
const MOST: u64 = 8 << 20;
/// More than it says of a few signatures.
const MOST_WORDS: u64 = 64 << 10;

/// The program and the keys.
pub(super) struct Checker {
    program: PathBuf,
    keyring: PathBuf,
}

/// What `gpgv` gives, and what it says of it.
struct Said {
    text: Vec<u8>,
    words: String,
    went_well: bool,
}

fn up_to(from: Option<impl Read>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.map_or(Ok(0), |from| from.take(most).read_to_end(&mut bytes))?;
    Ok(bytes)
}

impl Checker {
    /// With these keys, or the host's; none where something is missing and nobody insists.
    pub(super) fn find(keyring: Option<PathBuf>) -> anyhow::Result<Option<Checker>> {
        let path = env::var_os("PATH").unwrap_or_default();
        let program = env::split_paths(&path).map(|folder| folder.join("gpgv")).find(|program| program.is_file());
        match (program, keyring) {
            (Some(program), Some(keyring)) => {
                let keyring = std::path::absolute(&keyring)?;
                File::open(&keyring).with_context(|| format!("cannot read the keys in `{}`", keyring.display()))?;
                Ok(Some(Checker { program, keyring }))
            }
            (None, Some(_)) => Err(anyhow!("no `gpgv` on PATH: signatures cannot be checked on this host")),
            (Some(program), None) => {
                let keyring = KEYRINGS.iter().map(PathBuf::from).find(|keyring| keyring.is_file());
                Ok(keyring.map(|keyring| Checker { program, keyring }))
            }
            (None, None) => Ok(None),
        }
    }

    /// What of a document was signed by one of the keys: that, and nothing that stands around it.
    pub(super) fn signed(&self, document: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let Said { text, words, went_well } =
            self.asked(document).map_err(|error| SignatureError::Unable(error.into()))?;
        let wrong = |why: &str| {
            SignatureError::Wrong(anyhow!("{why}; the keys are those in `{}`", self.keyring.display()).into())
        };
        match went_well {
            _ if MOST < text.len() as u64 => Err(wrong("what was signed is longer than any such document")),
            true => Ok(text),
            false => Err(wrong(words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("gpgv says nothing"))),
        }
    }

    /// A document can be packed, and unpack to anything: so no more is taken of what comes out than is of use.
    fn asked(&self, document: &[u8]) -> anyhow::Result<Said> {
        let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
        let whole = folder.path().join("document");
        fs::write(&whole, document).context("cannot write for `gpgv`")?;
        let mut gpgv = Command::new(&self.program);
        gpgv.arg("--homedir")
            .arg(folder.path())
            .arg("--keyring")
            .arg(&self.keyring)
            .arg("--output")
            .arg("-")
            .arg(&whole);
        gpgv.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = gpgv.spawn().context("cannot start `gpgv`")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        // Both at once, as it may fill either; whoever says too much on one is not heard to the end, and ends by that.
        let (text, words) = thread::scope(|scope| {
            let words = scope.spawn(|| up_to(stderr, MOST_WORDS));
            (up_to(stdout, MOST + 1), words.join())
        });
        let status = child.wait().context("cannot wait for `gpgv`")?;
        let words = words.map_err(|_| anyhow!("cannot hear `gpgv`"))?.context("cannot hear `gpgv`")?;
        let words = String::from_utf8_lossy(&words).into_owned();
        Ok(Said { text: text.context("cannot read what `gpgv` gives")?, words, went_well: status.success() })
    }

    /// Where the keys are.
    pub(super) fn keyring(&self) -> &Path {
        &self.keyring
    }
}
