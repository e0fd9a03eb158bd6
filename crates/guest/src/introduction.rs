//! What a guest is told of its cell: the agent, and what the cell shows.
//!
//! Lists are a count and then the parts, bytes a length and then themselves; numbers are of four bytes, the least first. Whoever says it is
//! the host, whom a guest cannot distrust; the bounds keep a mistake small.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use firebox_cell::{Link, Mount, Supply, TextFile, View};

/// The first number. Whoever speaks another way says another one.
const VERSION: u32 = 0x4642_0001;
/// The most parts of one list.
const MOST_PARTS: u32 = 4096;
/// The most bytes of one thing: a linker has ten million.
const MOST_BYTES: u32 = 64 << 20;

/// What a guest is told of its cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The program that is process 1 of the cell.
    pub agent: Vec<u8>,
    /// What the cell shows. Places outside are the guest's.
    pub view: View,
}

/// Why an introduction cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum NoIntroduction {
    /// It did not come to its end.
    #[error("it breaks off")]
    Io(#[from] io::Error),
    /// Nobody who speaks as we do.
    #[error("it begins with {0:#x}, which is another version's")]
    Version(u32),
    /// It announces more than there can be.
    #[error("it announces {0} of something")]
    TooMuch(u32),
    /// A yes or no that is neither.
    #[error("it says {0} where it has to say yes or no")]
    Neither(u32),
    /// A text that is none.
    #[error("a file's content is no text")]
    Text,
}

impl Introduction {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Introduction { agent, view } = self;
        let View { mounts, links, files, supplies, is_image, steps } = view;
        let mut writer = Writer(Vec::new());
        writer.number(VERSION);
        writer.bytes(agent);
        writer.number(u32::from(*is_image));
        writer.number(u32::try_from(*steps).unwrap_or(u32::MAX));
        writer.list(mounts, |writer, Mount { outside, inside }| {
            writer.path(outside);
            writer.path(inside);
        });
        writer.list(links, |writer, Link { inside, target }| {
            writer.path(inside);
            writer.path(target);
        });
        writer.list(files, |writer, TextFile { inside, content }| {
            writer.path(inside);
            writer.bytes(content.as_bytes());
        });
        writer.list(supplies, |writer, supply| {
            writer.path(supply.below());
            writer.bytes(supply.program());
        });
        writer.0
    }

    /// Reads one. What a cell is supplied with is kept for good: there is one cell, and it lives as long as the machine.
    pub fn read(from: impl Read) -> Result<Introduction, NoIntroduction> {
        let mut reader = Reader(from);
        match reader.number()? {
            VERSION => {}
            other => return Err(NoIntroduction::Version(other)),
        }
        let agent = reader.bytes()?;
        let is_image = match reader.number()? {
            0 => false,
            1 => true,
            other => return Err(NoIntroduction::Neither(other)),
        };
        let steps = reader.count()?;
        let mounts = reader.list(|reader| Ok(Mount { outside: reader.path()?, inside: reader.path()? }))?;
        let links = reader.list(|reader| Ok(Link { inside: reader.path()?, target: reader.path()? }))?;
        let files = reader.list(|reader| {
            let inside = reader.path()?;
            let content = String::from_utf8(reader.bytes()?).map_err(|_| NoIntroduction::Text)?;
            Ok(TextFile { inside, content })
        })?;
        let supplies = reader.list(|reader| Ok(Supply::new(reader.path()?, reader.bytes()?.leak())))?;
        Ok(Introduction { agent, view: View { mounts, links, files, supplies, is_image, steps } })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // Nothing is as long as that; who reads would refuse it.
        self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend(bytes);
    }

    fn path(&mut self, path: &Path) {
        self.bytes(path.as_os_str().as_bytes());
    }

    fn list<T>(&mut self, parts: &[T], write: impl Fn(&mut Writer, &T)) {
        self.number(u32::try_from(parts.len()).unwrap_or(u32::MAX));
        parts.iter().for_each(|part| write(self, part));
    }
}

struct Reader<R>(R);

impl<R: Read> Reader<R> {
    fn number(&mut self) -> Result<u32, NoIntroduction> {
        let mut bytes = [0; 4];
        self.0.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn count(&mut self) -> Result<usize, NoIntroduction> {
        match self.number()? {
            count if count <= MOST_PARTS => Ok(count as usize),
            other => Err(NoIntroduction::TooMuch(other)),
        }
    }

    /// Held as it comes, not as it is announced.
    fn bytes(&mut self) -> Result<Vec<u8>, NoIntroduction> {
        let length = self.number()?;
        if MOST_BYTES < length {
            return Err(NoIntroduction::TooMuch(length));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.0).take(length.into()).read_to_end(&mut bytes)?;
        if read as u64 == u64::from(length) {
            Ok(bytes)
        } else {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
        }
    }

    fn path(&mut self) -> Result<PathBuf, NoIntroduction> {
        Ok(OsString::from_vec(self.bytes()?).into())
    }

    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Reader<R>) -> Result<T, NoIntroduction>,
    ) -> Result<Vec<T>, NoIntroduction> {
        (0..self.count()?).map(|_| read(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn introduction() -> Introduction {
        let view = View {
            mounts: vec![Mount { outside: "/image/usr".into(), inside: "/usr".into() }],
            links: vec![Link { inside: "/bin".into(), target: "usr/bin".into() }],
            files: vec![TextFile { inside: "/etc/passwd".into(), content: "job:x:1000\n".to_owned() }],
            supplies: vec![Supply::new("bin/ld", b"\x7FELF")],
            is_image: true,
            steps: 2,
        };
        Introduction { agent: b"agent".to_vec(), view }
    }

    #[test]
    fn what_was_said_is_what_is_understood() {
        let said = introduction().encode();
        let understood = Introduction::read(said.as_slice()).unwrap();
        assert_eq!(understood, introduction());
        assert_eq!(understood.encode(), said);
    }

    #[test]
    fn half_of_it_is_none_wherever_it_breaks_off() {
        let said = introduction().encode();
        for length in 0..said.len() {
            assert!(matches!(Introduction::read(&said[..length]), Err(NoIntroduction::Io(_))), "{length}");
        }
    }

    #[test]
    fn what_a_fuzzer_begins_with_is_understood() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/introduction");
        let seeds: Vec<_> = std::fs::read_dir(seeds).unwrap().collect();
        assert!(2 <= seeds.len(), "the seeds are missing");
        for seed in seeds {
            let said = std::fs::read(seed.unwrap().path()).unwrap();
            assert_eq!(Introduction::read(said.as_slice()).unwrap().encode(), said);
        }
    }

    #[test]
    fn what_nobody_can_mean_is_refused_before_it_is_held() {
        let version = VERSION.to_le_bytes();
        let agent = [version, u32::MAX.to_le_bytes()].concat();
        assert!(matches!(Introduction::read(agent.as_slice()), Err(NoIntroduction::TooMuch(u32::MAX))));
        let steps = [version, [0; 4], [0; 4], (MOST_PARTS + 1).to_le_bytes()].concat();
        assert!(matches!(Introduction::read(steps.as_slice()), Err(NoIntroduction::TooMuch(_))));
        let image = [version, [0; 4], 2_u32.to_le_bytes()].concat();
        assert!(matches!(Introduction::read(image.as_slice()), Err(NoIntroduction::Neither(2))));
        assert!(matches!(Introduction::read([0xFF; 64].as_slice()), Err(NoIntroduction::Version(u32::MAX))));
    }
}
