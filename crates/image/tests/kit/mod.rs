//! Real tools, and images made with them.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

pub(crate) mod azure;
pub(crate) mod between;
pub(crate) mod doorman;
pub(crate) mod faulty;
pub(crate) mod google;
pub(crate) mod layout;
pub(crate) mod refusing;
pub(crate) mod registry;
pub(crate) mod s3;
mod server;
pub(crate) mod small;
pub(crate) mod strace;
mod workshop;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) use workshop::workshop;

use firebox_image::{Platform, Progress, Record, Request, Source, Store, TakeInError, take_in};

/// Whether all of these are installed. Where one is not, the test says so and is over: `cargo xtask test` installs them.
pub(crate) fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    if !missing.is_empty() {
        skipped(&format!("{missing:?} are not installed"));
    }
    missing.is_empty()
}

/// Says that a test was not run, and why.
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// Runs a program; what it says when it fails is the test's message.
pub(crate) fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {says}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A root filesystem of odd and ordinary things, and an image of it in two layers, both made by standard tools.
pub(crate) struct Made {
    pub(crate) directory: tempfile::TempDir,
}

impl Made {
    pub(crate) fn image() -> Made {
        let directory = workshop();
        let made = Made { directory };
        let lower = r#"
            mkdir -p bin etc/deep/er tmp root usr/lib/many
            cp "$(command -v busybox || command -v bash)" bin/busybox
            ln -s busybox bin/sh; ln bin/busybox bin/also
            echo old > etc/old; echo one > etc/one; echo hidden > etc/deep/er/hidden
            chmod 1777 tmp; chmod 0700 root; echo secret > root/secret; chmod 0600 root/secret
            ln -s usr/lib lib
            for number in $(seq 700); do echo $number > usr/lib/many/a-rather-long-name-to-fill-a-block-$number; done
            head -c 4096 /dev/urandom > etc/block; head -c 4097 /dev/urandom > etc/more; : > etc/empty
            head -c 3000000 /dev/urandom > usr/lib/large; cp usr/lib/large usr/lib/same
            touch -d '2001-02-03 04:05:06.789' etc/one
        "#;
        let upper = r#"
            rm etc/old; echo two > etc/one; rm -r etc/deep; mkdir etc/deep; echo new > etc/deep/new
            rm usr/lib/many/*-7*; echo x > 'etc/with space'; ln -s /nowhere etc/dangling
        "#;
        let oci = format!("{}/oci", made.path());
        let tagged = |tag: &str| format!("{oci}:{tag}");
        run("umoci", &["init", "--layout", &oci]);
        run("umoci", &["new", "--image", &tagged("x")]);
        for (number, script) in [lower, upper].into_iter().enumerate() {
            let bundle = format!("{}/bundle-{number}", made.path());
            let image = tagged("x");
            unpack(&image, &bundle);
            run("sh", &["-ec", &format!("cd {bundle}/rootfs\n{script}")]);
            run("umoci", &["repack", "--image", &image, &bundle]);
        }
        made
    }

    pub(crate) fn path(&self) -> &str {
        text(self.directory.path())
    }

    pub(crate) fn oci(&self) -> PathBuf {
        self.directory.path().join("oci")
    }

    /// What the layers come to, by another tool.
    pub(crate) fn reference(&self) -> PathBuf {
        let bundle = self.directory.path().join("reference");
        if !bundle.exists() {
            unpack(&format!("{}/oci:x", self.path()), text(&bundle));
        }
        bundle.join("rootfs")
    }
}

fn unpack(image: &str, bundle: &str) {
    // Whoever is not root owns everything of what is unpacked, and is told of no other owners.
    let own = if rustix::process::geteuid().is_root() { &[][..] } else { &["--rootless"] };
    run("umoci", &[&["unpack"], own, &["--image", image, bundle]].concat());
}

pub(crate) fn store(directory: &Path) -> Store {
    Store::open(&directory.join("store"), None).unwrap()
}

pub(crate) fn request(name: &str) -> Request {
    Request {
        name: name.parse().unwrap(),
        from: "test".to_owned(),
        platform: Platform::of_this_host(),
        size: 4 << 30,
        parallel: 4,
    }
}

pub(crate) fn take(store: &Store, source: &dyn Source, name: &str) -> Result<Record, TakeInError> {
    take_in(store, source, &request(name), &|_: Progress| ())
}

/// Every path below a directory with its kind, content and time; owners and permissions only where they are meant to
/// be the same.
pub(crate) fn listing(root: &Path, with: &str) -> String {
    run(
        "sh",
        &[
            "-ec",
            &format!(
                "cd {} && find . -printf '{with}\\n' | LC_ALL=C sort && find . -type f -exec sha256sum {{}} + | LC_ALL=C sort",
                text(root)
            ),
        ],
    )
}

/// An error with all that caused it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Some moment within this time, and another one each time.
pub(crate) fn moments(within: Duration) -> impl FnMut() -> Duration {
    let mut state = u64::from(std::process::id()) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        within.mul_f64((state % 1000) as f64 / 1000.0)
    }
}
