//! A directory for all tests of a binary.
//!
//! What stands in a `static` is not dropped at the end of its process, and what stands in such a directory may be an image of gigabytes. So
//! somebody else removes it, who sees that end; unless both are killed at once, as a group is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// See the module.
pub(crate) struct Lasting {
    path: PathBuf,
    /// Reads from a pipe that nobody writes to, and that ends with us.
    _remover: Child,
}

impl Lasting {
    /// Makes one.
    pub(crate) fn make() -> Lasting {
        let path = super::temp_dir().keep();
        let remover = Command::new("sh")
            // Whoever stops the tests at a terminal stops everything that was started there.
            .args(["-c", "trap '' HUP INT TERM; read -r nothing; exec rm -rf -- \"$1\"", "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        Lasting { path, _remover: remover }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
