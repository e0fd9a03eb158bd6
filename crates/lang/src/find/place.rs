//! Where a program of the host appears in a cell, and what comes along with it.

use std::path::{Path, PathBuf};

use firebox_cell::View;

use super::{Found, PassReason};
use crate::host::Host;
use crate::language::ProgramSpec;

/// Where administrators and container images install things side by side. It is never mounted whole, for it may hold
/// anything; these parts of it are programs and what they need.
const SHARED_PREFIX: &str = "/usr/local";
const SHARED_PARTS: [&str; 6] = ["bin", "include", "lib", "lib32", "lib64", "libexec"];

/// Where a program appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where it is on the host, in what every job in the language sees.
    System {
        /// Its path in the cell.
        inside: PathBuf,
    },
    /// Where it is on the host, with more of the host around it.
    Shared {
        /// Its path in the cell.
        inside: PathBuf,
        /// What of the host must appear at its own place.
        parts: Vec<PathBuf>,
    },
    /// In a place of the cell's own.
    Elsewhere {
        /// Its path in the cell.
        inside: PathBuf,
        /// The toolchain's directory on the host.
        prefix: PathBuf,
        /// Where that appears.
        at: PathBuf,
    },
}

impl Place {
    /// The program's path in the cell.
    pub(crate) fn inside(&self) -> &Path {
        match self {
            Place::System { inside } | Place::Shared { inside, .. } | Place::Elsewhere { inside, .. } => inside,
        }
    }
}

/// Decides where a program appears in a cell that sees `view` anyway.
pub(crate) fn place(found: &Found, spec: &ProgramSpec, view: &View, host: &Host) -> Result<Place, PassReason> {
    // Only what is mounted where it was can be found by the host's own path.
    let in_place = || view.mounts.iter().filter(|mount| mount.outside == mount.inside);
    let visible = |path: &Path| in_place().any(|mount| path.starts_with(&mount.inside));
    let Found { called, real, toolchain } = found;
    if visible(real) {
        let inside = if visible(called) { called } else { real };
        return Ok(Place::System { inside: inside.clone() });
    }
    let shared = |path: &Path| SHARED_PARTS.iter().any(|part| path.starts_with(Path::new(SHARED_PREFIX).join(part)));
    if shared(real) {
        let inside = if shared(called) || visible(called) { called } else { real };
        let parts = SHARED_PARTS.map(|part| Path::new(SHARED_PREFIX).join(part));
        return Ok(Place::Shared { inside: inside.clone(), parts: parts.to_vec() });
    }

    let bin = real.parent().filter(|directory| directory.file_name().is_some_and(|name| name == "bin"));
    let (bin, prefix) = bin.and_then(|bin| Some((bin, bin.parent()?))).ok_or(PassReason::NotInBin)?;
    if too_wide(prefix, host) {
        return Err(PassReason::PrefixTooWide { prefix: prefix.to_owned() });
    }
    let elsewhere = spec.elsewhere.as_ref().ok_or(PassReason::NoPlace)?;
    let own_name = prefix.file_name().map(|name| name.to_string_lossy().into_owned());
    let toolchain = toolchain.clone().or(own_name).unwrap_or_default();
    let at = PathBuf::from(elsewhere.at.replace("{toolchain}", &toolchain));
    if view.mounts.iter().any(|mount| mount.inside == at && mount.outside != prefix) {
        return Err(PassReason::PlaceTaken { at });
    }
    // Compilers go by the name they are called by, so that name is kept where the toolchain itself has it.
    let called = called.file_name().map(|name| bin.join(name));
    let called = called.filter(|called| called.canonicalize().is_ok_and(|target| target == *real));
    let file = called.as_deref().unwrap_or(real).file_name().unwrap_or_default();
    Ok(Place::Elsewhere { inside: at.join("bin").join(file), prefix: prefix.to_owned(), at })
}

/// Whether a directory holds more than a toolchain: the root, what stands directly below it, a home directory and
/// all above it, and the place in a home directory where everything is installed side by side.
fn too_wide(prefix: &Path, host: &Host) -> bool {
    let shallow = prefix.components().count() <= 2;
    let shared = Path::new(SHARED_PREFIX).starts_with(prefix);
    let home = host.home.iter().any(|home| {
        let home = home.canonicalize().unwrap_or_else(|_| home.clone());
        home.starts_with(prefix) || prefix == home.join(".local")
    });
    // Whose home it is does not matter; the variable may be unset or another user's.
    let anybody = prefix.parent() == Some(Path::new("/home")) || prefix.file_name().is_some_and(|n| n == ".local");
    shallow || shared || home || anybody
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use firebox_cell::Mount;

    use super::*;
    use crate::language::Elsewhere;

    fn check(called: &str, real: &str, expected: Result<&str, &str>) {
        let mount = |path: &str| Mount { outside: PathBuf::from(path), inside: PathBuf::from(path) };
        let taken = Mount { outside: PathBuf::from("/srv/tools/taken"), inside: PathBuf::from("/opt/tool/taken") };
        let view = View { mounts: vec![mount("/usr/bin"), mount("/usr/lib"), taken], ..View::default() };
        let host = Host { home: Some(PathBuf::from("/users/ann")), ..Host::default() };
        let elsewhere = Elsewhere { at: "/opt/tool/{toolchain}".to_owned(), environment: BTreeMap::new() };
        let spec = ProgramSpec {
            name: "tool".to_owned(),
            beside: None,
            find: vec!["tool".to_owned()],
            arguments: BTreeMap::new(),
            tells: BTreeMap::new(),
            install: None,
            elsewhere: Some(elsewhere),
            links: None,
        };
        let found = Found { called: PathBuf::from(called), real: PathBuf::from(real), toolchain: None };
        let placed = place(&found, &spec, &view, &host).map(|place| match place {
            Place::System { inside } => format!("system {}", inside.display()),
            Place::Shared { inside, parts } => format!("shared {} {}", inside.display(), parts.len()),
            Place::Elsewhere { inside, prefix, .. } => format!("{} from {}", inside.display(), prefix.display()),
        });
        let placed = placed.as_ref().map(String::as_str).map_err(ToString::to_string);
        match (placed, expected) {
            (Ok(placed), Ok(expected)) => assert_eq!(placed, expected),
            (Err(reason), Err(word)) => assert!(reason.contains(word), "{real}: {reason}"),
            (placed, expected) => panic!("{real}: {placed:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_system_program_keeps_the_name_it_is_called_by() {
        check("/usr/bin/clang++", "/usr/lib/llvm/bin/clang", Ok("system /usr/bin/clang++"));
        check("/users/ann/bin/python3", "/usr/bin/python3.11", Ok("system /usr/bin/python3.11"));
    }

    #[test]
    fn the_shared_prefix_is_shown_in_parts_and_in_place() {
        check("/usr/local/bin/node", "/usr/local/bin/node", Ok("shared /usr/local/bin/node 6"));
        check("/usr/bin/node", "/usr/local/lib/node/bin/node", Ok("shared /usr/bin/node 6"));
    }

    #[test]
    fn a_toolchain_of_its_own_is_moved() {
        let expected = Ok("/opt/tool/v20/bin/node from /users/ann/.nvm/v20");
        check("/users/ann/.nvm/v20/bin/node", "/users/ann/.nvm/v20/bin/node", expected);
        check("/usr/local/bin/node", "/opt/node-22/bin/node", Ok("/opt/tool/node-22/bin/node from /opt/node-22"));
    }

    #[test]
    fn two_toolchains_do_not_share_a_place() {
        let real = "/users/ann/other/taken/bin/tool";
        check(real, real, Err("another toolchain than what appears at /opt/tool/taken"));
    }

    #[test]
    fn what_would_show_too_much_is_refused() {
        for real in [
            "/bin/tool",
            "/srv/bin/tool",
            "/users/bin/tool",
            "/users/ann/bin/tool",
            "/users/ann/.local/bin/tool",
            "/home/bob/bin/tool",
        ] {
            check(real, real, Err("would show the job all of"));
        }
        check("/users/ann/tools/node", "/users/ann/tools/node", Err("not in a directory called `bin`"));
    }
}
