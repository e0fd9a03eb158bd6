//! The kit of the end-to-end tests: the product from outside, as a user meets it.
//!
//! A test takes a [`HostInventory`], runs [`firebox`] or a [`job`], says what must be true of the outcome, and ends
//! with `assert_nothing_left`. Whatever is started runs under a [`Guard`] and a deadline, so that a jail that fails a
//! test does not take the machine with it.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of the kit")]

mod attack;
mod firebox;
mod guard;
mod inventory;
mod processes;
mod running;
mod secret;
mod serial;
mod things;

pub(crate) use attack::{Attack, Control, attacks, bare, words};
pub(crate) use firebox::{Firebox, Outcome, firebox, job};
pub(crate) use guard::{Allowance, Guard};
pub(crate) use inventory::HostInventory;
pub(crate) use processes::{Process, Processes, UIDS};
pub(crate) use running::{Finished, Running};
pub(crate) use secret::Secret;

/// A fresh directory for one test, removed with everything in it. Its name says nothing of Firebox, so that the
/// inventory does not take it for a leak.
pub(crate) fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("e2e-").tempdir().expect("cannot make a temporary directory")
}

/// The tools of the host that a test cannot do without, looked up once so that a missing one is named.
pub(crate) fn tool(name: &str) -> std::path::PathBuf {
    // The system's own come first: a version manager's shim is a script that starts more processes.
    let path = std::env::var("PATH").unwrap_or_default();
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .into_iter()
        .chain(path.split(':'))
        .map(|directory| std::path::Path::new(directory).join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("the tests need `{name}`, which is not on PATH; install it"))
}
