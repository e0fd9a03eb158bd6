//! A folder with made-up toolchains, and a host that looks for programs in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use firebox_lang::Host;
use tempfile::TempDir;

/// A folder with made-up toolchains. Paths are given relative to it.
pub(crate) struct Fixture {
    folder: TempDir,
    root: PathBuf,
    host: Host,
}

impl Fixture {
    /// An empty folder, with the home directory `home` and an empty search path.
    pub(crate) fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let host = Host { home: Some(root.join("home")), ..Host::default() };
        Fixture { folder, root, host }
    }

    /// Adds a directory to the end of the search path.
    pub(crate) fn search(mut self, directory: &str) -> Fixture {
        self.host.path.push(self.root.join(directory));
        self
    }

    /// Changes what the host's variables say.
    pub(crate) fn host(mut self, change: impl FnOnce(&mut Host)) -> Fixture {
        change(&mut self.host);
        self
    }

    /// Makes a file that looks like a program; its text sets its length apart from others.
    pub(crate) fn program(self, path: &str) -> Fixture {
        self.executable(path, &format!("\x7fELF{path}"))
    }

    /// Makes an executable file.
    pub(crate) fn executable(self, path: &str, content: &str) -> Fixture {
        let fixture = self.file(path, content);
        fs::set_permissions(fixture.path(path), fs::Permissions::from_mode(0o755)).unwrap();
        fixture
    }

    /// Makes a file.
    pub(crate) fn file(self, path: &str, content: &str) -> Fixture {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Makes a symbolic link; the target is taken as it is.
    pub(crate) fn link(self, path: &str, target: &str) -> Fixture {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// Where a path of the folder is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A path as a text, without the folder.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// The host that looks here.
    pub(crate) fn as_host(&self) -> &Host {
        assert!(self.folder.path().exists());
        &self.host
    }
}
