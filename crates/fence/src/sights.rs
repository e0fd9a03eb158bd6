//! What of the host a fence shows, opened before anything hostile is near.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use firebox_cell::{Supply, View};
use firebox_confine::{Access, Rule};
use firebox_warden::StartError;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// The device files that every program may use.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The parts of a view, where the host has them. Links and small files of a view have no place in a root that is the
/// host's.
#[derive(Debug)]
pub(crate) struct Sights(Vec<(OwnedFd, Access)>);

impl Sights {
    /// Opens every part, and puts what firebox brings along into a directory.
    pub(crate) fn open(view: &View, supplies: &Path) -> Result<Sights, StartError> {
        let brought = view.supplies.iter().map(|supply| {
            let path = supplies.join(supply.below());
            bring(supply, &path).map_err(|source| StartError::RunDirectory { path: path.clone(), source })?;
            Ok(path)
        });
        let brought = brought.collect::<Result<Vec<_>, _>>()?;
        let parts = view.mounts.iter().map(|mount| mount.outside.clone()).chain(brought);
        let parts = parts.map(|part| (part, Access::ReadExecute));
        let devices = DEVICES.map(|device| (PathBuf::from(device), Access::ReadWrite));
        parts.chain(devices).map(|(path, access)| Ok((open(&path)?, access))).collect::<Result<_, _>>().map(Sights)
    }

    /// What they allow.
    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule<'_>> {
        self.0.iter().map(|(part, access)| Rule::new(part, *access))
    }
}

/// Puts a program where cells can execute it and only Landlock has a say in it. Another view may have brought it.
fn bring(supply: &Supply, path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o500).open(path) {
        Ok(mut file) => file.write_all(supply.program()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> Result<OwnedFd, StartError> {
    let opened = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(|errno| StartError::View { path: path.to_owned(), source: errno.into() })
}
