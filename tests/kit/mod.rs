//! The kit of the end-to-end tests: the product from outside, as a user meets it.
//!
//! A test takes a [`HostInventory`], runs [`firebox`] or a [`job`], says what must be true of the outcome, and ends
//! with `assert_nothing_left`. Whatever is started runs under a [`Guard`] and a deadline, so that a jail that fails a
//! test does not take the machine with it.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of the kit")]
#![allow(clippy::print_stdout, reason = "a test that cannot be made here says so")]

mod answering;
mod attack;
mod certificate;
mod dice;
mod family;
mod fenced;
mod firebox;
pub(crate) mod freezing;
mod guard;
mod http;
pub(crate) mod http2;
mod inventory;
mod keys;
mod kind;
mod lasting;
mod ordinary;
mod outside;
mod page;
mod podman;
mod processes;
mod running;
mod secret;
mod serial;
mod serving;
mod setting;
mod stand_in;
mod things;
mod user;

use std::path::{Path, PathBuf};

pub(crate) use answering::{Requests, Response, requests};
pub(crate) use attack::{Attack, Expectation, words};
pub(crate) use certificate::Certificate;
pub(crate) use dice::Dice;
pub(crate) use family::{Lineage, Member, Role, family, monitor_of};
pub(crate) use fenced::{Around, Fenced, assert_none_left, without_namespaces};
pub(crate) use firebox::{Firebox, Outcome, Started, firebox, job, repository};
pub(crate) use guard::{Allowance, Guard};
pub(crate) use http::{Connection, Reply};
pub(crate) use inventory::{HostInventory, leaving_nothing, outcome};
pub(crate) use keys::{Keys, bearer};
pub(crate) use kind::{is_microvm, is_tested};
pub(crate) use lasting::Lasting;
pub(crate) use ordinary::{NOBODY, Ordinary};
pub(crate) use outside::{Control, attacks, bare, bare_file, compiler, start_outside};
pub(crate) use page::{Example, Stdout, names_of_examples};
pub(crate) use podman::Podman;
pub(crate) use processes::{Process, Processes, UIDS};
pub(crate) use running::{Finished, Running};
pub(crate) use secret::Secret;
pub(crate) use serving::{Answer, MOMENT, Service};
pub(crate) use setting::Setting;
pub(crate) use stand_in::StandIn;
pub(crate) use user::{OrdinaryUser, show_to_everybody};

/// A fresh directory for one test, removed with everything in it. Its name says nothing of Firebox, so that the
/// inventory does not take it for a leak.
pub(crate) fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("e2e-").tempdir().expect("cannot make a temporary directory")
}

/// A tool of the host that a test cannot do without: a missing one is named.
pub(crate) fn tool(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("the tests need `{name}`, which is not on PATH; install it"))
}

fn find(name: &str) -> Option<PathBuf> {
    // The system's own come first: a version manager's shim is a script that starts more processes.
    let path = std::env::var("PATH").unwrap_or_default();
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .into_iter()
        .chain(path.split(':'))
        .map(|directory| Path::new(directory).join(name))
        .find(|candidate| candidate.is_file())
}

/// Whether this host has a language or a tool that a developer may well do without. Where it has not, the test goes on
/// without it and counts as skipped.
pub(crate) fn is_installed(language: &str) -> bool {
    let is_tool = matches!(language, "strace" | "mkfs.ext4");
    if !is_tool && !kind::is_tested(language) {
        return false;
    }
    let programs: &[&str] = match language {
        "cpp" | "c++" => &["g++", "clang++", "c++"],
        "javascript" | "js" | "node" => &["node", "nodejs"],
        "go" => &["go"],
        "java" => &["javac"],
        "strace" => &["strace"],
        "mkfs.ext4" => &["mkfs.ext4"],
        _ => return true,
    };
    let found = programs.iter().any(|program| find(program).is_some());
    if !found {
        skip(language, &format!("`{}` is not installed", programs[0]));
    }
    found
}

/// Whether the tests run as root. Where they do not, what needs it counts as skipped.
pub(crate) fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(what, "only root can do that");
    }
    root
}

/// Says that something cannot be tested here, in the words that `cargo xtask test` counts.
pub(crate) fn skip(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
}
