//! What of the host a fence shows, opened before anything hostile is near.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use firebox_cell::View;
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
    /// Opens every part.
    pub(crate) fn open(view: &View) -> Result<Sights, StartError> {
        let parts = view.mounts.iter().map(|mount| (mount.outside.clone(), Access::ReadExecute));
        let devices = DEVICES.map(|device| (PathBuf::from(device), Access::ReadWrite));
        parts.chain(devices).map(|(path, access)| Ok((open(&path)?, access))).collect::<Result<_, _>>().map(Sights)
    }

    /// What they allow.
    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule<'_>> {
        self.0.iter().map(|(part, access)| Rule::new(part, *access))
    }
}

fn open(path: &Path) -> Result<OwnedFd, StartError> {
    let opened = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(|errno| StartError::View { path: path.to_owned(), source: errno.into() })
}
