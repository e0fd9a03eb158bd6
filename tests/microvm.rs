//! `firebox run --isolation microvm`, as a user calls it: a job in a machine of its own, or a word on what this host lacks for that.
//!
//! Where KVM emulates a guest's kernel the jobs themselves are skipped, and say so. The lab (`cargo xtask lab`) is where they always run.

#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

#[path = "microvm/bash.rs"]
mod bash;
#[path = "../crates/vmm/tests/kit/debian.rs"]
mod debian;
#[path = "microvm/home.rs"]
mod home;
#[path = "microvm/kvm.rs"]
mod kvm;
#[path = "guest_boots/saved.rs"]
mod saved;

use std::process::Output;

use firebox_vmm::{Hypervisor, Probe, probe};
use home::Home;
use kvm::{has_kvm, runs_kernels};

impl Home {
    /// As the page that started the project calls it.
    fn host(&self, code: &str, words: &[&str]) -> Output {
        self.firebox(&[&["host", "--lang", "bash", "--code", code, "--mem", "128", "--vcpus", "1"], words].concat())
    }

    fn run(&self, code: &str, words: &[&str]) -> Output {
        self.host(code, &[&["--isolation", "microvm"], words].concat())
    }

    /// What a job is run in, as its response tells.
    fn kind(&self, words: &[&str]) -> String {
        let Output { stdout, stderr, .. } = self.host("true", &[&["--json"], words].concat());
        let response: serde_json::Value = serde_json::from_slice(&stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr)));
        response["isolation"].as_str().unwrap_or_default().to_owned()
    }

    /// A job fails, and so does making a snapshot for it, by the host's doing, with these words and this help.
    #[track_caller]
    fn is_refused(&self, words: &str, help: &str) {
        let create = ["snapshot", "create", "--lang", "bash", "--mem", "128", "--vcpus", "1"];
        for Output { status, stdout, stderr } in [self.run("echo hi", &[]), self.firebox(&create)] {
            let said = String::from_utf8_lossy(&stderr);
            assert!(said.contains(words) && said.contains(help), "{said}");
            assert_eq!((status.code(), stdout.as_slice()), (Some(125), b"".as_slice()));
        }
    }
}

#[test]
fn what_a_host_lacks_for_a_microvm_is_said_with_what_to_do() {
    const NAME: &str = "what_a_host_lacks_for_a_microvm_is_said_with_what_to_do";
    if !has_kvm(NAME) {
        let words = Hypervisor::open().err().map(|none| none.to_string()).unwrap();
        return Home::in_directory(tempfile::tempdir().unwrap().path()).is_refused(&words, "help:");
    }
    let place = tempfile::tempdir().unwrap();
    let home = Home::in_directory(place.path());
    home.is_refused("from an image", "firebox rootfs from-docker");
    home.take_in_bash();
    home.is_refused("a microVM needs a kernel, and there is none", "firebox kernel fetch");
    if let (Probe::Emulated(_), Some(())) = (probe(), home.fetch_kernel(NAME)) {
        home.is_refused("KVM is emulated on this host", "bare metal");
        // Where nobody insists there is still a jail.
        assert_eq!(home.kind(&[]), "jail");
    }
}

#[test]
fn the_command_of_the_page_gets_a_jail_where_there_is_no_kernel_or_no_image() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::in_directory(place.path());
    let gets_a_jail_since = |lacks: &str| {
        let Output { status, stdout, stderr } = home.host("echo hi", &[]);
        let said = String::from_utf8_lossy(&stderr);
        assert_eq!((status.code(), stdout.as_slice()), (Some(0), b"hi\n".as_slice()), "{said}");
        let why = if Hypervisor::open().is_ok() { lacks } else { "there is no KVM that it may use" };
        assert!(said.contains(&format!("this runs in no microVM, since {why};")), "{said}");
        assert_eq!(home.kind(&[]), "jail");
    };
    gets_a_jail_since("the language comes from the host, or in part, and a microVM needs all of it on an image");
    home.take_in_bash();
    gets_a_jail_since("there is no kernel, or more than one");
}

#[test]
fn a_snapshot_that_cannot_be_is_the_requests_mistake() {
    let place = tempfile::tempdir().unwrap();
    let home = Home::in_directory(place.path());
    for (words, said) in [
        (&["create", "--lang", "bosh"][..], "bash"),
        (&["create", "--lang", "bash", "--vcpus", "5000"], "--vcpus"),
        (&["create", "--lang", "bash", "--mem", "100000000"], "--memory"),
        (&["--home", "elsewhere", "create", "--lang", "bash"], "set FIREBOX_HOME"),
    ] {
        let Output { status, stderr, .. } = home.firebox(&[&["snapshot"], words].concat());
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(status.code() == Some(2) && stderr.contains(said), "{words:?}: {stderr}");
    }
}

#[test]
fn a_kernel_that_is_not_there_is_the_requests_mistake() {
    const NAME: &str = "a_kernel_that_is_not_there_is_the_requests_mistake";
    if !has_kvm(NAME) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let home = Home::in_directory(place.path());
    home.take_in_bash();
    let Output { status, stderr, .. } = home.run("echo hi", &["--kernel", "nobodys"]);
    let said = String::from_utf8_lossy(&stderr);
    assert!(said.contains("there is no kernel `nobodys`"), "{said}");
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_job_in_a_machine_of_its_own_is_told_like_any_other() {
    const NAME: &str = "a_job_in_a_machine_of_its_own_is_told_like_any_other";
    if !runs_kernels(NAME) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let Some(home) = Home::in_directory(place.path()).complete(NAME) else { return };
    let Output { status, stdout, stderr } = home.run("echo $((6 * 7)); echo aside >&2; exit 3", &[]);
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!((stdout.as_ref(), stderr.as_ref(), status.code()), ("42\n", "aside\n", Some(3)));

    // The same without insisting, since all is there; unless a jail is asked for.
    assert_eq!(home.kind(&[]), "microvm");
    assert_eq!(home.kind(&["--kernel", "debian"]), "microvm");
    assert_eq!(home.kind(&["--isolation", "jail"]), "jail");

    let response = home.run("a=x; while :; do a=$a$a; done", &["--json", "--run-time", "40s"]);
    let response: serde_json::Value = serde_json::from_slice(&response.stdout).unwrap();
    assert_eq!(
        (&response["isolation"], &response["status"]),
        (&"microvm".into(), &"memory_limit".into()),
        "{response}"
    );
    assert_eq!(response["enforcement"]["memory"], "enforced", "{response}");
}
