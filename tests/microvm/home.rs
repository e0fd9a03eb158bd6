//! What firebox keeps for one test: a Bash to run, and a kernel to run it on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{bash, debian::Debian};

pub(crate) struct Home {
    place: PathBuf,
}

impl Home {
    /// In this directory, which goes when whoever made it wants it to.
    pub(crate) fn in_directory(place: &Path) -> Home {
        Home { place: place.to_owned() }
    }

    /// With all that a microVM takes. None where there is no kernel, which is said.
    pub(crate) fn complete(self, test: &str) -> Option<Home> {
        self.take_in_bash();
        self.fetch_kernel(test).map(|()| self)
    }

    /// What `FIREBOX_HOME` is to say.
    pub(crate) fn path(&self) -> PathBuf {
        self.place.join("home")
    }

    pub(crate) fn firebox(&self, words: &[&str]) -> Output {
        let mut firebox = Command::new(env!("CARGO_BIN_EXE_firebox"));
        firebox.args(words).env("FIREBOX_HOME", self.path()).current_dir(&self.place);
        firebox.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeds(&self, words: &[&str]) {
        let output = self.firebox(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// An image with Bash, under that language's name.
    pub(crate) fn take_in_bash(&self) {
        let archive = bash::archive_in(&self.place);
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
        let file = self.place.join(name);
        fs::write(&file, kernel).unwrap();
        self.succeeds(&["kernel", "fetch", "--from", text(&file), "--modules", text(modules), "--name", name]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
