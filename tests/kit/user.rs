//! The ordinary user that tests run as when they are not to be root.
//!
//! `cargo xtask test` makes an account for that and copies of the toolchains that it can read, and hands both over in
//! variables. Without them it is nobody in particular, with the programs that the system itself brings.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{skip, tool};

/// Nobody in particular, with no right to anything.
const NOBODY: u32 = 65_534;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct OrdinaryUser {
    pub(crate) uid: u32,
    /// Where that user finds programs.
    pub(crate) path: OsString,
    /// Where Firebox keeps what it makes for that user, from one test to the next.
    home: Option<OsString>,
}

impl OrdinaryUser {
    pub(crate) fn find() -> OrdinaryUser {
        if !rustix::process::geteuid().is_root() {
            let uid = rustix::process::geteuid().as_raw();
            return OrdinaryUser { uid, path: std::env::var_os("PATH").unwrap_or_default(), home: None };
        }
        let path = std::env::var_os("FIREBOX_TEST_PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        OrdinaryUser { uid: account().unwrap_or(NOBODY), path, home: std::env::var_os("FIREBOX_TEST_HOME") }
    }

    /// Who calls Firebox where a test does not say. The end-to-end tests run twice: as whoever runs them, and, told so, as
    /// this user.
    pub(crate) fn where_nobody_is_named() -> Option<OrdinaryUser> {
        std::env::var_os("FIREBOX_TEST_AS_USER").map(|_| OrdinaryUser::find())
    }

    /// The same, but Firebox is not told where to keep things.
    pub(crate) fn without_a_home(self) -> OrdinaryUser {
        OrdinaryUser { home: None, ..self }
    }

    /// Whether that user finds a program.
    pub(crate) fn has(program: &str) -> bool {
        std::env::split_paths(&OrdinaryUser::find().path).any(|directory| directory.join(program).exists())
    }

    /// Says once per test what is less without an account.
    pub(crate) fn skip_without_an_account() {
        if rustix::process::geteuid().is_root() && account().is_none() {
            skip("toolchains of a user's own", "there is no account for tests; `cargo xtask test` makes one");
        }
    }

    /// The words that start a command as this user: none where the tests are that user already.
    pub(crate) fn words(&self, env: &[(String, OsString)]) -> Vec<OsString> {
        if !rustix::process::geteuid().is_root() {
            return Vec::new();
        }
        let mut words = vec![tool("setpriv").into_os_string()];
        let uid = self.uid.to_string();
        words.extend(["--reuid", &uid, "--regid", &uid, "--clear-groups"].map(OsString::from));
        // By its whole path: what a test sets as the path is for Firebox.
        words.extend([tool("env").into_os_string(), "-i".into(), "HOME=/".into()]);
        let path = ("PATH".to_owned(), self.path.clone());
        let home = self.home.clone().map(|home| ("FIREBOX_HOME".to_owned(), home));
        // What a test says comes last, and counts.
        for (name, value) in [&path].into_iter().chain(&home).chain(env) {
            let mut word = OsString::from(format!("{name}="));
            word.push(value);
            words.push(word);
        }
        words
    }
}

/// The account made for these tests. Whatever has its uid can only be a test's.
pub(crate) fn account() -> Option<u32> {
    std::env::var("FIREBOX_TEST_UID").ok()?.parse().ok()
}

/// Lets everybody read a directory of ours.
pub(crate) fn show_to_everybody(directory: &Path) {
    let shown = std::fs::set_permissions(directory, Permissions::from_mode(0o755));
    shown.unwrap_or_else(|error| panic!("cannot change {}: {error}", directory.display()));
}
