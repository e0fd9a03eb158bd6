//! Where a service keeps what outlives it, and who may have it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use firebox_server::StateDirectory;
use firebox_warden::EngineUser;
use rustix::process::geteuid;

use crate::failure::Failure;

/// What stands for no directory at all.
const NONE: &str = "none";
const HELP: &str = "name another directory with `--state`, or say `--state none` to serve without jobs that outlive \
                    their connection, and without keys";

/// The directory that was asked for, or else the one there is for whoever starts firebox; none if none is wanted.
pub(crate) fn place(asked: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    match asked {
        Some(none) if none.as_os_str() == NONE => Ok(None),
        Some(path) => Ok(Some(path)),
        None => usual(geteuid().is_root(), |name| env::var_os(name).map(PathBuf::from)).map(Some).ok_or_else(|| {
            Failure::host(anyhow!("there is no place to keep what the service must not forget: `HOME` is not set"))
                .with_help(HELP)
        }),
    }
}

/// Takes it for one service, and gives it to whom this process will be.
pub(crate) fn claim(path: &Path, engine: EngineUser) -> Result<StateDirectory, Failure> {
    let claimed = StateDirectory::open(path).and_then(StateDirectory::lock).and_then(|directory| {
        if let EngineUser::Leased(uid) = engine {
            directory.hand_to(uid)?;
        }
        Ok(directory)
    });
    claimed.map_err(|error| Failure::host(error).with_help(HELP))
}

fn usual(is_root: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/lib/firebox"));
    }
    // One that is not absolute is to be ignored, says the specification.
    let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let home = || variable("HOME").filter(|path| path.is_absolute()).map(|home| home.join(".local/state"));
    state.or_else(home).map(|state| state.join("firebox"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_usual_place() {
        let of = |is_root, variables: &[(&str, &str)]| {
            let path = usual(is_root, |name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
            });
            path.map(|path| path.display().to_string())
        };
        assert_eq!(of(true, &[("HOME", "/root")]).as_deref(), Some("/var/lib/firebox"));
        assert_eq!(of(false, &[("HOME", "/h")]).as_deref(), Some("/h/.local/state/firebox"));
        assert_eq!(of(false, &[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/firebox"));
        assert_eq!(of(false, &[("HOME", "/h"), ("XDG_STATE_HOME", "s")]).as_deref(), Some("/h/.local/state/firebox"));
        assert_eq!(of(false, &[]), None);
    }

    #[test]
    fn none_is_none() {
        assert_eq!(place(Some("none".into())).unwrap(), None);
        assert_eq!(place(Some("./none".into())).unwrap(), Some("./none".into()));
    }
}
