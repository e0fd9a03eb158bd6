//! The Debian of the lab: what jobs run on in its jails, and, as an image, in its microVMs.
//!
//! ```text
//! archive (mmdebstrap, and this host's Rust, once) --> root, unpacked --> image, as OCI has it --> what a registry keeps of it
//! root, with the registry's files and a store of firebox's own in it: the image by each language's name, and the kernel
//!     --> disk (mkfs.ext4), from which the lab runs and to which it writes nothing
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::equipment::Equipment;
use crate::host_packages::debians_release;
use crate::registry_server;
use crate::said::{done, said};

/// In which languages there are jobs in each kind of cell in the lab.
pub(super) const LANGUAGES: [&str; 3] = ["bash", "c", "python"];
/// What the image stands for. A Rust is many times as large as all of the others, so it is not in the lab's own system, on which jails are; and emulated twice over, a
/// compilation takes half a minute, so that tests name it where they mean it.
pub(super) const ON_THE_IMAGE: [&str; 5] = ["bash", "c", "javascript", "python", "rust"];
const PACKAGES: &str = "bash,gcc,libc6-dev,nodejs,python3-minimal,libpython3-stdlib";
/// What nobody reads in there.
const LEFT_OUT: [&str; 4] =
    ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/bin/x86_64-linux-gnu-lto-dump-*"];
/// Where the image has its Rust.
const RUST: &str = "/usr/local/rust";
/// Where the store is in there.
pub(super) const STORE: &str = "/lab-store";
/// The files of a registry, beside the store. In there, `init.sh` says where they are.
pub(super) const REGISTRY: &str = "registry";
/// Where tests are told of them.
pub(super) const REGISTRY_VARIABLE: &str = "FIREBOX_TEST_REGISTRY";
/// What its tree and its disk are counted as, with room for as much once more, and for tests that send it all to a bucket: the file is sparse.
const DISK: &str = "12G";

/// As much of it as no `firebox` is needed for. Makes what is not there yet.
pub(super) fn prepare(equipment: &Equipment) -> Result<Prepared> {
    let place = equipment.place().join("debian");
    let rust = said(Command::new("rustc").args(["--print", "sysroot"]))?;
    let recipe = format!("{} {PACKAGES} {LEFT_OUT:?} {}", debians_release(), said(Command::new("rustc").arg("-V"))?);
    let made_by = place.join("recipe");
    if fs::read_to_string(&made_by).is_ok_and(|made_by| made_by != recipe) {
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    fs::write(&made_by, recipe).with_context(|| format!("cannot write {}", made_by.display()))?;
    let (archive, root) = (place.join("archive.tar"), place.join("root"));
    unpack(&archive, &root, rust.trim())?;
    pack(&archive, &place.join("oci"))?;
    let prepared = Prepared { place, root };
    // What a registry keeps of the image, by the name that the page which started the project has for it.
    let registry = prepared.place.join(REGISTRY);
    whole(&registry, |to| {
        registry_server::push(&prepared.image(), &registry_server::start(to)?, "library/rust:alpine")
    })?;
    // Files are never written to in there, so it needs no second copy of them.
    let on_the_disk = prepared.root.join("lab-registry");
    whole(&on_the_disk, |to| done(Command::new("cp").arg("-al").args([&registry, to])))?;
    Ok(prepared)
}

/// A Debian without a store.
pub(super) struct Prepared {
    place: PathBuf,
    root: PathBuf,
}

impl Prepared {
    /// The disk from which the lab runs; `firebox` is what makes the store on it.
    pub(super) fn disk(&self, equipment: &Equipment, firebox: &Path) -> Result<PathBuf> {
        self.fill(&self.root.join(STORE.trim_start_matches('/')), equipment, firebox)?;
        let disk = self.place.join("disk");
        _ = fs::remove_file(&disk);
        let mut make = Command::new("mkfs.ext4");
        done(make.args(["-q", "-O", "^has_journal", "-d"]).args([&self.root, &disk]).arg(DISK))?;
        Ok(disk)
    }

    /// The same store for this host itself, beside the disk.
    pub(super) fn store(&self, equipment: &Equipment, firebox: &Path) -> Result<PathBuf> {
        let store = self.place.join("store");
        self.fill(&store, equipment, firebox)?;
        Ok(store)
    }

    /// The store, as a user fills it. What it has already it takes no second time.
    fn fill(&self, store: &Path, equipment: &Equipment, firebox: &Path) -> Result<()> {
        let call = |words: &[&str]| done(Command::new(firebox).env("FIREBOX_HOME", store).args(words));
        let image = self.image();
        for language in ON_THE_IMAGE {
            call(&[
                "rootfs",
                "from-docker",
                "--image",
                &image,
                "--name",
                language,
                "--size",
                "2000",
                "--for-microvms",
            ])?;
        }
        let kernel = equipment.kernel.image().display().to_string();
        let modules = equipment.kernel.folder().display().to_string();
        call(&["kernel", "fetch", "--from", &kernel, "--modules", &modules, "--name", "debian"])
    }

    /// As it is named to whoever reads it.
    fn image(&self) -> String {
        format!("oci:{}:debian", self.place.join("oci").display())
    }
}

/// The archive, and the root that it is.
fn unpack(archive: &Path, root: &Path, rust: &str) -> Result<()> {
    whole(archive, |to| {
        println!("making a Debian for the lab, once");
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=minbase", "--format=tar", &format!("--include={PACKAGES}")]);
        make.args(LEFT_OUT.map(|left_out| format!("--dpkgopt=path-exclude={left_out}")));
        make.arg(format!("--customize-hook={}", copying(rust)));
        done(make.arg(debians_release()).arg(to))
    })?;
    whole(root, |to| {
        fs::create_dir(to)?;
        // Devices are the kernel's to make, and only root could.
        let left_out = ["--exclude=./dev/*".to_owned(), format!("--exclude=.{RUST}/*")];
        done(Command::new("tar").args(left_out).arg("-xf").arg(archive).arg("-C").arg(to))
    })
}

/// As much of a Rust as compiles, for a shell that is told where the new system is.
fn copying(rust: &str) -> String {
    let parts = ["bin/rustc", "lib/*.so*", "lib/rustlib/x86_64-unknown-linux-gnu"];
    format!("cd {rust} && mkdir -p \"$1{RUST}\" && cp -r --parents {} \"$1{RUST}\"", parts.join(" "))
}

/// The image, as OCI has it.
fn pack(archive: &Path, oci: &Path) -> Result<()> {
    whole(oci, |to| {
        let from = format!("tarball:{}", archive.display());
        let (to, path) = (format!("{}:debian", to.display()), format!("PATH={RUST}/bin:/usr/local/bin:/usr/bin:/bin"));
        let mut copy = Command::new("skopeo");
        done(copy.args(["copy", "--quiet", "--dest-compress-format", "zstd", &from, &format!("oci:{to}")]))?;
        done(Command::new("umoci").args(["config", "--image", &to, &format!("--config.env={path}")]))
    })
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
