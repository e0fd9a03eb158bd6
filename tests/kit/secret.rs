//! A file that only the host has.

use std::os::unix::fs::chown;
use std::path::PathBuf;

use super::temp_dir;
use super::user::{OrdinaryUser, show_to_everybody};

/// A file that only the host has, and the words that nobody inside should know.
pub(crate) struct Secret {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) word: String,
}

impl Secret {
    pub(crate) fn new() -> Secret {
        let directory = temp_dir();
        let word = format!("secret{}", std::process::id());
        // Both a text and, for compilers, a string constant and a complaint.
        std::fs::write(directory.path().join("secret"), format!("\"{word}\"\n")).expect("a temporary file");
        Secret { directory, word }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    /// Makes it that user's own, in a directory of that user's.
    pub(crate) fn give_to(&self, user: &OrdinaryUser) {
        show_to_everybody(self.directory.path());
        for path in [self.directory.path(), &self.path()] {
            let given = chown(path, Some(user.uid), Some(user.uid));
            given.unwrap_or_else(|error| panic!("cannot give {} away: {error}", path.display()));
        }
    }
}
