//! What a cell sees of the host: the read-only part of its root file system.
//!
//! A view is decided by trusted code before anything hostile is near: from a language's file and from where the
//! host keeps the toolchain. It holds host paths; none of them is visible inside the cell.

use std::path::PathBuf;

/// The read-only part of a cell's root file system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Directories and files of the host, and where they appear.
    pub mounts: Vec<Mount>,
    /// Symbolic links to make.
    pub links: Vec<Link>,
    /// Small files to make, such as `/etc/passwd`.
    pub files: Vec<TextFile>,
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
