//! What a build made and said.

use firebox_job::{Captured, SourcePath};

use super::encoder::Encoder;

/// What the checksum is for.
const PURPOSE: &str = "firebox checksum of a kept build, version 1";

/// What a build takes besides its bytes: its key, its places in the shelves' tables, the memory manager's own. Generous, so
/// that many small builds do not take more than is granted.
const OVERHEAD: u64 = 1024;

/// What a build made and said. Whole: nothing of its output was cut.
#[derive(Debug)]
pub(crate) struct Build {
    pub(super) files: Vec<MadeFile>,
    pub(super) steps: Vec<Said>,
    /// Of all that, as it was when it was kept.
    checksum: [u8; blake3::OUT_LEN],
}

/// A file that a build made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MadeFile {
    pub(super) path: SourcePath,
    pub(crate) content: Vec<u8>,
    pub(super) is_executable: bool,
}

/// What a step of a build said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(super) step: String,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Said {
    /// None of a step whose output was cut: another job may be granted more of it.
    pub(super) fn whole(step: &str, stdout: &Captured, stderr: &Captured) -> Option<Said> {
        let is_cut = stdout.truncated().is_some() || stderr.truncated().is_some();
        (!is_cut).then(|| Said {
            step: step.to_owned(),
            stdout: stdout.bytes().to_vec(),
            stderr: stderr.bytes().to_vec(),
        })
    }
}

impl Build {
    pub(super) fn new(files: Vec<MadeFile>, steps: Vec<Said>) -> Build {
        let checksum = checksum(&files, &steps);
        Build { files, steps, checksum }
    }

    /// Whether it is still what it was when it was kept.
    pub(super) fn is_sound(&self) -> bool {
        checksum(&self.files, &self.steps) == self.checksum
    }

    /// The room that it takes.
    pub(super) fn bytes(&self) -> u64 {
        let of_files = self.files.iter().map(|file| file.path.as_str().len() + file.content.len());
        let of_steps = self.steps.iter().map(|said| said.step.len() + said.stdout.len() + said.stderr.len());
        OVERHEAD + of_files.chain(of_steps).map(|bytes| bytes as u64).sum::<u64>()
    }

    /// Does to it what failing memory does.
    #[cfg(test)]
    pub(super) fn spoil(&mut self) {
        self.files[0].content[0] ^= 0x10;
    }
}

fn checksum(files: &[MadeFile], steps: &[Said]) -> [u8; blake3::OUT_LEN] {
    let mut encoder = Encoder::new(PURPOSE);
    encoder.list(files, |encoder, MadeFile { path, content, is_executable }| {
        encoder.text(path.as_str());
        encoder.bytes(content);
        encoder.number((*is_executable).into());
    });
    encoder.list(steps, |encoder, Said { step, stdout, stderr }| {
        encoder.text(step);
        encoder.bytes(stdout);
        encoder.bytes(stderr);
    });
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(content: &[u8], is_executable: bool, stderr: &[u8]) -> Build {
        let file = MadeFile { path: SourcePath::new("runbin").unwrap(), content: content.to_vec(), is_executable };
        let captured = |bytes: &[u8]| Captured::whole(bytes.to_vec());
        let said = Said::whole("compile", &captured(b""), &captured(stderr)).unwrap();
        Build::new(vec![file], vec![said])
    }

    #[test]
    fn the_checksum_is_of_everything() {
        let one = build(b"program", true, b"warning");
        for other in
            [build(b"programm", true, b"warning"), build(b"program", false, b"warning"), build(b"program", true, b"")]
        {
            assert_ne!(one.checksum, other.checksum);
        }
        assert_eq!(one.checksum, build(b"program", true, b"warning").checksum);
    }

    #[test]
    fn what_has_changed_since_it_was_kept_is_not_sound() {
        let mut build = build(b"program", true, b"");
        assert!(build.is_sound());
        build.spoil();
        assert!(!build.is_sound());
    }

    #[test]
    fn a_step_whose_output_was_cut_said_more_than_there_is() {
        let cut = Captured::cut(b"head".to_vec(), 10, b"tail");
        assert_eq!(Said::whole("compile", &Captured::default(), &cut), None);
        assert_eq!(Said::whole("compile", &cut, &Captured::default()), None);
    }
}
