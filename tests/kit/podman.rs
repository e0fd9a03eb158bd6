//! Containers as podman makes them: without privileges, and with whatever flags a test gives.
//!
//! The container's root is the host's own under a layer that takes all writing, so no image has to come from anywhere.
//! Its network is none, which changes nothing of what Firebox looks at.

use std::path::PathBuf;
use std::process::Command;

use super::{Allowance, Finished, Guard, Running, is_root, skip, temp_dir, tool};

/// A place for podman's own files and for the binary, and the words that start a container.
pub(crate) struct Podman {
    directory: tempfile::TempDir,
}

impl Podman {
    /// None where there is no podman that can start a container here; then why is said.
    pub(crate) fn new(test: &str) -> Option<Podman> {
        if !is_root(test) {
            return None;
        }
        let installed =
            |name: &str| ["/usr/bin", "/usr/sbin"].iter().any(|path| std::path::Path::new(path).join(name).is_file());
        if !installed("podman") || !installed("runc") {
            skip(test, "`podman` and `runc` are not both installed");
            return None;
        }
        let directory = temp_dir();
        open(directory.path());
        std::fs::copy(env!("CARGO_BIN_EXE_firebox"), directory.path().join("program")).expect("copy");
        let podman = Podman { directory };
        let tried = podman.run(&["--user=0:0"], &["true"]);
        if tried.code() != 0 {
            skip(test, &format!("podman starts no container on this host: {}", tried.stderr().trim()));
            return None;
        }
        Some(podman)
    }

    /// Where the binary is, in a container as well.
    pub(crate) fn program(&self) -> PathBuf {
        self.directory.path().join("program")
    }

    /// Runs a command in a fresh container with these flags.
    pub(crate) fn run(&self, flags: &[&str], command: &[&str]) -> Finished {
        let place = |name: &str| self.directory.path().join(name);
        let guard = Guard::new(Allowance::PRODUCT);
        let mut podman = guard.command(tool("podman"));
        podman.arg("--root").arg(place("storage")).arg("--runroot").arg(place("run"));
        // `crun` refuses hosts with both kinds of control groups; and by default more is asked than some hosts grant.
        podman.args(["--runtime", "runc", "run", "--rm", "--net", "none"]).args(flags);
        podman.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--rootfs", "/:O"]);
        podman.args(["env", "PATH=/usr/bin:/bin"]).args(command);
        // Flags may name files of the repository.
        podman.current_dir(super::repository("."));
        Running::start(guard, podman, None).wait()
    }

    pub(crate) fn firebox(&self, container: &[&str], flags: &[&str]) -> Finished {
        let program = self.program().display().to_string();
        let words: Vec<&str> = [program.as_str(), "run"].into_iter().chain(flags.iter().copied()).collect();
        self.run(container, &words)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Podman keeps a mount of its storage on itself.
        let storage = self.directory.path().join("storage/overlay");
        let _ = Command::new("umount").arg(storage).stderr(std::process::Stdio::null()).status();
    }
}

fn open(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}
