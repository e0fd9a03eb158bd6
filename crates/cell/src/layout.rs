//! Where things are in a cell, as its programs name them.

use std::path::{Path, PathBuf};

use crate::{Supply, View};

/// Where things are in a cell, as its programs name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// The cell has a root of its own: the view appears where it says, files are at the places that every cell has.
    Viewed,
    /// The cell shares the host's root: the view's parts are where the host has them, files where the host put them.
    OnHost {
        /// The work directory.
        work: PathBuf,
        /// Where temporary files go.
        temporary: PathBuf,
        /// Where the programs are that firebox brings along.
        supplies: PathBuf,
    },
}

/// The work directory of a cell with a root of its own.
const WORK: &str = "/job";
/// And where its temporary files go.
const TEMPORARY: &str = "/tmp";

impl Layout {
    /// The work directory.
    pub fn work(&self) -> &Path {
        match self {
            Layout::Viewed => Path::new(WORK),
            Layout::OnHost { work, .. } => work,
        }
    }

    /// Where temporary files go.
    pub fn temporary(&self) -> &Path {
        match self {
            Layout::Viewed => Path::new(TEMPORARY),
            Layout::OnHost { temporary, .. } => temporary,
        }
    }

    /// Where something is that a view shows at `inside`.
    pub fn place(&self, view: &View, inside: &Path) -> PathBuf {
        if let (Layout::OnHost { supplies, .. }, Ok(below)) = (self, inside.strip_prefix(Supply::PLACE)) {
            return supplies.join(below);
        }
        let moved = |mount: &&crate::Mount| mount.inside != mount.outside && inside.starts_with(&mount.inside);
        match (self, view.mounts.iter().find(moved)) {
            (Layout::OnHost { .. }, Some(mount)) => {
                // It starts with the mount's place, as `moved` found.
                let below = inside.strip_prefix(&mount.inside).unwrap_or(Path::new(""));
                if below.as_os_str().is_empty() { mount.outside.clone() } else { mount.outside.join(below) }
            }
            _ => inside.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mount;

    #[test]
    fn on_the_host_what_a_view_moves_is_where_it_was() {
        let mount = |outside: &str, inside: &str| Mount { outside: outside.into(), inside: inside.into() };
        let view =
            View { mounts: vec![mount("/usr/bin", "/usr/bin"), mount("/home/x/py", "/opt/py")], ..View::default() };
        let on_host = Layout::OnHost { work: "/w".into(), temporary: "/t".into(), supplies: "/s".into() };
        for (inside, viewed, host) in [
            ("/usr/bin/cc", "/usr/bin/cc", "/usr/bin/cc"),
            ("/opt/py/bin/python", "/opt/py/bin/python", "/home/x/py/bin/python"),
            ("/opt/py", "/opt/py", "/home/x/py"),
            ("/opt/pypy", "/opt/pypy", "/opt/pypy"),
            ("/opt/firebox/linker/cc", "/opt/firebox/linker/cc", "/s/linker/cc"),
        ] {
            assert_eq!(Layout::Viewed.place(&view, Path::new(inside)), Path::new(viewed));
            assert_eq!(on_host.place(&view, Path::new(inside)), Path::new(host));
        }
    }
}
