//! A root filesystem as one file that a kernel mounts: for microVMs, and for whoever wants to carry it elsewhere.
//!
//! The format is EROFS, not compressed; `docs/decisions/0021` says why. The same layers give the same bytes, wherever
//! and whenever.

mod erofs;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;

pub use erofs::WriteError;

use crate::digest::{Digest, DigestingReader};
use crate::store::{Claimed, Draft, HeldDisk, Kind, Store, StoreError, at};
use crate::tree::Tree;

/// In the directory of a filesystem image: the image itself.
const IMAGE: &str = "image";
/// And its digest.
const SUM: &str = "digest";

/// Why there is no filesystem image.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be written.
    #[error("the filesystem image cannot be written")]
    Write(#[from] WriteError),
}

impl Store {
    /// The filesystem image of a tree, held. It is made if it is not there yet, and only then is the tree worked out. The caller holds the store.
    pub(crate) fn disk(
        &self,
        digest: Digest,
        parts: impl FnOnce() -> Result<(Tree, Vec<OwnedFd>), StoreError>,
    ) -> Result<HeldDisk, DiskError> {
        if let Claimed::Draft(draft) = self.claim(Kind::Disk, digest)? {
            let (tree, layers) = parts()?;
            self.make_disk(draft, digest, &tree, &layers)?;
        }
        let place = self.place(Kind::Disk, &digest);
        let sum = read_sum(self, &digest)?.ok_or_else(|| StoreError::Damaged(place.clone()))?;
        Ok(self.hold_disk(&digest, place.join(IMAGE), sum)?)
    }

    fn make_disk(&self, draft: Draft<'_>, digest: Digest, tree: &Tree, layers: &[OwnedFd]) -> Result<(), DiskError> {
        let plan = erofs::Plan::new(tree, digest);
        draft.reserve(plan.bytes())?;
        let path = draft.path().join(IMAGE);
        let file = File::create_new(&path).map_err(at("make", &path))?;
        let mut image = Summing { inner: BufWriter::with_capacity(1 << 20, file), digesting: Default::default() };
        plan.write(layers, &mut image)?;
        image.flush().map_err(at("write", &path))?;
        let sum = image.digesting.finish();
        let sum_path = draft.path().join(SUM);
        std::fs::write(&sum_path, sum.to_string()).map_err(at("write", &sum_path))?;
        Ok(draft.commit(plan.bytes())?)
    }
}

fn read_sum(store: &Store, digest: &Digest) -> Result<Option<Digest>, StoreError> {
    let path = store.place(Kind::Disk, digest).join(SUM);
    Ok(std::fs::read_to_string(&path).map_err(at("read", &path))?.parse().ok())
}

/// Whether a filesystem image still has its digest.
pub(crate) fn damage(store: &Store, digest: &Digest) -> Result<Option<String>, StoreError> {
    let path = store.place(Kind::Disk, digest).join(IMAGE);
    let Some(sum) = read_sum(store, digest)? else { return Ok(Some("its digest cannot be read".to_owned())) };
    let found = File::open(&path).and_then(|file| {
        let mut reader = DigestingReader::new(file);
        io::copy(&mut reader, &mut io::sink())?;
        Ok(reader.finish().0)
    });
    Ok((found.map_err(at("read", &path))? != sum).then(|| "it is not what it was".to_owned()))
}

/// A writer that notes the digest of what goes through it.
struct Summing<W> {
    inner: W,
    digesting: crate::digest::Digesting,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digesting.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
