//! Firebox started by an ordinary user, from a place where such a user finds the binary.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::firebox::{Firebox, Outcome, job};
use super::user::OrdinaryUser;

/// Nobody in particular, with no right to anything.
pub(crate) const NOBODY: u32 = 65534;

/// A user of that uid, with a directory that holds a copy of the binary.
pub(crate) struct Ordinary {
    pub(crate) uid: u32,
    directory: tempfile::TempDir,
}

impl Ordinary {
    pub(crate) fn new(uid: u32) -> Ordinary {
        let directory = super::temp_dir();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("chmod");
        fs::copy(env!("CARGO_BIN_EXE_firebox"), directory.path().join("program")).expect("copy");
        Ordinary { uid, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A shell's words that become `command` as this user. What is on the path everybody can read: what the system brings,
    /// and the copies of toolchains that were made for these tests.
    pub(crate) fn words(&self, command: &str) -> String {
        let user = format!("--reuid {0} --regid {0} --clear-groups --reset-env", self.uid);
        let path = OrdinaryUser::find().path;
        let (setpriv, path) = (super::tool("setpriv"), path.to_string_lossy());
        format!("exec {} {user} env PATH={path} HOME=/ {command}", setpriv.display())
    }

    /// A call of Firebox as this user. It keeps its process id on the way.
    pub(crate) fn call(&self, firebox: Firebox) -> Firebox {
        self.call_after("", firebox)
    }

    /// The same by a shell that first, with our rights, does something else.
    pub(crate) fn call_after(&self, first: &str, firebox: Firebox) -> Firebox {
        let words = self.words(&format!("{} \"$@\"", self.path("program").display()));
        firebox.through(["sh", "-c", &format!("{first}{words}")])
    }

    pub(crate) fn run(&self, language: &str, code: &str, limits: &[&str]) -> Outcome {
        self.call(job(language, code).args(limits)).outcome()
    }
}
