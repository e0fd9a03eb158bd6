//! What rustup's proxies stand for.
//!
//! A `rustc` of rustup's is rustup itself under another name: a link, a hard link or a copy. Which toolchain it runs
//! is `RUSTUP_TOOLCHAIN`, else the default of its settings. Overrides by directory and `rust-toolchain.toml` are left
//! alone: they say something of the directory somebody stands in, not of a job.

use std::env::consts::ARCH;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::PassReason;
use crate::host::Host;

/// What rustup calls itself, and where it keeps its toolchains in its own directory.
pub(crate) const RUSTUP: &str = "rustup";
pub(crate) const TOOLCHAINS: &str = "toolchains";

/// A toolchain of rustup's.
pub(super) struct Toolchain {
    /// Its directory, the parent of `bin`.
    pub(super) directory: PathBuf,
    /// What rustup calls it.
    pub(super) name: String,
}

/// What tells one program from another without reading it, on a host as in an image.
pub(crate) struct Looks<'a> {
    /// What it is called where it really is.
    pub(crate) name: Option<&'a OsStr>,
    /// Which file it is.
    pub(crate) file: (u64, u64),
    /// How long that is.
    pub(crate) length: u64,
}

/// Whether a program is rustup under another name, with what is called `rustup` beside it.
pub(crate) fn is_proxy(program: &Looks<'_>, rustup: Option<&Looks<'_>>) -> bool {
    program.name.is_some_and(|name| name == RUSTUP || name == "rustup-init")
        // File systems without links get copies, and two different programs are hardly ever of the same length.
        || rustup.is_some_and(|rustup| rustup.file == program.file || rustup.length == program.length)
}

/// The same on the host: of the program that a path leads to.
pub(super) fn is_proxy_on_host(path: &Path, real: &Path) -> bool {
    let looks = |path: &Path| fs::metadata(path).map(|found| ((found.dev(), found.ino()), found.len()));
    let name = real.file_name();
    let Ok((file, length)) = looks(real) else { return false };
    let rustup = looks(&path.with_file_name(RUSTUP)).ok().map(|(file, length)| Looks { name: None, file, length });
    is_proxy(&Looks { name, file, length }, rustup.as_ref())
}

/// The toolchain that rustup would use.
pub(super) fn resolve(host: &Host) -> Result<Toolchain, PassReason> {
    let home = host.rustup_home.clone().or_else(|| Some(host.home.as_ref()?.join(".rustup")));
    let home = home.ok_or(PassReason::NoRustupToolchain)?;
    let settings = settings(&home);
    let setting = |key: &str| settings.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let chosen = host.rustup_toolchain.clone().or_else(|| setting("default_toolchain"));
    let chosen = chosen.ok_or(PassReason::NoRustupToolchain)?;

    // A toolchain may be given as the absolute path of its directory; joining one gives itself.
    let is_path = Path::new(&chosen).is_absolute();
    let hosts = setting("default_host_triple").into_iter();
    let triples = hosts.chain(["gnu", "musl"].map(|environment| format!("{ARCH}-unknown-linux-{environment}")));
    let mut names = std::iter::once(chosen.clone()).chain(triples.map(|triple| format!("{chosen}-{triple}")));
    let found = names.find_map(|name| {
        let directory = home.join(TOOLCHAINS).join(&name);
        ((is_path || !name.contains('/')) && directory.is_dir()).then_some((name, directory))
    });
    let (name, directory) = found.ok_or(PassReason::RustupToolchainMissing { toolchain: chosen })?;
    let name = Path::new(&name).file_name().map_or(name.clone(), |name| name.to_string_lossy().into_owned());
    Ok(Toolchain { directory, name })
}

/// Settings that are not there or cannot be understood choose nothing.
fn settings(home: &Path) -> toml::Table {
    fs::read_to_string(home.join("settings.toml")).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}
