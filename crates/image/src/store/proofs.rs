//! Which archive a blob was once found to be, when all of it was read.
//!
//! Who made an image says both, and may name an archive that is not theirs; only what was found out here counts. What is
//! found out never changes, since both are digests, so nothing of it has to be checked again, and a proof that is lost
//! or cannot be read costs reading the blob once more.

use crate::digest::Digest;
use crate::store::claim::remove_whatever;
use crate::store::{Kind, Store, StoreError, names_in};

/// Where they are: a file for each blob, named as the blob, which holds the digest of its archive.
pub(super) const PROOFS: &str = "proofs";

impl Store {
    /// Whether this blob is here and was found to be this archive.
    pub(crate) fn is_proven(&self, blob: &Digest, archive: &Digest) -> bool {
        let proof = std::fs::read_to_string(self.path.join(PROOFS).join(blob.hex()));
        self.has(Kind::Blob, blob) && proof.is_ok_and(|found| found.trim_end() == archive.to_string())
    }

    /// Writes down what was found out. The caller holds the store.
    pub(crate) fn write_proof(&self, blob: &Digest, archive: &Digest) -> Result<(), StoreError> {
        self.write_whole(&self.path.join(PROOFS).join(blob.hex()), format!("{archive}\n").as_bytes())
    }

    /// Removes those of blobs that are not here any more. The caller has the store alone.
    pub(super) fn collect_proofs(&self) -> Result<(), StoreError> {
        let directory = self.path.join(PROOFS);
        let is_lost = |name: &&String| !Digest::from_hex(name).is_some_and(|blob| self.has(Kind::Blob, &blob));
        let lost = names_in(&directory)?;
        let removed = lost.iter().filter(is_lost).map(|name| remove_whatever(&directory.join(name)));
        removed.collect::<Vec<_>>().into_iter().collect()
    }
}
