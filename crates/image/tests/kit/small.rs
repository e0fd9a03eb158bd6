//! A disk that is soon full.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{run, skipped, text};

/// A filesystem of so many KiB that is unmounted with the test.
pub(crate) struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// Whether there can be one. Where not, that is said.
    pub(crate) fn may_be() -> bool {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root {
            skipped("a small filesystem takes root to mount");
        }
        is_root
    }

    pub(crate) fn mount(at: &'a Path, kib: u64) -> Small<'a> {
        std::fs::create_dir_all(at).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "small", text(at)]);
        Small(at)
    }

    pub(crate) fn grow(&self, kib: u64) {
        run("mount", &["-o", &format!("remount,size={kib}k"), text(self.0)]);
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // A child that another test is just starting has copies of what is open until it gets to its program.
        let begun = Instant::now();
        while !Command::new("umount").arg("--quiet").arg(self.0).stderr(Stdio::null()).status().unwrap().success() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} is in use", self.0.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
