//! Images to measure with, made by standard tools alone, each when it is first asked for.
//!
//! On the disk that has the directory for builds: that is where stores of images are, and not in memory. What makes many files gets a disk of its own.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

use super::bare;
use super::firebox::{Language, program};
use super::fresh_disk::FreshDisk;
use crate::host_packages::{all_needed, debians_release};
use crate::said::done;

/// What has a C compiler in a Debian, and a Python.
const PACKAGES: &str = "gcc,libc6-dev,python3-minimal,libpython3-stdlib";
/// How much nobody can compress. Long enough that starting a process does not count.
const NOISE_MIB: &str = "256";
/// Where Debian has its programs.
const STANDARD: &str = "/usr/local/bin:/usr/bin:/bin";
/// How images are called in a store.
pub(super) const NAME: &str = "measured";

pub(super) struct Workshop {
    place: TempDir,
    debian: OnceCell<Result<String, String>>,
    toolchains: OnceCell<Result<String, String>>,
    noise: OnceCell<Result<String, String>>,
}

impl Workshop {
    pub(super) fn new(target: &Path) -> Result<Workshop> {
        let place = tempfile::Builder::new().prefix("firebox-bench-").tempdir_in(target);
        let place = place.with_context(|| format!("cannot make a directory in {}", target.display()))?;
        Ok(Workshop { place, debian: OnceCell::new(), toolchains: OnceCell::new(), noise: OnceCell::new() })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// This host's release of Debian with a C compiler and a Python: one layer, compressed with gzip, as registries have it.
    pub(super) fn debian(&self) -> Result<&str> {
        once(&self.debian, || {
            all_needed(&["mmdebstrap", "skopeo"])?;
            let (archive, image) = (self.path("debian.tar"), self.image("debian"));
            let include = format!("--include={PACKAGES}");
            done(
                Command::new("mmdebstrap")
                    .args(["--quiet", "--variant=minbase", &include, &debians_release()])
                    .arg(&archive),
            )?;
            done(Command::new("skopeo").args(["copy", "--quiet", &format!("tarball:{}", archive.display()), &image]))?;
            std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
            Ok(image)
        })
    }

    /// The same with this host's toolchains where it has them, as far as they are not Debian's.
    pub(super) fn toolchains(&self, languages: &[Language]) -> Result<&str> {
        once(&self.toolchains, || {
            all_needed(&["umoci"])?;
            let (plain, image) = (self.debian()?, self.image("toolchains"));
            let (mut from, mut path) = (plain.to_owned(), String::new());
            let mut insert = |what: &Path, to: &Path| {
                let words = ["insert", "--image", from.trim_start_matches("oci:"), "--tag", "toolchains"];
                done(Command::new("umoci").args(words).arg(what).arg(to))?;
                from.clone_from(&image);
                anyhow::Ok(())
            };
            // By the names that they are looked for by.
            for (language, tool, name) in [("rust", "rustc", "rustc"), ("python", "python", "python3")] {
                // What is not here is not measured.
                let Ok(tool) = program(languages, language, tool) else { continue };
                let folder = tool.parent().filter(|folder| !STANDARD.split(':').any(|name| *folder == Path::new(name)));
                let Some((folder, prefix)) = folder.and_then(|folder| Some((folder, folder.parent()?))) else {
                    continue;
                };
                let lib = prefix.join("lib");
                insert(tool, &folder.join(name))?;
                insert(&lib, &lib)?;
                path += &format!("{}:", folder.display());
            }
            let path = format!("--config.env=PATH={path}{STANDARD}");
            let words = ["config", "--image", from.trim_start_matches("oci:"), "--tag", "toolchains", &path];
            done(Command::new("umoci").args(words))?;
            Ok(image)
        })
    }

    /// An image of one large layer: what takes time is its transfer.
    pub(super) fn noise(&self) -> Result<&str> {
        once(&self.noise, || {
            all_needed(&["umoci"])?;
            let (file, layout, image) = (self.path("noise"), self.path("oci"), self.image("noise"));
            let script = format!("head -c {NOISE_MIB}M /dev/urandom > \"$0\"");
            done(Command::new("sh").args(["-ec", &script]).arg(&file))?;
            if !layout.exists() {
                done(Command::new("umoci").args(["init", "--layout"]).arg(&layout))?;
            }
            let name = image.trim_start_matches("oci:");
            done(Command::new("umoci").args(["new", "--image", name]))?;
            done(Command::new("umoci").args(["insert", "--image", name]).arg(&file).arg("/noise"))?;
            std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            Ok(image)
        })
    }

    fn image(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path("oci").display())
    }

    /// Measures what makes something at a path where there is nothing, on a disk where there never was anything.
    pub(super) fn making(&self, make: impl FnOnce(&Path) -> Result<Duration>) -> Result<Duration> {
        let disk = FreshDisk::make(self.place.path())?;
        settled(|| make(&disk.path().join("made")))
    }
}

/// Measures when the disk has all that was written before: else whoever has it know everything does that for others.
pub(super) fn settled<T>(measure: impl FnOnce() -> Result<T>) -> Result<T> {
    rustix::fs::sync();
    measure()
}

/// How long a command takes that goes well.
pub(super) fn timed(command: Command) -> Result<Duration> {
    let start = Instant::now();
    bare::run(command)?;
    Ok(start.elapsed())
}

/// Programs that are called as their packages are.
fn once(cell: &OnceCell<Result<String, String>>, make: impl FnOnce() -> Result<String>) -> Result<&str> {
    let made = cell.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    made.as_deref().map_err(|why| anyhow!("{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_made_is_not_tried_again_and_says_why_each_time() {
        let cell = OnceCell::new();
        for tries in [1, 1] {
            let made = once(&cell, || Err(anyhow!("no network").context(format!("try {tries}"))));
            assert_eq!(made.unwrap_err().to_string(), "try 1: no network");
        }
    }
}
