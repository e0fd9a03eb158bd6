//! Control groups that were handed to an ordinary user: by a service manager, in a scope of its own, or by an
//! administrator.
//!
//! There is no place where all processes of all users could agree on who is alive. So each instance holds a lock on its
//! own directory, and whoever comes finds those without one and removes them. Coming and going is done one at a time,
//! under a lock on the place itself.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::directory::Directory;
use super::{DetectError, Groups, Place, sweep, v2};

/// What the directories of such instances are called, before what tells them apart.
const PREFIX: &str = "firebox-user-";

/// The group that firebox itself steps into, where version 2 wants groups to have either members or children.
const ASIDE: &str = "firebox-caller";

/// How long to wait for others who come and go.
const PATIENCE: Duration = Duration::from_secs(1);

/// The groups of an instance, and where they are.
pub(crate) struct Delegated {
    pub(crate) groups: Groups,
    pub(crate) site: Site,
}

/// The group that was handed over, as long as an instance has its own in it.
pub(crate) struct Site {
    /// Locked for as long as any copy of this is open.
    _alive: File,
    /// Where controllers were handed down, which version 2 asks for.
    handed_down: Option<Directory>,
}

impl Site {
    /// Leaves it as it was, so that whoever it belongs to can put processes into it again. While others have groups in
    /// it, the kernel refuses, and they do it.
    pub(crate) fn leave(self) {
        if let Some(own) = self.handed_down {
            let _ = v2::take_back(&own);
        }
    }
}

impl Delegated {
    /// Makes the groups of an instance, and removes those of dead ones.
    pub(crate) fn claim() -> Result<Delegated, DetectError> {
        let place = Place::handed_down()?;
        let first = place.first().to_owned();
        let cannot = |source| DetectError::Make { place: first.clone(), source };
        let _turn = take_turn(&first).map_err(cannot)?;
        let handed_down = match &place {
            Place::V2(own) => Some(step_aside(own).map_err(cannot)?),
            Place::V1(_) => None,
        };
        sweep_the_dead(&place);
        let mut nonce = [0; 8];
        getrandom(&mut nonce, GetRandomFlags::empty()).map_err(|errno| cannot(errno.into()))?;
        let name = format!("{PREFIX}{:016x}", u64::from_ne_bytes(nonce));
        let groups = place.create(&name)?;
        match alive(&first.join(&name)) {
            Ok(Some(alive)) => Ok(Delegated { groups, site: Site { _alive: alive, handed_down } }),
            other => {
                let _ = groups.remove();
                Err(cannot(other.err().unwrap_or_else(|| io::ErrorKind::AlreadyExists.into())))
            }
        }
    }
}

/// Waits until nobody else of this user comes or goes in this place, but not for long: anybody can lock what they can
/// read.
fn take_turn(place: &Path) -> io::Result<File> {
    let directory = File::open(place)?;
    if directory.metadata()?.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(directory),
            Err(Errno::AGAIN) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Takes the lock of an instance; none when somebody has it.
fn alive(directory: &Path) -> io::Result<Option<File>> {
    let directory = File::open(directory)?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(directory)),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn sweep_the_dead(place: &Place) {
    for entry in fs::read_dir(place.first()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && matches!(alive(&entry.path()), Ok(Some(_))) {
            // What will not go is left for the next.
            let _ = sweep(&place.directories(&name));
        }
    }
}

/// Leaves the group that is to have children, and hands the controllers down in it. Only where nobody else is in it:
/// others are not ours to move.
fn step_aside(own: &Path) -> io::Result<Directory> {
    let members = fs::read_to_string(own.join("cgroup.procs"))?;
    if members.split_whitespace().eq([std::process::id().to_string()]) {
        let aside = own.join(ASIDE);
        match fs::create_dir(&aside) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => fs::write(aside.join("cgroup.procs"), "0")?,
        }
    }
    let directory = Directory::open(own)?;
    v2::hand_down(&directory)?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_a_directory_is_had_by_one_and_given_back_with_its_last_copy() {
        let directory = tempfile::tempdir().unwrap();
        let living = alive(directory.path()).unwrap().unwrap();
        let copy = living.try_clone().unwrap();
        drop(living);
        assert!(alive(directory.path()).unwrap().is_none());
        drop(copy);
        assert!(alive(directory.path()).unwrap().is_some());
    }

    #[test]
    fn what_the_dead_have_left_goes_and_nothing_else() {
        let top = tempfile::tempdir().unwrap();
        let of = |name: &str| {
            let path = top.path().join(name);
            fs::create_dir_all(path.join("c1.agent")).unwrap();
            path
        };
        let (dead, living, other) = (of("firebox-user-1"), of("firebox-user-2"), of("firebox-0-1"));
        let _alive = alive(&living).unwrap().unwrap();

        sweep_the_dead(&Place::V2(top.path().to_owned()));

        assert!(!dead.exists() && living.exists() && other.exists());
    }
}
