//! One firebox among several on a host: who is alive, and what the dead have left.
//!
//! All instances share one file of fixed slots. A live instance holds a lock on its slot and has written there which
//! control groups it made. Whoever starts later and gets hold of a slot that is not empty knows that its owner died
//! before it could clean up, and does so. Processes need no sweeping: they die with their warden.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::cgroup;
use crate::sys::{Range, try_lock_range};

/// How many instances can live at once.
const SLOTS: u32 = 1024;
/// How long a slot is: as many paths as there are hierarchies of control groups, at any likely length.
const SLOT_BYTES: u32 = 4096;

/// A live instance. Its lock lasts as long as this or any copy of its descriptor.
pub(crate) struct Instance {
    file: File,
    slot: u32,
    nonce: u32,
}

/// Why no instance could be claimed.
#[derive(Debug)]
pub(crate) enum ClaimError {
    AllTaken,
    Io(io::Error),
}

impl From<io::Error> for ClaimError {
    fn from(error: io::Error) -> ClaimError {
        ClaimError::Io(error)
    }
}

impl Instance {
    /// Claims the first free slot, and sweeps up what dead instances have left in that and all other slots.
    pub(crate) fn claim(file: File) -> Result<Instance, ClaimError> {
        let used = (file.metadata()?.len() as u32).div_ceil(SLOT_BYTES).min(SLOTS);
        let mut claimed = None;
        for slot in 0..used {
            if !lock(&file, slot)? {
                continue;
            }
            let swept = cgroup::sweep(&read_record(&file, slot)?);
            if swept.is_ok() {
                write_record(&file, slot, &[])?;
            }
            match claimed {
                None if swept.is_ok() => claimed = Some(slot),
                // What will not go stays written down for the next start, so the slot is not ours to write to.
                _ => unlock(&file, slot),
            }
        }
        for slot in used..SLOTS {
            if claimed.is_some() {
                break;
            }
            if lock(&file, slot)? {
                claimed = Some(slot);
            }
        }
        let slot = claimed.ok_or(ClaimError::AllTaken)?;
        let mut nonce = [0; 4];
        getrandom(&mut nonce, GetRandomFlags::empty()).map_err(io::Error::from)?;
        Ok(Instance { file, slot, nonce: u32::from_ne_bytes(nonce) })
    }

    /// A name that no other instance has: not another live one, not a dead one whose slot this is, and not one that
    /// keeps its slots elsewhere because it has a `/run` of its own.
    pub(crate) fn name(&self) -> String {
        format!("firebox-{}-{:08x}", self.slot, self.nonce)
    }

    /// Writes down what the next start is to sweep, should this instance not come to it.
    pub(crate) fn record(&self, groups: &[PathBuf]) -> io::Result<()> {
        write_record(&self.file, self.slot, groups)
    }

    /// There is nothing left to sweep.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.record(&[])
    }
}

fn lock(file: &File, slot: u32) -> io::Result<bool> {
    Ok(try_lock_range(file.as_fd(), Range::Take, slot * SLOT_BYTES, SLOT_BYTES)?)
}

fn unlock(file: &File, slot: u32) {
    // A lock that will not open ends with this process.
    let _ = try_lock_range(file.as_fd(), Range::GiveBack, slot * SLOT_BYTES, SLOT_BYTES);
}

fn read_record(file: &File, slot: u32) -> io::Result<Vec<PathBuf>> {
    let mut bytes = [0; SLOT_BYTES as usize];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], u64::from(slot * SLOT_BYTES) + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    let paths = bytes[..length].split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
}

fn write_record(file: &File, slot: u32, groups: &[PathBuf]) -> io::Result<()> {
    let mut bytes = [0; SLOT_BYTES as usize];
    let mut at = 0;
    for group in groups {
        let path = group.as_os_str().as_bytes();
        let end = at + path.len();
        // The NUL that ends it must fit as well.
        if bytes.len() <= end {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the paths of our control groups are too long"));
        }
        bytes[at..end].copy_from_slice(path);
        at = end + 1;
    }
    file.write_all_at(&bytes, u64::from(slot * SLOT_BYTES))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn live_instances_have_different_names() {
        let shared = tempfile::NamedTempFile::new().unwrap();
        let one = Instance::claim(open(shared.path())).unwrap();
        one.record(&[]).unwrap();
        let other = Instance::claim(open(shared.path())).unwrap();

        assert!(one.name().starts_with("firebox-0-") && other.name().starts_with("firebox-1-"));
    }

    #[test]
    fn a_start_removes_what_a_dead_instance_recorded_and_nothing_of_a_live_one() {
        let shared = tempfile::NamedTempFile::new().unwrap();
        let groups = tempfile::tempdir().unwrap();
        let of = |name: &str| {
            let path = groups.path().join(name).join("cell");
            std::fs::create_dir_all(&path).unwrap();
            groups.path().join(name)
        };
        let dead = Instance::claim(open(shared.path())).unwrap();
        dead.record(&[of("firebox-0")]).unwrap();
        let live = Instance::claim(open(shared.path())).unwrap();
        live.record(&[of("firebox-1")]).unwrap();
        drop(dead);

        let next = Instance::claim(open(shared.path())).unwrap();

        assert!(next.name().starts_with("firebox-0-"));
        assert!(!groups.path().join("firebox-0").exists());
        assert!(groups.path().join("firebox-1").exists());
    }

    #[test]
    fn what_could_not_be_removed_is_tried_again_by_the_next_start() {
        let shared = tempfile::NamedTempFile::new().unwrap();
        let group = tempfile::tempdir().unwrap();
        // A file in it keeps a directory as a process keeps a control group.
        let obstacle = group.path().join("file");
        std::fs::write(&obstacle, "").unwrap();
        let dead = Instance::claim(open(shared.path())).unwrap();
        dead.record(&[group.path().to_owned()]).unwrap();
        drop(dead);

        let next = Instance::claim(open(shared.path())).unwrap();
        assert!(next.name().starts_with("firebox-1-"), "{}", next.name());
        std::fs::remove_file(&obstacle).unwrap();
        let after_next = Instance::claim(open(shared.path())).unwrap();

        assert!(after_next.name().starts_with("firebox-0-"), "{}", after_next.name());
        assert!(!group.path().exists());
    }
}
