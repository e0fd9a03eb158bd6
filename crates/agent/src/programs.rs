//! Where in a jail programs may be executed from: each thing in the root but those that hold data.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

/// More than the root of any view has.
pub(crate) const MOST_PLACES: usize = 48;

/// Where nothing is executed from. `/job` and `/tmp` have rules of their own.
const DATA: [&[u8]; 6] = [b".", b"..", b"dev", b"proc", b"job", b"tmp"];

/// What has been found, open.
pub(crate) struct Programs([Option<OwnedFd>; MOST_PLACES]);

impl Programs {
    /// Opens every place.
    pub(crate) fn open(root: &impl AsFd) -> Result<Programs, Errno> {
        let listed = openat(root, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut found = [const { None }; MOST_PLACES];
        let mut free = found.iter_mut();
        let mut names = [MaybeUninit::uninit(); 2048];
        let mut entries = RawDir::new(&listed, &mut names);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if DATA.contains(&entry.file_name().to_bytes()) {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            *free.next().ok_or(Errno::TOOBIG)? = Some(openat(root, entry.file_name(), flags, Mode::empty())?);
        }
        Ok(Programs(found))
    }

    /// All of them.
    pub(crate) fn places(&self) -> impl Iterator<Item = &OwnedFd> {
        self.0.iter().flatten()
    }
}
