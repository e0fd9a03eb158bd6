//! Debian's kernel for clouds, as Debian's archive has it: downloaded and unpacked, never installed.

#![allow(dead_code, reason = "some tests want the package, others what is in it")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package that names the newest.
const NEWEST: &str = "linux-image-cloud-amd64";
/// Cargo's folder for what tests make: the package stays in there for the next time.
const KEPT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/debian-package");

/// The packed kernel, or a word on why a test was skipped.
pub(crate) fn kernel(test: &str) -> Option<Vec<u8>> {
    let kernel = files().and_then(|Files { kernel, .. }| fs::read(kernel).map_err(|error| error.to_string()));
    kernel.inspect_err(|why| skipped(test, why)).ok()
}

/// The package itself, likewise.
pub(crate) fn package(test: &str) -> Option<PathBuf> {
    files().inspect_err(|why| skipped(test, why)).ok().map(|Files { package, .. }| package)
}

fn skipped(test: &str, why: &str) {
    println!("skipped: {test}: there is no kernel of Debian's: {why}");
}

struct Files {
    package: PathBuf,
    kernel: PathBuf,
}

fn files() -> Result<Files, String> {
    kept().map_or_else(fetch, Ok)
}

fn kept() -> Option<Files> {
    let package = Path::new(KEPT).join("package.deb");
    let boot = fs::read_dir(Path::new(KEPT).join("boot")).ok()?;
    let mut files = boot.filter_map(|file| Some(file.ok()?.path()));
    let kernel =
        files.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))?;
    package.is_file().then_some(Files { package, kernel })
}

fn fetch() -> Result<Files, String> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|error| error.to_string())?;
    let depends = run(Command::new("apt-cache").args(["depends", NEWEST]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.ok_or_else(|| format!("`apt-cache depends {NEWEST}` names no package"))?;
    run(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(&folder))?;
    let files = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let archive = files.filter_map(|file| Some(file.ok()?.path())).next().ok_or("apt-get has downloaded nothing")?;
    let unpacked = folder.path().join("unpacked");
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&unpacked))?;
    fs::rename(&archive, unpacked.join("package.deb")).map_err(|error| error.to_string())?;
    // Whoever was faster has put the same there.
    _ = fs::rename(&unpacked, KEPT);
    kept().ok_or_else(|| format!("the package {package} holds no kernel"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let said = command.stdin(Stdio::null()).output();
    let said = said.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if said.status.success() {
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    } else {
        Err(format!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&said.stderr).trim()))
    }
}
