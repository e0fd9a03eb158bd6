//! An ordinary user for the end-to-end tests, and toolchains that it can read.
//!
//! As root on Debian or a relative of it, there is an account for that, and a copy of each toolchain that lies where only
//! its owner looks (rustup's and pyenv's in the home of root). Copies are hard links where the file system lets us: made in
//! a moment, and without room. They stay for the next time, outside of the repository, as does what Firebox makes for that user. Anywhere else the tests make do with
//! a user of no name and the system's own toolchains, and say so.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::host_packages::may_install;
use crate::repository::Repository;
use crate::said::done;

const ACCOUNT: &str = "firebox-test";
/// Where the copies are.
const PLACE: &str = "/var/lib/firebox-test";
/// What the system brings is everybody's to read.
const SYSTEM: [&str; 2] = ["/usr/bin", "/bin"];

/// Who the tests run as when they are not to be root.
#[derive(Debug)]
pub(super) struct OrdinaryUser {
    uid: u32,
    path: String,
    home: PathBuf,
}

/// An entry of `firebox languages --json`.
#[derive(Debug, Deserialize)]
struct Language {
    name: String,
    /// `None` where this host lacks it.
    program: Option<PathBuf>,
}

impl OrdinaryUser {
    /// None where we may not make one.
    pub(super) fn make(repository: &Repository) -> Result<Option<OrdinaryUser>> {
        if !may_install() {
            return Ok(None);
        }
        let uid = match uid_of(ACCOUNT)? {
            Some(uid) => uid,
            None => add_account()?,
        };
        let mut path = Vec::new();
        for (name, toolchain) in private_toolchains(languages(repository)?) {
            let copy = copied(&name, &toolchain)?;
            path.push(copy.join("bin").display().to_string());
        }
        path.extend(SYSTEM.map(str::to_owned));
        Ok(Some(OrdinaryUser { uid, path: path.join(":"), home: home_of(uid)? }))
    }

    /// Tells the tests.
    pub(super) fn hand_over(&self, command: &mut Command) {
        command.env("FIREBOX_TEST_UID", self.uid.to_string()).env("FIREBOX_TEST_PATH", &self.path);
        command.env("FIREBOX_TEST_HOME", &self.home);
    }
}

fn uid_of(account: &str) -> Result<Option<u32>> {
    let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    Ok(uid_in(&accounts, account))
}

fn uid_in(accounts: &str, account: &str) -> Option<u32> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(account))?;
    line.split(':').nth(2)?.parse().ok()
}

fn add_account() -> Result<u32> {
    println!("making the account {ACCOUNT}, which nobody can log in to");
    let mut useradd = Command::new("/usr/sbin/useradd");
    useradd.args(["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]);
    done(useradd.arg(ACCOUNT))?;
    uid_of(ACCOUNT)?.with_context(|| format!("useradd has made {ACCOUNT}, which is not in /etc/passwd"))
}

/// A directory that is this user's alone.
fn home_of(uid: u32) -> Result<PathBuf> {
    let home = Path::new(PLACE).join("home");
    let made = fs::create_dir_all(PLACE)
        .and_then(|()| DirBuilder::new().recursive(true).mode(0o700).create(&home))
        .and_then(|()| chown(&home, Some(uid), Some(uid)));
    made.with_context(|| format!("cannot make {}", home.display()))?;
    Ok(home)
}

fn languages(repository: &Repository) -> Result<Vec<Language>> {
    let mut list = repository.cargo();
    list.args(["run", "--quiet", "--package", "firebox", "--", "languages", "--json"]);
    let output = list.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "`firebox languages` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("`firebox languages --json` printed something else than its list")
}

/// The directories of toolchains that not everybody can read, each with its language.
fn private_toolchains(languages: Vec<Language>) -> BTreeSet<(String, PathBuf)> {
    let programs = languages.into_iter().filter_map(|Language { name, program }| Some((name, program?)));
    let private = programs.filter(|(_, program)| !is_for_everybody(program));
    // A program stands in `bin` of its toolchain.
    private.filter_map(|(name, program)| Some((name, program.parent()?.parent()?.to_owned()))).collect()
}

/// Whether everybody may go there.
fn is_for_everybody(program: &Path) -> bool {
    const OTHERS_GO_THERE: u32 = 0o001;
    program.ancestors().all(|path| fs::metadata(path).is_ok_and(|file| file.mode() & OTHERS_GO_THERE != 0))
}

/// The copy of a toolchain, made anew where the toolchain is another one than it was.
fn copied(language: &str, toolchain: &Path) -> Result<PathBuf> {
    let name = toolchain.file_name().with_context(|| format!("{} has no name", toolchain.display()))?;
    let place = Path::new(PLACE).join(language);
    let (copy, stamp) = (place.join(name), place.join("copied-from"));
    let now = stamp_of(toolchain)?;
    if copy.is_dir() && fs::read_to_string(&stamp).is_ok_and(|then| then == now) {
        return Ok(copy);
    }
    println!("copying {} to where everybody can read it", toolchain.display());
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let linked = done(Command::new("cp").args(["--archive", "--link"]).arg(toolchain).arg(&copy));
    if linked.is_err() {
        // Another file system, or one without links.
        let _ = fs::remove_dir_all(&copy);
        done(Command::new("cp").arg("--archive").arg(toolchain).arg(&copy))?;
    }
    fs::write(&stamp, now).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(copy)
}

/// What changes when a toolchain is updated or gets another part: when its directories were last changed.
fn stamp_of(toolchain: &Path) -> Result<String> {
    let mut stamp = format!("{}\n", toolchain.display());
    for below in ["", "bin", "lib", "lib/rustlib"] {
        let path = toolchain.join(below);
        match fs::metadata(&path) {
            Ok(file) => stamp.push_str(&format!("{below} {} {}.{}\n", file.ino(), file.mtime(), file.mtime_nsec())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => bail!("cannot look at {}: {error}", path.display()),
        }
    }
    Ok(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_its_whole_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\nfirebox-test-2:x:7:7:::\nfirebox-test:x:994:993::/nonexistent:\n";
        assert_eq!(uid_in(accounts, ACCOUNT), Some(994));
        assert_eq!(uid_in(accounts, "firebox"), None);
    }

    #[test]
    fn only_what_is_hidden_needs_a_copy() {
        let directory = tempfile::tempdir().unwrap(); // its owner's alone
        let hidden = directory.path().join("toolchain/bin/rustc");
        fs::create_dir_all(hidden.parent().unwrap()).unwrap();
        fs::write(&hidden, "").unwrap();
        let language = |name: &str, program: &Path| Language { name: name.into(), program: Some(program.into()) };
        let private = private_toolchains(vec![language("rust", &hidden), language("bash", Path::new("/bin/sh"))]);
        assert_eq!(private, BTreeSet::from([("rust".to_owned(), directory.path().join("toolchain"))]));
    }

    #[test]
    fn a_toolchain_with_another_part_has_another_stamp() {
        let toolchain = tempfile::tempdir().unwrap();
        fs::create_dir(toolchain.path().join("bin")).unwrap();
        let before = stamp_of(toolchain.path()).unwrap();
        assert_eq!(before, stamp_of(toolchain.path()).unwrap());
        fs::create_dir(toolchain.path().join("lib")).unwrap();
        assert_ne!(before, stamp_of(toolchain.path()).unwrap());
    }
}
