//! What `firebox rootfs`, `firebox kernel` and `firebox snapshot` have in common: each keeps things by their names, in a directory
//! below the same home.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use firebox_image::{Home, NoHome, StoreError};
use firebox_lang::nearest;
use serde::Serialize;

use crate::failure::Failure;
use crate::outlet;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    Images,
    Kernels,
    Snapshots,
}

/// Names that were taken away.
#[derive(Serialize)]
struct Removed {
    removed: Vec<String>,
}

/// The home that the environment names.
pub(crate) fn usual_home() -> Result<Home, NoHome> {
    Home::find(|name| env::var_os(name))
}

impl Shelf {
    /// Opens it, in the home that was named or in the usual one.
    pub(crate) fn open<T>(
        self,
        home: Option<PathBuf>,
        open: impl FnOnce(&Path) -> Result<T, StoreError>,
    ) -> Result<T, Failure> {
        const HELP: &str = "`--home`, or the variable FIREBOX_HOME, names another directory";
        let home = match home {
            // As with any file that is named, it counts from where one is.
            Some(home) => std::path::absolute(home).map(Home::at).map_err(Failure::host)?,
            None => usual_home().map_err(|error| Failure::host(error).with_help(HELP))?,
        };
        let path = match self {
            Shelf::Images => home.images(),
            Shelf::Kernels => home.kernels(),
            Shelf::Snapshots => home.snapshots(),
        };
        open(&path).map_err(|error| match error {
            error @ StoreError::Io { .. } => Failure::host(error).with_help(HELP),
            error => Failure::host(error),
        })
    }

    /// One of these, and the command that lists them.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Shelf::Images => ("image", "firebox rootfs list"),
            Shelf::Kernels => ("kernel", "firebox kernel list"),
            Shelf::Snapshots => ("snapshot", "firebox snapshot list"),
        }
    }

    /// That it has nothing of that name, and which of those that it has is meant.
    pub(crate) fn lacks(self, name: &impl Display, known: &[impl Display]) -> Failure {
        let (one, list) = self.words();
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let help = match nearest(&name.to_string(), known.iter().map(String::as_str)).first() {
            Some(near) => format!("did you mean `{near}`? `{list}` has all names"),
            None => format!("`{list}` has all names"),
        };
        Failure::request(anyhow!("there is no {one} `{name}`")).with_help(help)
    }

    /// All of these names are among those that it has.
    pub(crate) fn has<Name: Display + PartialEq>(self, names: &[Name], known: &[Name]) -> Result<(), Failure> {
        match names.iter().find(|name| !known.contains(name)) {
            Some(name) => Err(self.lacks(name, known)),
            None => Ok(()),
        }
    }
}

/// Says which were removed.
pub(crate) fn tell_of_removed(names: &[impl Display], json: bool) -> Result<(), Failure> {
    if json {
        return outlet::say_json(&Removed { removed: names.iter().map(ToString::to_string).collect() });
    }
    outlet::say(&names.iter().map(|name| format!("removed {name}\n")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_is_told_with_the_nearest_that_is() {
        let told = Shelf::Kernels.has(&["6.12", "6.1.0"], &["6.12", "6.1.1"]).unwrap_err().message().unwrap();
        assert!(told.contains("no kernel `6.1.0`") && told.contains("did you mean `6.1.1`?"), "{told}");
        let told = Shelf::Images.lacks(&"rust", &[] as &[&str]).message().unwrap();
        assert!(told.contains("no image `rust`") && told.contains("`firebox rootfs list` has all names"), "{told}");
    }
}
