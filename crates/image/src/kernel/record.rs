//! What is kept of a kernel, as it is written down beside it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::kernel::module::ModuleName;
use crate::kernel::needs::Loading;
use crate::kernel::release::Release;

/// A kernel that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRecord {
    /// Which it is.
    pub release: Release,
    /// The kernel's program, unpacked.
    pub kernel: KeptFile,
    /// Its modules, in the order in which they are loaded.
    pub modules: Vec<KeptModule>,
}

/// A file that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptFile {
    /// Its SHA-256.
    pub digest: Digest,
    /// How long it is.
    pub bytes: u64,
}

/// A module that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptModule {
    /// What it is called by.
    pub name: ModuleName,
    /// Whether a guest can do without it.
    pub loading: Loading,
    /// Its file, unpacked.
    pub file: KeptFile,
}

impl KeptFile {
    pub(crate) fn of(bytes: &[u8]) -> KeptFile {
        KeptFile { digest: Digest::of(bytes), bytes: bytes.len() as u64 }
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    release: String,
    kernel: WrittenFile,
    modules: Vec<WrittenModule>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    digest: String,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenModule {
    name: String,
    must: bool,
    digest: String,
    bytes: u64,
}

impl KernelRecord {
    /// What it is called by in the store: the digest of how it is written.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let file = |file: &KeptFile| WrittenFile { digest: file.digest.to_string(), bytes: file.bytes };
        let modules = self.modules.iter().map(|module| {
            let WrittenFile { digest, bytes } = file(&module.file);
            WrittenModule { name: module.name.to_string(), must: module.loading == Loading::Must, digest, bytes }
        });
        let written =
            Written { release: self.release.to_string(), kernel: file(&self.kernel), modules: modules.collect() };
        let mut text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<KernelRecord> {
        let Written { release, kernel, modules } = serde_json::from_slice(bytes).ok()?;
        let file = |digest: &str, bytes| Some(KeptFile { digest: digest.parse().ok()?, bytes });
        let module = |WrittenModule { name, must, digest, bytes }| {
            let loading = if must { Loading::Must } else { Loading::May };
            Some(KeptModule { name: ModuleName::new(&name)?, loading, file: file(&digest, bytes)? })
        };
        Some(KernelRecord {
            release: release.parse().ok()?,
            kernel: file(&kernel.digest, kernel.bytes)?,
            modules: modules.into_iter().map(module).collect::<Option<_>>()?,
        })
    }
}
