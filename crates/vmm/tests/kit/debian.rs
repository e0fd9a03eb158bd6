//! Debian's kernel for clouds, and the one for all machines, as Debian's archive has them: downloaded and unpacked, never installed.

#![allow(dead_code, reason = "some tests want the package, others what is in it")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where one of the kernels comes from.
struct Source {
    /// The package that names the newest.
    newest: &'static str,
    /// In cargo's folder for what tests make: the package stays in there for the next time.
    kept: &'static str,
    /// Where the package is unpacked already, if somebody says so. Of the one for all machines, no modules have to be there.
    unpacked: &'static str,
}

const FOR_CLOUDS: Source = Source {
    newest: "linux-image-cloud-amd64",
    kept: concat!(env!("CARGO_TARGET_TMPDIR"), "/debian-package"),
    unpacked: "FIREBOX_TEST_KERNEL",
};
const FOR_ALL_MACHINES: Source = Source {
    newest: "linux-image-amd64",
    kept: concat!(env!("CARGO_TARGET_TMPDIR"), "/debian-package-for-all-machines"),
    unpacked: "FIREBOX_TEST_GENERIC_KERNEL",
};
/// The package, beside what is in it.
const PACKAGE: &str = "package.deb";

/// The unpacked package.
pub(crate) struct Debian {
    /// Its packed kernel.
    pub(crate) kernel: Vec<u8>,
    folder: PathBuf,
}

/// A part of a kernel that it loads when it is told to.
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) contents: Vec<u8>,
}

impl Debian {
    /// The package for clouds, or a word on why a test was skipped.
    pub(crate) fn find(test: &str) -> Option<Debian> {
        Debian::find_from(&FOR_CLOUDS, test)
    }

    /// The package for all machines, likewise.
    pub(crate) fn find_generic(test: &str) -> Option<Debian> {
        Debian::find_from(&FOR_ALL_MACHINES, test)
    }

    fn find_from(source: &Source, test: &str) -> Option<Debian> {
        let unpacked = std::env::var_os(source.unpacked).map(PathBuf::from);
        let folder = unpacked.map_or_else(|| kept_or_fetched(source), Ok);
        let found = folder.and_then(|folder| {
            let kernel = fs::read(kernel_in(&folder)?).map_err(|error| error.to_string())?;
            Ok(Debian { kernel, folder })
        });
        found.inspect_err(|why| skipped(test, why)).ok()
    }

    /// Where its packed kernel is.
    pub(crate) fn image(&self) -> PathBuf {
        kernel_in(&self.folder).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Its `boot` and `lib/modules`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// These modules and those that they need, each behind what it needs.
    pub(crate) fn modules(&self, wanted: &[&str]) -> Vec<Module> {
        let mut files = BTreeMap::new();
        find_modules(&self.folder.join("lib/modules"), &mut files);
        let mut ordered = Vec::new();
        wanted.iter().for_each(|name| add_module(name, &files, &mut ordered));
        ordered
    }
}

/// The package for clouds itself, likewise.
pub(crate) fn package(test: &str) -> Option<PathBuf> {
    kept_or_fetched(&FOR_CLOUDS).inspect_err(|why| skipped(test, why)).ok().map(|kept| kept.join(PACKAGE))
}

fn skipped(test: &str, why: &str) {
    println!("skipped: {test}: there is no kernel of Debian's: {why}");
}

fn add_module(name: &str, files: &BTreeMap<String, PathBuf>, ordered: &mut Vec<Module>) {
    if ordered.iter().any(|module| module.name == name) {
        return;
    }
    let file = files.get(name).unwrap_or_else(|| panic!("Debian's kernel has no module {name}"));
    let contents = fs::read(file).unwrap();
    needed_by(&contents).iter().for_each(|needed| add_module(needed, files, ordered));
    ordered.push(Module { name: name.to_owned(), contents });
}

/// What a module says it needs: names behind `depends=`, with commas between them.
fn needed_by(module: &[u8]) -> Vec<String> {
    const FIELD: &[u8] = b"\0depends=";
    let at = module.windows(FIELD.len()).position(|window| window == FIELD).expect("a module says what it needs");
    let names = module[at + FIELD.len()..].split(|byte| *byte == 0).next().unwrap();
    let names = String::from_utf8_lossy(names);
    names.split(',').filter(|name| !name.is_empty()).map(name_of).collect()
}

fn find_modules(folder: &Path, files: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_modules(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            files.insert(name_of(&path.file_stem().unwrap().to_string_lossy()), path);
        }
    }
}

/// Both strokes mean the same in the name of a module.
fn name_of(word: &str) -> String {
    word.replace('-', "_")
}

fn kept_or_fetched(source: &Source) -> Result<PathBuf, String> {
    let kept = PathBuf::from(source.kept);
    if kernel_in(&kept).is_err() {
        fetch(source)?;
    }
    Ok(kept)
}

fn kernel_in(folder: &Path) -> Result<PathBuf, String> {
    let none = || format!("there is none in {}", folder.display());
    let boot = fs::read_dir(folder.join("boot")).map_err(|_| none())?;
    let mut files = boot.filter_map(|file| Some(file.ok()?.path()));
    files
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))
        .ok_or_else(none)
}

fn fetch(source: &Source) -> Result<(), String> {
    let Source { newest, kept, unpacked: _ } = source;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|error| error.to_string())?;
    let depends = run(Command::new("apt-cache").args(["depends", newest]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.ok_or_else(|| format!("`apt-cache depends {newest}` names no package"))?;
    run(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(&folder))?;
    let files = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let archive = files.filter_map(|file| Some(file.ok()?.path())).next().ok_or("apt-get has downloaded nothing")?;
    let unpacked = folder.path().join("unpacked");
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&unpacked))?;
    fs::rename(&archive, unpacked.join(PACKAGE)).map_err(|error| error.to_string())?;
    // Whoever was faster has put the same there.
    _ = fs::rename(&unpacked, kept);
    Ok(())
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
