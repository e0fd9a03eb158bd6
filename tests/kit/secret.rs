//! A file that only the host has.

use std::path::PathBuf;

use super::temp_dir;

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
}
