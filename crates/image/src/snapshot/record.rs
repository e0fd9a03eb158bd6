//! What is known of a snapshot, as it is written down beside it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::kernel::{KeptFile, Release};
use crate::snapshot::SnapshotName;
use crate::store::ImageName;

/// A snapshot that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// What was frozen.
    pub frozen: Frozen,
    /// The file of its state, which has a digest of its memory in it.
    pub state: KeptFile,
}

/// A machine that was frozen, as whoever froze it tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// The language whose jobs it is for, the memory that those are promised, and its processors.
    pub name: SnapshotName,
    /// The image that it runs on, by its name when it was frozen.
    pub image: ImageName,
    /// The root filesystem of that image.
    pub tree: Digest,
    /// The filesystem image that is its disk. It goes on with the same or not at all.
    pub disk: Digest,
    /// Its kernel.
    pub kernel: Release,
    /// All of its memory, which is how long the file of its memory is.
    pub machine_bytes: u64,
    /// What the process that stands in it and waits for a job was made of, if there is one.
    pub tool: Option<Digest>,
    /// How what runs in it is spoken to.
    pub protocol: u32,
    /// When it was made: seconds since 1970.
    pub made: u64,
}

impl Frozen {
    /// More memory than any machine has.
    pub const MOST_MACHINE_BYTES: u64 = 64 << 30;
    /// Memory is pages.
    const PAGE: u64 = 4096;

    /// Whether there can be a machine with so much memory.
    pub(super) fn is_possible(&self) -> bool {
        (1..=Frozen::MOST_MACHINE_BYTES).contains(&self.machine_bytes)
            && self.machine_bytes.is_multiple_of(Frozen::PAGE)
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenSnapshot {
    language: String,
    mebibytes: u32,
    vcpus: u8,
    image: String,
    tree: String,
    disk: String,
    kernel: String,
    machine_bytes: u64,
    tool: Option<String>,
    protocol: u32,
    made: u64,
    state: WrittenFile,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    digest: String,
    bytes: u64,
}

impl SnapshotRecord {
    /// The longest that is read.
    pub(crate) const MOST_BYTES: u64 = 16 << 10;
    /// The longest state that is read. No monitor reads a longer one.
    pub const MOST_STATE_BYTES: u64 = 2 << 20;

    /// What it is called by where it is kept: the digest of how it is written.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(&self.written()).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<SnapshotRecord> {
        if SnapshotRecord::MOST_BYTES < bytes.len() as u64 {
            return None;
        }
        SnapshotRecord::of_written(serde_json::from_slice(bytes).ok()?)
    }

    pub(crate) fn written(&self) -> WrittenSnapshot {
        let SnapshotRecord { frozen, state } = self;
        // Exhaustive: what else is known of a machine has to be written down here.
        let Frozen { name, image, tree, disk, kernel, machine_bytes, tool, protocol, made } = frozen;
        WrittenSnapshot {
            language: name.language().to_owned(),
            mebibytes: name.mebibytes(),
            vcpus: name.vcpus(),
            image: image.to_string(),
            tree: tree.to_string(),
            disk: disk.to_string(),
            kernel: kernel.to_string(),
            machine_bytes: *machine_bytes,
            tool: tool.as_ref().map(Digest::to_string),
            protocol: *protocol,
            made: *made,
            state: WrittenFile { digest: state.digest.to_string(), bytes: state.bytes },
        }
    }

    /// None where it says what cannot be.
    pub(crate) fn of_written(written: WrittenSnapshot) -> Option<SnapshotRecord> {
        let WrittenSnapshot { language, mebibytes, vcpus, image, tree, disk, kernel, .. } = written;
        let frozen = Frozen {
            name: SnapshotName::new(&language, mebibytes, vcpus).ok()?,
            image: image.parse().ok()?,
            tree: tree.parse().ok()?,
            disk: disk.parse().ok()?,
            kernel: kernel.parse().ok()?,
            machine_bytes: written.machine_bytes,
            tool: written.tool.map(|digest| digest.parse()).transpose().ok()?,
            protocol: written.protocol,
            made: written.made,
        };
        let state = KeptFile { digest: written.state.digest.parse().ok()?, bytes: written.state.bytes };
        let is_possible = frozen.is_possible() && state.bytes <= SnapshotRecord::MOST_STATE_BYTES;
        is_possible.then_some(SnapshotRecord { frozen, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::frozen;

    #[test]
    fn what_cannot_be_is_no_record() {
        let record = SnapshotRecord { frozen: frozen("rust-512-1", 8 << 20), state: KeptFile::of(b"state") };
        let text = String::from_utf8(record.encode()).unwrap();
        assert_eq!(SnapshotRecord::decode(text.as_bytes()), Some(record));
        for (was, is) in [
            ("\"rust\"", "\"../x\""),
            ("\"rust\"", "\"\""),
            ("\"mebibytes\": 512", "\"mebibytes\": 0"),
            ("\"vcpus\": 1", "\"vcpus\": 256"),
            ("\"debian\"", "\"a/b\""),
            ("\"6.1.0-x\"", "\"x\""),
            ("sha256:", "sha512:"),
            ("8388608", "8388609"),
            ("8388608", "0"),
            ("8388608", "68719480832"),
            ("\"bytes\": 5", "\"bytes\": 2097153"),
            ("\"bytes\": 5", "\"bytes\": -5"),
            ("\"protocol\"", "\"unknown\": 1, \"protocol\""),
            ("}\n}", "}"),
        ] {
            let other = text.replacen(was, is, 1);
            assert_ne!(other, text, "{was} is not in there");
            assert_eq!(SnapshotRecord::decode(other.as_bytes()), None, "{is} in place of {was}");
        }
        let long = text.clone() + &" ".repeat(SnapshotRecord::MOST_BYTES as usize);
        assert_eq!(SnapshotRecord::decode(long.as_bytes()), None);
    }
}
