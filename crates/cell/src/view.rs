//! What a cell sees of the host: the read-only part of its root file system.
//!
//! A view is decided by trusted code before anything hostile is near: from a language's file and from where the
//! host keeps the toolchain. It holds host paths; none of them is visible inside the cell.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is laid out in a cell before it is known for which job: above all, the read-only part of its root file system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Directories and files of the host, and where they appear.
    pub mounts: Vec<Mount>,
    /// Symbolic links to make.
    pub links: Vec<Link>,
    /// Small files to make, such as `/etc/passwd`.
    pub files: Vec<TextFile>,
    /// Programs that firebox brings along.
    pub supplies: Vec<Supply>,
    /// Whether the root is that of an image, and not the host's: only a cell with a root of its own can show it.
    pub is_image: bool,
    /// How many steps a job in it takes. What each of them needs can be made with the cell; one more makes its own.
    pub steps: usize,
}

/// A directory or file of the host that appears in a cell, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Where it is on the host.
    pub outside: PathBuf,
    /// Where it appears: an absolute path in the cell.
    pub inside: PathBuf,
}

/// A symbolic link in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// Where the link is: an absolute path in the cell.
    pub inside: PathBuf,
    /// What it points to.
    pub target: PathBuf,
}

/// A small read-only file in a cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextFile {
    /// Where it is: an absolute path in the cell.
    pub inside: PathBuf,
    /// What it says.
    pub content: String,
}

/// A program that firebox brings along, read-only in a cell: below [`Supply::PLACE`], under a name of our choosing.
#[derive(Clone, PartialEq, Eq)]
pub struct Supply {
    below: PathBuf,
    program: &'static [u8],
}

impl Supply {
    /// Where all that firebox brings along appears in a cell with a root of its own.
    pub const PLACE: &str = "/opt/firebox";

    /// A program that appears at this path below the place.
    pub fn new(below: impl Into<PathBuf>, program: &'static [u8]) -> Supply {
        Supply { below: below.into(), program }
    }

    /// Its path below the place.
    pub fn below(&self) -> &Path {
        &self.below
    }

    /// The executable.
    pub fn program(&self) -> &'static [u8] {
        self.program
    }
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supply").field("below", &self.below).field("bytes", &self.program.len()).finish()
    }
}
