//! The five commands of the page that started the project, in its order and word for word but for the program's name: from a registry to a job in a clone.
//!
//! Where KVM runs kernels, which is in the lab. Registry and S3 are servers on this host.

#![expect(clippy::print_stdout, reason = "what was measured is told")]

#[path = "../crates/vmm/tests/kit/debian.rs"]
mod debian;
#[path = "../crates/image/tests/kit/mod.rs"]
mod images;
mod kit;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use debian::Debian;
use images::registry::{RealRegistry, Wants};
use images::s3::RealS3;
use kit::freezing::has_machines;
use kit::{Finished, HostInventory, firebox};

const BUCKET: &str = "llm-firecracker";
/// Where a registry has the page's image.
const REGISTRY: &str = "FIREBOX_TEST_REGISTRY";
/// For a Rust with all that it takes, on a PC that is emulated.
const PATIENCE: Duration = Duration::from_secs(900);

/// A host, with a bucket and a registry to go to.
struct Host {
    s3: RealS3,
    registry: RealRegistry,
    home: PathBuf,
    _directory: tempfile::TempDir,
}

impl Host {
    fn new(images: PathBuf) -> Host {
        // Where there is room for a Rust several times over: beside what else is kept here.
        let kept = std::env::var_os("FIREBOX_HOME").expect("where the lab keeps things");
        let directory = tempfile::tempdir_in(kept).expect("a directory");
        symlink(images, directory.path().join("registry")).expect("a name for it");
        let registry = RealRegistry::start(directory.path(), &Wants::Nothing);
        let s3 = RealS3::start(directory.path()).expect("there is a server of S3");
        s3.make_bucket(BUCKET);
        Host { s3, registry, home: directory.path().join("home"), _directory: directory }
    }

    fn succeeds(&self, words: &[&str]) -> Finished {
        let begun = Instant::now();
        let call = firebox().word_for_word().within(PATIENCE).args(words.iter().copied());
        let call = call.env("FIREBOX_HOME", &self.home);
        let call = call.env("FIREBOX_MIRRORS", format!("docker.io={}", self.registry.host));
        let call = call.envs(self.s3.variables(&self.s3.host)).run();
        assert_eq!(call.code(), 0, "{call}");
        println!("measured: {} {}: {:.1} s", words[0], words[1], begun.elapsed().as_secs_f64());
        call
    }

    fn runs_it(&self) {
        let code = "fn main() {\n    let x = 42;\n    println!(\"{}\", x);\n}";
        let words = ["host", "--lang", "rust", "--code", code, "--mem", "512", "--vcpus", "1", "--snapshot"];
        assert_eq!(self.succeeds(&words).stdout(), "42\n");
    }
}

#[test]
fn five_commands_lead_from_a_registry_to_a_job_and_back_from_a_bucket() {
    const NAME: &str = "five_commands_lead_from_a_registry_to_a_job_and_back_from_a_bucket";
    if !has_machines(NAME) {
        return;
    }
    let inventory = HostInventory::take();
    let images = std::env::var_os(REGISTRY).unwrap_or_else(|| panic!("{REGISTRY} says where a registry has images"));
    let host = Host::new(images.into());
    // What the page takes for granted.
    let debian = Debian::find(NAME).expect("the lab has a kernel");
    let (image, modules) = (debian.image().display().to_string(), debian.folder().display().to_string());
    host.succeeds(&["kernel", "fetch", "--from", &image, "--modules", &modules, "--name", "debian"]);

    host.succeeds(&["rootfs", "from-docker", "--name", "rust", "--image", "rust:alpine", "--size", "1200"]);
    host.succeeds(&["snapshot", "create", "--lang", "rust", "--mem", "512", "--vcpus", "1"]);
    host.succeeds(&["rootfs", "upload", "--lang", "rust", "--bucket", BUCKET]);
    host.succeeds(&["snapshot", "upload", "--lang", "rust", "--bucket", BUCKET]);
    host.runs_it();

    // All that another host has is the bucket.
    fs::remove_dir_all(&host.home).expect("all of it is gone");
    host.succeeds(&["rootfs", "download", "--lang", "rust", "--bucket", BUCKET]);
    host.succeeds(&["snapshot", "download", "--lang", "rust", "--bucket", BUCKET]);
    host.runs_it();
    inventory.assert_nothing_left();
}
