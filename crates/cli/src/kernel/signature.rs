//! Who has signed what a mirror says: asked of `gpgv`, where this host has it, and Debian's keys.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};

/// Where Debian and its relatives have Debian's keys.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];
/// More than is read of any document of a mirror.
const MOST: u64 = 8 << 20;

/// The program and the keys.
pub(super) struct Checker {
    program: PathBuf,
    keyring: PathBuf,
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
    pub(super) fn signed(&self, document: &[u8]) -> anyhow::Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
        let (whole, signed) = (folder.path().join("document"), folder.path().join("signed"));
        fs::write(&whole, document).context("cannot write for `gpgv`")?;
        let mut gpgv = Command::new(&self.program);
        gpgv.arg("--homedir")
            .arg(folder.path())
            .arg("--keyring")
            .arg(&self.keyring)
            .arg("--output")
            .arg(&signed)
            .arg(&whole);
        let output = gpgv.env("LC_ALL", "C").stdin(Stdio::null()).output().context("cannot start `gpgv`")?;
        if !output.status.success() {
            let says = String::from_utf8_lossy(&output.stderr);
            let last = says.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("gpgv says nothing").to_owned();
            return Err(anyhow!("{last}; the keys are those in `{}`", self.keyring.display()));
        }
        let mut text = Vec::new();
        File::open(&signed)
            .and_then(|file| file.take(MOST).read_to_end(&mut text))
            .context("cannot read what `gpgv` wrote")?;
        Ok(text)
    }

    /// Where the keys are.
    pub(super) fn keyring(&self) -> &Path {
        &self.keyring
    }
}
