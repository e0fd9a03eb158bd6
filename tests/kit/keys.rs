//! `firebox keys`, and a service that asks for one.

use std::path::PathBuf;

use super::firebox::firebox;
use super::running::Finished;
use super::serving::Service;
use super::temp_dir;

/// A state directory, and the keys in it.
pub(crate) struct Keys {
    pub(crate) directory: tempfile::TempDir,
}

impl Keys {
    pub(crate) fn none() -> Keys {
        Keys { directory: temp_dir() }
    }

    pub(crate) fn state(&self) -> String {
        self.directory.path().join("state").display().to_string()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("state/private/keys")
    }

    /// `firebox keys` with these words.
    pub(crate) fn call(&self, words: &[&str]) -> Finished {
        firebox().args(["keys", "--state", &self.state()]).args(words).run()
    }

    /// Creates a key, and returns it.
    pub(crate) fn create(&self, name: &str, limits: &[&str]) -> String {
        let created = self.call(&[&["create", name], limits].concat());
        assert_eq!(created.code(), 0, "{created}");
        created.stdout().trim().to_owned()
    }

    pub(crate) fn revoke(&self, name: &str) {
        let revoked = self.call(&["revoke", name]);
        assert_eq!(revoked.code(), 0, "{revoked}");
    }

    pub(crate) fn serve(&self, words: &[&str]) -> Service {
        let state = self.state();
        let words = [&["serve", "--listen", "127.0.0.1:0", "--languages", "bash,c", "--state", &state], words].concat();
        Service::of(firebox().args(words).start())
    }
}

/// What shows a key.
pub(crate) fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}")
}
