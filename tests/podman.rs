//! Firebox in a container as podman makes it by default: without privileges, and with a system call filter of podman's.
//!
//! The container's root is the host's own under a layer that takes all writing, so no image has to come from anywhere.
//! Its network is none, which changes nothing of what Firebox looks at.

mod kit;

use std::process::Command;

use kit::{Allowance, Finished, Guard, HostInventory, Running, Secret, tool};
use serde_json::Value;

const HELLO_IN_C: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); }";

/// A place for podman's own files and for the binary, and the words that start a container.
struct Podman {
    directory: tempfile::TempDir,
}

impl Podman {
    /// None where there is no podman that can start a container here; then why is said.
    fn new(test: &str) -> Option<Podman> {
        if !kit::is_root(test) {
            return None;
        }
        let installed =
            |name: &str| ["/usr/bin", "/usr/sbin"].iter().any(|path| std::path::Path::new(path).join(name).is_file());
        if !installed("podman") || !installed("runc") {
            kit::skip(test, "`podman` and `runc` are not both installed");
            return None;
        }
        let directory = kit::temp_dir();
        open(directory.path());
        std::fs::copy(env!("CARGO_BIN_EXE_firebox"), directory.path().join("program")).expect("copy");
        let podman = Podman { directory };
        let tried = podman.run("0:0", &["true"]);
        if tried.code() != 0 {
            kit::skip(test, &format!("podman starts no container on this host: {}", tried.stderr().trim()));
            return None;
        }
        Some(podman)
    }

    /// Runs a command in a fresh container as this user.
    fn run(&self, user: &str, command: &[&str]) -> Finished {
        let place = |name: &str| self.directory.path().join(name);
        let guard = Guard::new(Allowance::PRODUCT);
        let mut podman = guard.command(tool("podman"));
        podman.arg("--root").arg(place("storage")).arg("--runroot").arg(place("run"));
        // `crun` refuses hosts with both kinds of control groups; and by default more is asked than some hosts grant.
        podman.args(["--runtime", "runc", "run", "--rm", "--net", "none", "--user", user]);
        podman.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--rootfs", "/:O"]);
        podman.args(["env", "PATH=/usr/bin:/bin"]).args(command);
        Running::start(guard, podman, None).wait()
    }

    fn firebox(&self, user: &str, flags: &[&str]) -> Finished {
        let program = self.directory.path().join("program").display().to_string();
        let words: Vec<&str> = [program.as_str(), "run"].into_iter().chain(flags.iter().copied()).collect();
        self.run(user, &words)
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

#[test]
fn in_a_container_of_podmans_there_is_a_jail_or_a_fence_and_firebox_says_which() {
    let host = HostInventory::take();
    let Some(podman) = Podman::new("in_a_container_of_podmans") else {
        host.assert_nothing_left();
        return;
    };
    let secret = Secret::new();
    let control = podman.run("0:0", &["cat", &secret.path().display().to_string()]);
    assert!(control.stdout().contains(&secret.word), "not even the container's root can read it\n{control}");
    for user in ["0:0", "65534:65534"] {
        for (language, code) in [("bash", "echo hello"), ("c", HELLO_IN_C), ("python", "print('hello')")] {
            let call = podman.firebox(user, &["--json", "--lang", language, "--code", code]);
            let outcome: Value = serde_json::from_slice(&call.stdout).unwrap_or_else(|_| panic!("no outcome\n{call}"));
            assert_eq!((&outcome["status"], &outcome["stdout"]), (&"ok".into(), &"hello\n".into()), "{call}");
            let said = call.stderr();
            let said: Vec<&str> = said.lines().filter(|line| line.starts_with("firebox:")).collect();
            match outcome["isolation"].as_str() {
                Some("jail") => assert_eq!(said, [""; 0], "{call}"),
                Some("fence") => assert!(said.len() == 1 && said[0].contains("weaker than a jail: cannot"), "{call}"),
                other => panic!("isolation {other:?}\n{call}"),
            }
        }
        // Root's own files are in reach of neither, and nobody's program changes a device.
        let path = secret.path().display().to_string();
        let code = format!("cat {path}; chmod 600 /dev/null; echo over");
        let call = podman.firebox(user, &["--lang", "bash", "--code", &code]);
        assert_eq!(call.code(), 0, "{call}");
        assert!(call.stdout() == "over\n" && !call.stderr().contains(&secret.word), "{call}");
    }
    drop(podman);
    host.assert_nothing_left();
}
