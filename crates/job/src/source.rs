//! The files of a job: what a client may name them, and which belong together.

use std::collections::BTreeSet;
use std::fmt;

/// A relative path inside the work directory of a cell, fit to be created there.
///
/// Never absolute, never upwards, no empty parts, no NUL: joining it to a directory cannot leave that directory
/// by spelling alone. Whether something on the way is a symlink is the business of whoever opens it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePath(String);

/// Why a text is no [`SourcePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourcePathError {
    /// There is nothing to create.
    #[error("a file has an empty path; give it a name such as `main.py`")]
    Empty,
    /// NUL ends a name for the kernel, so the rest would be lost.
    #[error("path {path:?} has a NUL byte at {at}; leave it out")]
    Nul {
        /// The path as given.
        path: String,
        /// Where the NUL stands.
        at: usize,
    },
    /// Absolute paths name places of the host or the cell, not of the work directory.
    #[error("path {path:?} is absolute; name files relative to the work directory")]
    Absolute {
        /// The path as given.
        path: String,
    },
    /// `..` leaves the work directory, `.` and empty parts make two names for one file.
    #[error("path {path:?} has the part {part:?}; use plain names separated by single slashes")]
    Part {
        /// The path as given.
        path: String,
        /// The part at fault.
        part: String,
    },
    /// The file systems below us take no more.
    #[error("path {path:?} has {length} bytes in one part or in all, more than the {limit} allowed")]
    TooLong {
        /// The path as given, shortened.
        path: String,
        /// The length found.
        length: usize,
        /// The length allowed.
        limit: usize,
    },
    /// A tree this deep serves only to make its removal slow.
    #[error("path {path:?} has {depth} parts, more than the {} allowed", SourcePath::MAX_DEPTH)]
    TooDeep {
        /// The path as given, shortened.
        path: String,
        /// The depth found.
        depth: usize,
    },
}

impl SourcePath {
    /// What one part of a path may measure: `NAME_MAX` of Linux file systems.
    pub const MAX_PART_BYTES: usize = 255;
    /// What a whole path may measure; well below `PATH_MAX`, so that a prefix still fits.
    pub const MAX_BYTES: usize = 1024;
    /// How many parts a path may have.
    pub const MAX_DEPTH: usize = 32;

    /// Checks a client's path.
    pub fn new(path: impl Into<String>) -> Result<SourcePath, SourcePathError> {
        let path = path.into();
        if path.is_empty() {
            return Err(SourcePathError::Empty);
        }
        if let Some(at) = path.find('\0') {
            return Err(SourcePathError::Nul { path: shortened(&path), at });
        }
        if path.starts_with('/') {
            return Err(SourcePathError::Absolute { path: shortened(&path) });
        }
        if path.len() > SourcePath::MAX_BYTES {
            let length = path.len();
            return Err(SourcePathError::TooLong { path: shortened(&path), length, limit: SourcePath::MAX_BYTES });
        }
        for part in path.split('/') {
            if matches!(part, "" | "." | "..") {
                return Err(SourcePathError::Part { part: part.to_owned(), path: shortened(&path) });
            }
            if part.len() > SourcePath::MAX_PART_BYTES {
                let (length, limit) = (part.len(), SourcePath::MAX_PART_BYTES);
                return Err(SourcePathError::TooLong { path: shortened(&path), length, limit });
            }
        }
        let depth = path.split('/').count();
        if depth > SourcePath::MAX_DEPTH {
            return Err(SourcePathError::TooDeep { path: shortened(&path), depth });
        }
        Ok(SourcePath(path))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last dot of the file's name, if anything does.
    pub fn extension(&self) -> Option<&str> {
        let name = self.0.rsplit('/').next()?;
        let (stem, extension) = name.rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then_some(extension)
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message repeats what was given, but not a megabyte of it.
fn shortened(path: &str) -> String {
    const SHOWN: usize = 80;
    match path.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path.to_owned(),
    }
}

/// One file of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it will stand in the work directory.
    pub path: SourcePath,
    /// What it holds; any bytes.
    pub content: Vec<u8>,
}

/// All files of a job, and which of them the language starts from. Never empty, no two of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    entry: SourcePath,
    files: Vec<SourceFile>,
}

/// Why files do not make up [`Sources`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourcesError {
    /// There is nothing to run.
    #[error("there are no files; give `code`, or at least one file")]
    NoFiles,
    /// Two contents for one path.
    #[error("two files are named {path:?}; give each a name of its own")]
    Twice {
        /// The name given twice.
        path: String,
    },
    /// `a` cannot be a file when there is `a/b`.
    #[error("{path:?} is a file and, in {below:?}, also a directory; rename one of them")]
    FileAndDirectory {
        /// The path that is both.
        path: String,
        /// A file below it.
        below: String,
    },
    /// The entry is not among the files.
    #[error("the entry {entry:?} is none of the files: {names}")]
    NoSuchEntry {
        /// The entry asked for.
        entry: String,
        /// The names there are.
        names: String,
    },
    /// More files than a client needs to send.
    #[error("there are {count} files, at most {} are allowed", Sources::MAX_FILES)]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

impl Sources {
    /// More files than this is a dependency tree, not a job.
    pub const MAX_FILES: usize = 1000;

    /// Puts files together. Without an `entry`, the first file is where the language starts.
    pub fn new(files: Vec<SourceFile>, entry: Option<SourcePath>) -> Result<Sources, SourcesError> {
        if files.len() > Sources::MAX_FILES {
            return Err(SourcesError::TooMany { count: files.len() });
        }
        let mut names = BTreeSet::new();
        for file in &files {
            if !names.insert(file.path.as_str()) {
                return Err(SourcesError::Twice { path: file.path.as_str().to_owned() });
            }
        }
        for name in &names {
            for (at, _) in name.match_indices('/') {
                if names.contains(&name[..at]) {
                    let (path, below) = (name[..at].to_owned(), (*name).to_owned());
                    return Err(SourcesError::FileAndDirectory { path, below });
                }
            }
        }
        let entry = match entry {
            Some(entry) if names.contains(entry.as_str()) => entry,
            Some(entry) => {
                // Quoted: a name may hold anything, and this goes to a terminal.
                let shown: Vec<String> = names.iter().take(8).map(|name| format!("{name:?}")).collect();
                let rest = if names.len() > shown.len() { ", …" } else { "" };
                let names = format!("{}{rest}", shown.join(", "));
                return Err(SourcesError::NoSuchEntry { entry: entry.as_str().to_owned(), names });
            }
            None => files.first().ok_or(SourcesError::NoFiles)?.path.clone(),
        };
        Ok(Sources { entry, files })
    }

    /// The file the language starts from.
    pub fn entry(&self) -> &SourcePath {
        &self.entry
    }

    /// All files, in the order they were given.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// How many bytes all files hold together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.content.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> SourceFile {
        SourceFile { path: SourcePath::new(path).unwrap(), content: Vec::new() }
    }

    #[test]
    fn a_path_that_could_leave_the_work_directory_is_refused() {
        let long = "x".repeat(256);
        let deep = ["d"; 33].join("/");
        for (path, word) in [
            ("", "empty"),
            ("a\0b", "NUL"),
            ("/etc/passwd", "absolute"),
            ("../x", "\"..\""),
            ("a/../b", "\"..\""),
            ("a//b", "\"\""),
            ("./a", "\".\""),
            ("a/", "\"\""),
            (long.as_str(), "256"),
            (deep.as_str(), "33 parts"),
        ] {
            let error = SourcePath::new(path).unwrap_err().to_string();
            assert!(error.contains(word), "{path:?}: {error}");
        }
    }

    #[test]
    fn plain_names_are_taken_as_they_are() {
        for path in ["main.rs", "src/lib/mod.rs", "..data", "naïve.py", "a b", "-rf"] {
            assert_eq!(SourcePath::new(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn the_extension_is_that_of_the_last_part() {
        for (path, extension) in [("a.b/c", None), ("a/b.rs", Some("rs")), (".profile", None), ("x.", None)] {
            assert_eq!(SourcePath::new(path).unwrap().extension(), extension, "{path}");
        }
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let error = Sources::new(vec![file("a"), file("a")], None).unwrap_err();
        assert_eq!(error, SourcesError::Twice { path: "a".into() });
    }

    #[test]
    fn a_file_where_another_needs_a_directory_is_refused() {
        let error = Sources::new(vec![file("a/b/c"), file("a/b")], None).unwrap_err();
        assert_eq!(error, SourcesError::FileAndDirectory { path: "a/b".into(), below: "a/b/c".into() });
    }

    #[test]
    fn an_entry_that_is_not_there_is_refused_with_the_names_that_are() {
        let error =
            Sources::new(vec![file("a"), file("b\u{1b}[31m")], Some(SourcePath::new("c").unwrap())).unwrap_err();
        assert!(error.to_string().contains(r#""a", "b\u{1b}[31m""#), "{error}");
    }

    #[test]
    fn without_an_entry_the_first_file_is_it() {
        assert_eq!(Sources::new(vec![file("z"), file("a")], None).unwrap().entry().as_str(), "z");
        assert_eq!(Sources::new(vec![], None), Err(SourcesError::NoFiles));
    }
}
