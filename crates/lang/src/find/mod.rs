//! Finding a program on the host by reading alone.
//!
//! This happens with privileges, so nothing that is found is run. What stands on a search path is often not the
//! program but something that picks one: those are resolved (rustup, pyenv) or passed over with a reason.

mod passed_over;
mod place;
mod pyenv;
pub(crate) mod rustup;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use passed_over::{PassReason, PassedOver};
pub(crate) use place::{Place, place};

use crate::host::Host;

/// Programs that stand on search paths under the names of others, and pick one when they are run.
const STAND_INS: [&str; 10] =
    ["asdf", "ccache", "distcc", "icecc", "mise", "proto-shim", "rtx", "sccache", "snap", "volta-shim"];

/// How much of a script is read to tell whose it is; shims are shorter.
const SCRIPT_HEAD: u64 = 2048;

/// A program on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path as it is called, its directory resolved. Compilers go by the name they are called by.
    pub(crate) called: PathBuf,
    /// The file itself.
    pub(crate) real: PathBuf,
    /// What its version manager calls the toolchain.
    pub(crate) toolchain: Option<String>,
}

/// Goes through the search path for a name: every program in order, and everything that looked like one.
pub(crate) fn search(name: &str, host: &Host) -> impl Iterator<Item = Result<Found, PassedOver>> {
    host.path.iter().filter(|directory| directory.is_absolute()).filter_map(move |directory| {
        let path = directory.join(name);
        examine(&path, name, host).map_err(|reason| PassedOver { path, reason }).transpose()
    })
}

/// The program that a path leads to; none when there is nothing, or nothing but the word to go on searching.
fn examine(path: &Path, name: &str, host: &Host) -> Result<Option<Found>, PassReason> {
    // A link that leads nowhere and a directory we may not enter are nothing, as they are to a shell.
    let Ok(real) = path.canonicalize() else { return Ok(None) };
    match Kind::of(&real)? {
        Kind::Script(text) if pyenv::is_shim(&real, &text) => {
            pyenv::resolve(&real, name, host)?.map(|program| stood_for(&program, None)).transpose()
        }
        Kind::Script(_) => Err(PassReason::Script),
        Kind::Program if rustup::is_proxy_on_host(path, &real) => {
            let rustup::Toolchain { directory, name: toolchain } = rustup::resolve(host)?;
            stood_for(&directory.join("bin").join(name), Some(toolchain)).map(Some)
        }
        Kind::Program => match stand_in(&real) {
            Some(manager) => Err(PassReason::StandIn { manager: manager.to_owned() }),
            None => Ok(Some(Found::new(path, real, None))),
        },
    }
}

/// What a version manager stands for: it must be the program itself, for shims of shims have no end.
fn stood_for(path: &Path, toolchain: Option<String>) -> Result<Found, PassReason> {
    let missing = || PassReason::NotInToolchain { program: path.to_owned() };
    let real = path.canonicalize().map_err(|_| missing())?;
    match Kind::of(&real)? {
        Kind::Program => Ok(Found::new(path, real, toolchain)),
        Kind::Script(_) => Err(PassReason::Script),
    }
}

fn stand_in(real: &Path) -> Option<&'static str> {
    let name = real.file_name()?;
    STAND_INS.into_iter().find(|manager| name == *manager)
}

impl Found {
    fn new(path: &Path, real: PathBuf, toolchain: Option<String>) -> Found {
        let directory = path.parent().and_then(|directory| directory.canonicalize().ok());
        let called = directory.zip(path.file_name()).map(|(directory, name)| directory.join(name));
        Found { called: called.unwrap_or_else(|| real.clone()), real, toolchain }
    }
}

/// The program that stands at this path, without links.
pub(crate) fn program_at(path: &Path) -> Result<PathBuf, PassReason> {
    let real = path.canonicalize().map_err(|_| PassReason::NotInToolchain { program: path.to_owned() })?;
    match Kind::of(&real)? {
        Kind::Program => Ok(real),
        Kind::Script(_) => Err(PassReason::Script),
    }
}

/// So many bytes tell a program from a script.
pub(crate) const TELLING: u64 = 4;

/// What the first bytes of an executable say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    Program,
    Script,
}

impl Beginning {
    /// Of what begins like this.
    pub(crate) fn of(head: &[u8]) -> Result<Beginning, PassReason> {
        match head {
            b"\x7fELF" => Ok(Beginning::Program),
            [b'#', b'!', ..] => Ok(Beginning::Script),
            _ => Err(PassReason::NotAProgram),
        }
    }
}

/// What kind of executable a file is.
enum Kind {
    Program,
    /// With how it begins.
    Script(String),
}

impl Kind {
    fn of(path: &Path) -> Result<Kind, PassReason> {
        let unreadable = |error: io::Error| PassReason::Unreadable { error: error.kind() };
        let found = fs::metadata(path).map_err(unreadable)?;
        if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
            return Err(PassReason::NotExecutable);
        }
        let mut head = Vec::new();
        let mut file = File::open(path).map_err(unreadable)?.take(TELLING);
        file.read_to_end(&mut head).map_err(unreadable)?;
        if Beginning::of(&head)? == Beginning::Program {
            return Ok(Kind::Program);
        }
        // More is read only of a script.
        file.set_limit(SCRIPT_HEAD);
        file.read_to_end(&mut head).map_err(unreadable)?;
        Ok(Kind::Script(String::from_utf8_lossy(&head).into_owned()))
    }
}
