//! A kernel from a mirror of Debian's archive, each step named and measured by the one before.
//!
//! ```text
//! InRelease --signature, or the mirror's word--> list of packages --SHA-256, size--> package --SHA-256, size--> package file
//! ```
//!
//! Who checks a signature is told by the caller: that is done by a program, and none is started here.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod mirror;
mod packages;
mod release;

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

pub use mirror::{Mirror, MirrorError, NoMirror};
pub use packages::ListFault;
pub use release::ReleaseFault;

use crate::kernel::debian::mirror::Asking;
use crate::kernel::error::{FetchError, KernelExceeded};
use crate::kernel::fetch::{KernelProgress, KernelRequest};
use crate::kernel::unpacked::unpacked;
use crate::registry::Patience;
use crate::store::at;

/// What is asked of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debian {
    /// Which mirror.
    pub mirror: Mirror,
    /// Which suite, such as `bookworm`.
    pub suite: Suite,
}

/// The name of a suite: parts of a path, none of which leads out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite(String);

/// Text that is no name of a suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no suite of Debian's: such as `bookworm`, `stable-backports`")]
pub struct NoSuite(pub String);

impl std::str::FromStr for Suite {
    type Err = NoSuite;

    fn from_str(text: &str) -> Result<Suite, NoSuite> {
        let is_part = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~-".contains(&byte))
        };
        let is_suite = text.len() <= 80 && text.split('/').all(is_part);
        if is_suite { Ok(Suite(text.to_owned())) } else { Err(NoSuite(text.chars().take(80).collect())) }
    }
}

/// Why the first document, on which everything else rests, is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// It was checked, and is not right.
    #[error("Debian has not signed what the mirror gives as its `InRelease`")]
    Wrong(#[source] Box<dyn Error + Send + Sync>),
    /// It could not be checked, through no fault of the mirror's.
    #[error("the signature of what the mirror gives cannot be checked")]
    Unable(#[source] Box<dyn Error + Send + Sync>),
    /// It was not checked, and there is nothing else to believe.
    #[error(
        "`{0}` is asked in plain text, and its signature cannot be checked here: take a mirror by `https`, or install `gpgv` and `debian-archive-keyring`"
    )]
    Unchecked(Mirror),
}

/// Checks the signature of a document, and says what of it was signed. None where that cannot be done on this host.
pub type CheckSignature<'c> = &'c dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, SignatureError>;

/// Why a kernel is believed to be what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Whoever fetched it has given the file.
    Given,
    /// The mirror said so, which was reached by TLS or is on this very host.
    Mirror,
    /// Debian has signed it.
    Signature,
}

/// What every kernel for clouds of Debian's is named by.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// Several times what there is.
const RELEASE_MOST: u64 = 4 << 20;
const LIST_MOST: u64 = 128 << 20;

/// A package that was downloaded. Gone when it is dropped.
#[derive(Debug)]
pub(super) struct Downloaded {
    pub(super) path: PathBuf,
    /// Where from.
    url: String,
    trust: Trust,
}

impl Debian {
    /// Downloads the newest kernel for clouds to a file that is not there yet.
    pub(super) fn download(&self, path: PathBuf, request: &KernelRequest<'_>) -> Result<Downloaded, FetchError> {
        let KernelRequest { bounds, tell, check, .. } = request;
        tell(KernelProgress::Asking);
        let Debian { mirror, suite: Suite(suite) } = self;
        let asking = Asking::new(mirror, Patience::default());
        let (release, trust) = self.release(&asking, *check)?;
        let (list, known) = release::list_of_packages(&release)?;
        let list_url = format!("dists/{suite}/{list}");
        if LIST_MOST < known.size {
            return Err(MirrorError::Long { url: list_url, most: LIST_MOST }.into());
        }
        let mut file = create(&path)?;
        let mut downloaded = Downloaded { path, url: format!("{mirror}/{list_url}"), trust };
        asking.file(&list_url, known, &mut file, *tell)?;
        file.rewind().map_err(at("read", &downloaded.path))?;
        let list = unpacked(BufReader::new(&file)).map_err(ListFault::Read)?;
        let (place, known) = packages::find(list, PACKAGE)?;
        if bounds.package < known.size {
            let (found, most) = (known.size, bounds.package);
            return Err(KernelExceeded::Package { path: place.into(), found, most }.into());
        }
        // One file for both, one after the other.
        file.set_len(0).and_then(|()| file.rewind()).map_err(at("write", &downloaded.path))?;
        asking.file(&place, known, &mut file, *tell)?;
        downloaded.url = format!("{mirror}/{place}");
        Ok(downloaded)
    }

    fn release(&self, asking: &Asking<'_>, check: CheckSignature<'_>) -> Result<(String, Trust), FetchError> {
        let Debian { mirror, suite: Suite(suite) } = self;
        let document = asking.document(&format!("dists/{suite}/InRelease"), RELEASE_MOST)?;
        match check(&document)? {
            // Only what was signed, and not what stands around it.
            Some(signed) => {
                let text = String::from_utf8(signed).map_err(|_| ReleaseFault::Form)?;
                Ok((text, Trust::Signature))
            }
            None if mirror.is_plain() => Err(SignatureError::Unchecked(mirror.clone()).into()),
            None => Ok((release::unchecked(&document)?, Trust::Mirror)),
        }
    }
}

fn create(path: &Path) -> Result<File, FetchError> {
    let created = File::options().read(true).write(true).create_new(true).open(path);
    created.map_err(|error| at("make", path)(error).into())
}

impl Downloaded {
    /// What is written down of it.
    pub(super) fn said(&self) -> (String, Trust) {
        (self.url.clone(), self.trust)
    }
}

impl Drop for Downloaded {
    fn drop(&mut self) {
        // What stays behind when this fails is swept.
        let _ = std::fs::remove_file(&self.path);
    }
}
