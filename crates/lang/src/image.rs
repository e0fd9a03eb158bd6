//! The programs of a language in an image, and what a cell must see for them to work.
//!
//! Less than on a host: an image is shown whole and in its own place, so nothing has to be moved or shown in parts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::base;
use crate::find::rustup::{RUSTUP, TOOLCHAINS, is_proxy};
use crate::find::{Beginning, PassReason, PassedOver, TELLING};
use crate::groundwork::Groundwork;
use crate::host::Linker;
use crate::language::{Language, ProgramSpec};
use crate::rootfs::{Inside, Rootfs};
use crate::toolchain::{MissingToolchain, Program, Toolchain};

/// Why a language has no toolchain in an image.
#[derive(Debug, thiserror::Error)]
pub enum NotInImage {
    /// The image has no such program.
    #[error("the image lacks what {} needs", .0.language)]
    Missing(#[source] MissingToolchain),
    /// The image cannot be read.
    #[error("cannot read the image")]
    Io(#[from] io::Error),
}

impl Language {
    /// Finds the language's programs in an image, by reading alone.
    pub fn find_in(&self, image: &Rootfs, linker: Option<Linker>) -> Result<Toolchain, NotInImage> {
        let mut view = image.view()?;
        view.steps = self.steps.len();
        let mut programs: Vec<Program> = Vec::new();
        for spec in &self.programs {
            let found = match (&spec.beside, programs.first()) {
                (Some(path), Some(first)) => self.find_beside_in(image, spec, path, first),
                (Some(_), None) | (None, _) => self.find_program_in(image, spec),
            };
            programs.push(found.map_err(NotInImage::Missing)?);
        }
        let groundwork = programs.first().map_or(Groundwork::NotNeeded, |first| {
            let inside = toolchain_of(image, first);
            self.groundwork_in(&image.outside(&inside), &inside)
        });
        let first_to_build = self.supply(&mut view, &programs, linker);
        let (environment, image) = (self.environment_of(image), Some(image.name().to_owned()));
        Ok(Toolchain { programs, view, environment, groundwork, first_to_build, image })
    }

    /// What the image says counts: it knows where it keeps things. What it leaves open is as on every host.
    fn environment_of(&self, image: &Rootfs) -> BTreeMap<String, String> {
        let mut environment = self.environment.clone();
        environment.extend(image.environment().clone());
        environment.insert("HOME".to_owned(), base::HOME.to_owned());
        let path: Vec<String> = image.search_path().iter().map(|path| path.to_string_lossy().into_owned()).collect();
        environment.insert("PATH".to_owned(), path.join(":"));
        environment
    }

    /// A program of the toolchain that the first one is of.
    fn find_beside_in(
        &self,
        image: &Rootfs,
        spec: &ProgramSpec,
        path: &Path,
        first: &Program,
    ) -> Result<Program, MissingToolchain> {
        let toolchain = toolchain_of(image, first);
        let inside = toolchain.join(path);
        let found = image.find(&inside).ok_or(PassReason::NotInToolchain { program: inside.clone() });
        let found = found.and_then(|found| check(&found).map(|()| found));
        let passed = |reason| PassedOver { path: inside.clone(), reason };
        let found = found.map_err(|reason| self.lacks_beside(spec, &toolchain, path, passed(reason)))?;
        let (name, found_by) = (spec.name.clone(), path.to_string_lossy().into_owned());
        Ok(Program { name, found: found_by, outside: image.outside(&found.path), inside })
    }

    fn find_program_in(&self, image: &Rootfs, spec: &ProgramSpec) -> Result<Program, MissingToolchain> {
        let searched = image.search_path();
        let mut passed_over: Vec<PassedOver> = Vec::new();
        for name in &spec.find {
            for directory in &searched {
                match found_in(image, directory, name) {
                    Ok(None) => {}
                    Ok(Some(inside)) => {
                        let outside = image
                            .find(&inside)
                            .map_or_else(|| image.outside(&inside), |file| image.outside(&file.path));
                        return Ok(Program { name: spec.name.clone(), found: name.clone(), outside, inside });
                    }
                    Err(reason) => passed_over.push(PassedOver { path: directory.join(name), reason }),
                }
            }
        }
        Err(MissingToolchain {
            language: self.name.clone(),
            program: spec.name.clone(),
            looked_for: spec.find.clone().into(),
            searched: searched.into(),
            passed_over: passed_over.into(),
            install: "take in an image that has it".to_owned(),
        })
    }
}

/// The directory of the toolchain that a program is of, in an image and without links.
fn toolchain_of(image: &Rootfs, program: &Program) -> PathBuf {
    let real = image.find(&program.inside).map_or_else(|| program.inside.clone(), |found| found.path);
    real.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned()
}

/// The program of this name in a directory of an image: as it is called, since compilers go by that.
fn found_in(image: &Rootfs, directory: &Path, name: &str) -> Result<Option<PathBuf>, PassReason> {
    let Some(directory) = image.find(directory) else { return Ok(None) };
    let called = directory.path.join(name);
    let Some(program) = image.find(&called) else { return Ok(None) };
    let rustup = image.find(&directory.path.join(RUSTUP));
    if is_proxy(&program.looks(), rustup.as_ref().map(Inside::looks).as_ref()) {
        return toolchain_of_rustup(image, name).map(Some);
    }
    check(&program).map(|()| Some(called))
}

fn check(program: &Inside) -> Result<(), PassReason> {
    if !program.is_executable() {
        return Err(PassReason::NotExecutable);
    }
    match Beginning::of(&program.head(TELLING))? {
        Beginning::Program => Ok(()),
        Beginning::Script => Err(PassReason::Script),
    }
}

/// The program of this name in the toolchain that rustup would use: the one that its settings name, or the only one.
fn toolchain_of_rustup(image: &Rootfs, name: &str) -> Result<PathBuf, PassReason> {
    let home = image.environment().get("RUSTUP_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| Path::new("/root").join(".rustup"));
    let settings = image.find(&home.join("settings.toml")).and_then(|file| file.text());
    let settings: toml::Table = settings.and_then(|text| text.parse().ok()).unwrap_or_default();
    let wanted = image.environment().get("RUSTUP_TOOLCHAIN").map(String::as_str);
    let wanted = wanted.or_else(|| settings.get("default_toolchain").and_then(toml::Value::as_str));
    let toolchains = home.join(TOOLCHAINS);
    let there = image.names(&toolchains);
    // It may be named without the machine that it is for.
    let is_it = |name: &&String| wanted.is_none_or(|wanted| *name == wanted || name.starts_with(&format!("{wanted}-")));
    let chosen = there.iter().find(is_it).ok_or_else(|| match wanted {
        Some(wanted) => PassReason::RustupToolchainMissing { toolchain: wanted.to_owned() },
        None => PassReason::NoRustupToolchain,
    })?;
    let program = toolchains.join(chosen).join("bin").join(name);
    let missing = || PassReason::NotInToolchain { program: program.clone() };
    let found = image.find(&program).ok_or_else(missing)?;
    check(&found).map(|()| program)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::Catalogue;

    /// An image with these programs, of which each says what it is.
    fn image(programs: &[(&str, &[u8])], environment: &[&str]) -> (tempfile::TempDir, Rootfs) {
        let place = tempfile::tempdir().unwrap();
        for (path, content) in programs {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
        }
        let environment: Vec<String> = environment.iter().map(ToString::to_string).collect();
        let rootfs = Rootfs::open("test", place.path(), &environment).unwrap();
        (place, rootfs)
    }

    fn find(language: &str, image: &Rootfs) -> Result<Toolchain, String> {
        let catalogue = Catalogue::builtin();
        let language = catalogue.languages().find(|known| known.name() == language).unwrap();
        language.find_in(image, None).map_err(|error| match error {
            NotInImage::Missing(missing) => missing.to_string(),
            other => other.to_string(),
        })
    }

    #[test]
    fn a_program_is_found_where_the_image_says_and_keeps_its_name() {
        let programs: [(&str, &[u8]); 2] = [("usr/local/bin/python3.13", b"\x7fELF"), ("usr/bin/python3", b"\x7fELF")];
        let (place, rootfs) =
            image(&programs, &["PATH=/usr/local/bin:/usr/bin", "PYTHON_VERSION=3.13", "HOME=/root", "LANG=C"]);
        symlink("python3.13", place.path().join("usr/local/bin/python3")).unwrap();
        let toolchain = find("python", &rootfs).unwrap();
        assert_eq!(toolchain.programs[0].inside, Path::new("/usr/local/bin/python3"));
        assert_eq!(toolchain.programs[0].outside, rootfs.path().join("usr/local/bin/python3.13"));
        let environment = |name: &str| toolchain.environment.get(name).map(String::as_str);
        assert_eq!(environment("PYTHON_VERSION"), Some("3.13"));
        assert_eq!(environment("LANG"), Some("C"));
        assert_eq!(environment("HOME"), Some("/tmp"));
        assert_eq!(environment("PYTHONUNBUFFERED"), Some("1"));
        assert_eq!(environment("PATH"), Some("/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin:/bin"));
        assert!(toolchain.view.is_image && toolchain.view.steps == 1);
    }

    #[test]
    fn what_leads_to_the_host_is_not_found() {
        let (place, rootfs) = image(&[("usr/bin/other", b"\x7fELF")], &[]);
        for target in ["/bin/sh", "../../../../../../../../bin/sh", "/proc/self/exe"] {
            let link = place.path().join("usr/bin/python3");
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
            let why = find("python", &rootfs).unwrap_err();
            assert!(why.contains("there is no `python3` or `python` in"), "{why}");
        }
    }

    #[test]
    fn a_proxy_of_rustups_is_the_toolchain_that_it_would_start() {
        let toolchain = "usr/local/rustup/toolchains/1.95.0-x86_64-unknown-linux-gnu/bin/rustc";
        let programs: [(&str, &[u8]); 4] = [
            ("usr/local/cargo/bin/rustup", b"\x7fELF rustup"),
            ("usr/local/cargo/bin/rustc", b"\x7fELF rustup"),
            (toolchain, b"\x7fELF"),
            ("usr/bin/cc", b"\x7fELF"),
        ];
        let environment =
            ["PATH=/usr/local/cargo/bin:/usr/bin", "RUSTUP_HOME=/usr/local/rustup", "CARGO_HOME=/usr/local/cargo"];
        let (place, rootfs) = image(&programs, &environment);
        let rustc = || find("rust", &rootfs).map(|toolchain| toolchain.programs[0].inside.clone());
        assert_eq!(rustc(), Ok(Path::new("/").join(toolchain)));
        for (settings, goes) in [("default_toolchain = \"1.95.0\"", true), ("default_toolchain = \"nightly\"", false)] {
            fs::write(place.path().join("usr/local/rustup/settings.toml"), settings).unwrap();
            assert_eq!(rustc().is_ok(), goes, "{settings}: {:?}", rustc());
        }
        // An endless one says nothing, and keeps nobody.
        fs::remove_file(place.path().join("usr/local/rustup/settings.toml")).unwrap();
        symlink("/dev/zero", place.path().join("usr/local/rustup/settings.toml")).unwrap();
        assert!(rustc().is_ok());
        assert_eq!(find("rust", &rootfs).unwrap().environment["RUSTUP_HOME"], "/usr/local/rustup");
    }

    #[test]
    fn a_script_of_that_name_is_passed_over_and_told() {
        let (_place, rootfs) = image(&[("usr/bin/python3", b"#!/bin/sh")], &[]);
        let why = find("python", &rootfs).unwrap_err();
        assert!(why.contains("/usr/bin/python3"), "{why}");
    }
}
