//! Where firebox keeps what is its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The directory for all that firebox keeps for this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

/// Nobody said where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHome {
    /// No variable says it.
    #[error(
        "no place to keep things: set FIREBOX_HOME to an absolute path (HOME and XDG_DATA_HOME are not set either)"
    )]
    Unset,
    /// It depends on where one happens to be.
    #[error("FIREBOX_HOME is `{}`, which is not an absolute path", .0.display())]
    Relative(PathBuf),
}

impl Home {
    /// The one that was named.
    pub fn at(path: PathBuf) -> Home {
        Home(path)
    }

    /// `FIREBOX_HOME`; else `firebox` in the place that the XDG rules give to a user's data.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Home, NoHome> {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = path("FIREBOX_HOME") {
            return if path.is_absolute() { Ok(Home(path)) } else { Err(NoHome::Relative(path)) };
        }
        // The rules say that a relative path is to be ignored.
        let data = path("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let data =
            data.or_else(|| path("HOME").filter(|path| path.is_absolute()).map(|home| home.join(".local/share")));
        data.map(|data| Home(data.join("firebox"))).ok_or(NoHome::Unset)
    }

    /// Where the images are.
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// Where the kernels of microVMs are.
    pub fn kernels(&self) -> PathBuf {
        self.0.join("kernels")
    }

    /// Where the snapshots of microVMs are.
    pub fn snapshots(&self) -> PathBuf {
        self.0.join("snapshots")
    }

    /// Where what was made once of toolchains is.
    pub fn groundworks(&self) -> PathBuf {
        self.0.join("groundworks")
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Result<PathBuf, NoHome> {
        let of = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Home::find(of).map(|home| home.0)
    }

    #[test]
    fn the_first_that_says_a_place_counts() {
        let all = [("FIREBOX_HOME", "/f"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(find(&all), Ok("/f".into()));
        assert_eq!(find(&all[1..]), Ok("/x/firebox".into()));
        assert_eq!(find(&all[2..]), Ok("/h/.local/share/firebox".into()));
        assert_eq!(
            find(&[("FIREBOX_HOME", ""), ("XDG_DATA_HOME", "x"), ("HOME", "/h")]),
            Ok("/h/.local/share/firebox".into())
        );
        assert_eq!(find(&[("HOME", "h")]), Err(NoHome::Unset));
        assert_eq!(find(&[("FIREBOX_HOME", "f"), ("HOME", "/h")]), Err(NoHome::Relative("f".into())));
    }
}
