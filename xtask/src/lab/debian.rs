//! The Debian in the lab: what jobs run on in its jails, and, as an image, in its microVMs.
//!
//! ```text
//! archive (mmdebstrap, once) --> root, unpacked, with a store of firebox's own in it: the image by each language's name, and the kernel
//!     --> disk (mkfs.ext4), from which the lab runs and to which it writes nothing
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::equipment::Equipment;
use super::kernel::said;
use crate::host_packages::debians_release;

/// In which languages there are jobs in the lab. A Rust would be many times as large as all of these.
pub(super) const LANGUAGES: [&str; 3] = ["bash", "c", "python"];
const PACKAGES: &str = "bash,gcc,libc6-dev,python3-minimal,libpython3-stdlib";
/// What nobody reads in there.
const LEFT_OUT: [&str; 4] =
    ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/bin/x86_64-linux-gnu-lto-dump-*"];
/// Where the store is in there.
pub(super) const STORE: &str = "/lab-store";
/// What its tree and its disk are counted as, with some room: the file is sparse.
const DISK: &str = "4G";

/// The disk. `firebox` is what makes the store on it.
pub(super) fn disk(equipment: &Equipment, firebox: &Path) -> Result<PathBuf> {
    let place = equipment.place().join("debian");
    let (recipe, made_by) = (format!("{} {PACKAGES} {LEFT_OUT:?}", debians_release()), place.join("recipe"));
    if fs::read_to_string(&made_by).is_ok_and(|made_by| made_by != recipe) {
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    fs::write(&made_by, recipe).with_context(|| format!("cannot write {}", made_by.display()))?;
    let root = unpacked(&place)?;
    fill_store(&root, &place, equipment, firebox)?;
    let disk = place.join("disk");
    _ = fs::remove_file(&disk);
    let mut make = Command::new("mkfs.ext4");
    done(make.args(["-q", "-O", "^has_journal", "-d"]).args([&root, &disk]).arg(DISK))?;
    Ok(disk)
}

/// The archive, unpacked, each made where it is not there yet.
fn unpacked(place: &Path) -> Result<PathBuf> {
    let (archive, root) = (place.join("archive.tar"), place.join("root"));
    whole(&archive, |to| {
        println!("making a Debian for the lab, once");
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", "--format=tar", &format!("--include={PACKAGES}")]);
        make.args(LEFT_OUT.map(|left_out| format!("--dpkgopt=path-exclude={left_out}")));
        done(make.arg(debians_release()).arg(to))
    })?;
    whole(&root, |to| {
        fs::create_dir(to)?;
        // Devices are the kernel's to make, and only root could.
        done(Command::new("tar").args(["--exclude=./dev/*", "-xf"]).arg(&archive).arg("-C").arg(to))
    })?;
    Ok(root)
}

/// The store, as a user fills it. What it has already it takes no second time.
fn fill_store(root: &Path, place: &Path, equipment: &Equipment, firebox: &Path) -> Result<()> {
    let oci = place.join("oci");
    whole(&oci, |to| {
        let from = format!("tarball:{}", place.join("archive.tar").display());
        done(Command::new("skopeo").args(["copy", "--quiet", &from, &format!("oci:{}:debian", to.display())]))
    })?;
    let store = root.join(STORE.trim_start_matches('/'));
    let call = |words: &[&str]| done(Command::new(firebox).env("FIREBOX_HOME", &store).args(words));
    let image = format!("oci:{}:debian", oci.display());
    for language in LANGUAGES {
        call(&["rootfs", "from-docker", "--image", &image, "--name", language, "--size", "2000"])?;
    }
    let kernel = equipment.kernel.image().display().to_string();
    let modules = equipment.kernel.folder().display().to_string();
    call(&["kernel", "fetch", "--from", &kernel, "--modules", &modules, "--name", "debian"])
}

/// Has it made under another name, so that it is there as a whole or not at all.
fn whole(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let begun = path.with_extension("begun");
    _ = fs::remove_file(&begun).or_else(|_| fs::remove_dir_all(&begun));
    make(&begun)?;
    fs::rename(&begun, path).with_context(|| format!("cannot put {} in its place", path.display()))
}

fn done(command: &mut Command) -> Result<()> {
    said(command).map(drop)
}
