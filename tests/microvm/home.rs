//! What firebox keeps for one test: a Bash to run, and a kernel to run it on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{bash, debian::Debian};

pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    /// With all that a microVM takes. None where there is no kernel, which is said.
    pub(crate) fn complete(test: &str) -> Option<Home> {
        let home = Home::new();
        home.take_in_bash();
        home.fetch_kernel(test).map(|()| home)
    }

    /// What `FIREBOX_HOME` is to say.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    pub(crate) fn firebox(&self, words: &[&str]) -> Output {
        let mut firebox = Command::new(env!("CARGO_BIN_EXE_firebox"));
        firebox.args(words).env("FIREBOX_HOME", self.path()).current_dir(self.0.path());
        firebox.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeds(&self, words: &[&str]) {
        let output = self.firebox(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// An image with Bash, under that language's name.
    pub(crate) fn take_in_bash(&self) {
        let archive = bash::archive_in(self.0.path());
        let archive = format!("docker-archive:{}", text(&archive));
        self.succeeds(&["rootfs", "from-docker", "--image", &archive, "--name", "bash", "--size", "200"]);
    }

    /// None where there is none, which is said.
    pub(crate) fn fetch_kernel(&self, test: &str) -> Option<()> {
        let debian = Debian::find(test)?;
        self.keep_kernel("debian", &debian.kernel, debian.folder());
        Some(())
    }

    /// This kernel, under this name.
    pub(crate) fn keep_kernel(&self, name: &str, kernel: &[u8], modules: &Path) {
        let file = self.0.path().join(name);
        fs::write(&file, kernel).unwrap();
        self.succeeds(&["kernel", "fetch", "--from", text(&file), "--modules", text(modules), "--name", name]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
