//! What a toolchain looks like from outside, so that another one in its place is told from it.
//!
//! A toolchain is thousands of files. What an update cannot help but touch are its programs and the directories that
//! cells see of it: a package manager renames new files over old ones, which shows in the directory's times, and the old
//! program's own when it loses its name.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use crate::toolchain::Toolchain;

/// Looks at a toolchain for as long as it is used.
#[derive(Debug)]
pub struct Witness {
    /// The programs, held by themselves: whoever may not get to them any more can still look at them.
    programs: Vec<(PathBuf, File)>,
    /// What cells see of the host. Looked at by path and never held: a directory that is held can be walked out of.
    places: Vec<PathBuf>,
}

/// What there is to see of one file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Where it is, on the host.
    pub path: PathBuf,
    /// What it is like; none where we may not look.
    pub marks: Option<Marks>,
}

/// What tells a file from another one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The file system it is in.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// How long it is.
    pub size: u64,
    /// When its content was changed last: seconds, and nanoseconds.
    pub modified: (i64, i64),
    /// When anything of it was changed last, the number of its names included.
    pub changed: (i64, i64),
}

impl Toolchain {
    /// Takes hold of the programs. To be called with the rights that they were found with.
    pub fn witness(&self) -> io::Result<Witness> {
        let programs = self.programs.iter().map(|program| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let file = open(&program.outside, flags, Mode::empty())?;
            Ok((program.outside.clone(), File::from(file)))
        });
        let places = self.view.mounts.iter().map(|mount| mount.outside.clone()).collect();
        Ok(Witness { programs: programs.collect::<io::Result<_>>()?, places })
    }
}

impl Witness {
    /// What there is to see now.
    pub fn look(&self) -> io::Result<Vec<Sighting>> {
        let mut seen = Vec::with_capacity(self.programs.len() + self.places.len());
        for (path, file) in &self.programs {
            seen.push(Sighting { path: path.clone(), marks: Some(Marks::of(&file.metadata()?)) });
        }
        for path in &self.places {
            seen.push(Sighting { path: path.clone(), marks: look_at(path)? });
        }
        Ok(seen)
    }
}

fn look_at(path: &Path) -> io::Result<Option<Marks>> {
    match path.metadata() {
        Ok(found) => Ok(Some(Marks::of(&found))),
        // A toolchain in somebody's home: of what is in there, its programs are held.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

impl Marks {
    fn of(found: &std::fs::Metadata) -> Marks {
        Marks {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}
