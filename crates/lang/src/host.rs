//! What is known of the host before anything of it is read: where programs are looked for.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::passwd;

/// Where programs are looked for, and the few variables that version managers go by.
///
/// A value of its own rather than the process's environment, so that tests look into folders of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// The directories of `PATH`. Those that are not absolute are left out when it is searched: what they mean
    /// depends on where somebody happens to stand.
    pub path: Vec<PathBuf>,
    /// The home directory. Never shown to a job, nor anything that would bring it along.
    pub home: Option<PathBuf>,
    /// `RUSTUP_HOME`; `.rustup` in the home directory without it.
    pub rustup_home: Option<PathBuf>,
    /// `RUSTUP_TOOLCHAIN`, which overrides rustup's default.
    pub rustup_toolchain: Option<String>,
    /// `PYENV_VERSION`, which overrides pyenv's global version.
    pub pyenv_version: Option<String>,
    /// The linker that firebox brings along: what languages have in front of the host's.
    pub linker: Option<Linker>,
}

/// The linker that firebox brings along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Linker(pub &'static [u8]);

impl fmt::Debug for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linker({} bytes)", self.0.len())
    }
}

impl Host {
    /// What this process's environment says; it says nothing of a linker.
    ///
    /// A variable that is set to nothing is as good as none; without `HOME`, as
    /// in a service or a cron job, the home directory is what `/etc/passwd` says.
    pub fn current() -> Host {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name).and_then(|value| OsString::into_string(value).ok());
        Host {
            path: variable("PATH").map_or_else(Vec::new, |path| env::split_paths(&path).collect()),
            home: variable("HOME").map(PathBuf::from).or_else(passwd::home_of_user),
            rustup_home: variable("RUSTUP_HOME").map(PathBuf::from),
            rustup_toolchain: text("RUSTUP_TOOLCHAIN"),
            pyenv_version: text("PYENV_VERSION"),
            linker: None,
        }
    }
}
