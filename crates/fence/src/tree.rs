//! Walking a tree of files that a job has made: to count what it takes, and to remove it.
//!
//! Whatever its depth, one descriptor is open at a time: the way down is by name, the way up by `..`. Where that is not the
//! directory which it was on the way down, somebody has moved one meanwhile: the walk goes on from the last directory that
//! is still where it was. Links are never followed.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, chmod, fchmod, fstat, openat, statat, unlinkat};
use rustix::io::Errno;

/// What a tree takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Taken {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

impl Taken {
    /// More than anybody is granted.
    const TOO_MUCH: Taken = Taken { bytes: u64::MAX, inodes: u64::MAX };
}

/// How often a walk finds its way again. Nobody moves directories under it that often who does not mean to; and to find
/// the way takes the longer, the deeper it was.
const MOST_TIMES_LOST: u32 = 100;

/// The kernel counts blocks of files in these, whatever they are on disk.
const BLOCK: u64 = 512;

/// Counts a tree, no further than to more than so many inodes. While its job runs the tree may change under the walk:
/// then the count is of what was met. Who keeps moving it, so that nobody can count it, is told to have too much.
pub(crate) fn count(top: BorrowedFd<'_>, most_inodes: u64) -> Result<Taken, Errno> {
    let mut taken = Taken::default();
    let walked = walk(top, |directory, name, step| {
        if step == Step::Out {
            return Ok(Go::On);
        }
        // What is gone meanwhile takes nothing.
        let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(Go::On) };
        taken.inodes += 1;
        // One file by two names is counted twice: it has a name more, and the walk no memory.
        taken.bytes += stat.st_blocks as u64 * BLOCK;
        Ok(if taken.inodes > most_inodes { Go::Stop } else { Go::On })
    });
    match walked {
        Err(Errno::BUSY) => Ok(Taken::TOO_MUCH),
        walked => walked.map(|()| taken),
    }
}

/// Removes everything in a directory. Nobody may be left who makes more.
pub(crate) fn remove_contents(top: BorrowedFd<'_>) -> Result<(), Errno> {
    walk(top, |directory, name, step| {
        match step {
            Step::Leaf => unlinkat(directory, name, AtFlags::empty())?,
            Step::In => {}
            Step::Out => unlinkat(directory, name, AtFlags::REMOVEDIR)?,
        }
        Ok(Go::On)
    })
}

/// What is met on a walk: something that is no directory, or a directory, before and after what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Leaf,
    In,
    Out,
}

/// Whether to walk on.
enum Go {
    On,
    Stop,
}

/// A directory that the walk has gone into.
struct Level {
    /// Its name in the one above; none for the top.
    name: Option<CString>,
    /// Which directory it is.
    identity: (u64, u64),
    /// What in it is still to be gone into.
    directories: Vec<CString>,
}

/// Fails with EBUSY when it has lost its way too often.
fn walk(
    top: BorrowedFd<'_>,
    mut meet: impl FnMut(BorrowedFd<'_>, &CStr, Step) -> Result<Go, Errno>,
) -> Result<(), Errno> {
    let mut here = open_in(top, c".")?;
    let (mut levels, mut lost) = (Vec::new(), 0);
    match enter(&here, None, &mut meet)? {
        Some(level) => levels.push(level),
        None => return Ok(()),
    }
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.directories.pop() {
            if let Go::Stop = meet(here.as_fd(), &name, Step::In)? {
                return Ok(());
            }
            let Ok(below) = open_in(here.as_fd(), &name) else { continue };
            here = below;
            match enter(&here, Some(name), &mut meet)? {
                Some(level) => levels.push(level),
                None => return Ok(()),
            }
            continue;
        }
        let done = levels.pop().and_then(|level| level.name);
        let (Some(name), Some(above)) = (done, levels.last()) else { return Ok(()) };
        here = match open_in(here.as_fd(), c"..") {
            Ok(up) if identity(&up)? == above.identity => up,
            Ok(_) | Err(_) => {
                lost += 1;
                if MOST_TIMES_LOST < lost {
                    return Err(Errno::BUSY);
                }
                here = find_again(top, &mut levels)?;
                continue;
            }
        };
        if let Go::Stop = meet(here.as_fd(), &name, Step::Out)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Goes down from the top again, as far as the directories are still those that they were, and forgets the others. What is
/// in those is passed over, unless it is met where it has gone to.
fn find_again(top: BorrowedFd<'_>, levels: &mut Vec<Level>) -> Result<OwnedFd, Errno> {
    let mut here = open_in(top, c".")?;
    let mut found = 1;
    for level in levels.iter().skip(1) {
        let Some(below) = level.name.as_ref().and_then(|name| open_in(here.as_fd(), name).ok()) else { break };
        if identity(&below)? != level.identity {
            break;
        }
        here = below;
        found += 1;
    }
    levels.truncate(found);
    Ok(here)
}

/// Meets all in a directory that is no directory itself, and lists the others; none when the walk is to stop.
fn enter(
    here: &OwnedFd,
    name: Option<CString>,
    meet: &mut impl FnMut(BorrowedFd<'_>, &CStr, Step) -> Result<Go, Errno>,
) -> Result<Option<Level>, Errno> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(here)? {
        let entry = entry?;
        let found = entry.file_name();
        if matches!(found.to_bytes(), b"." | b"..") {
            continue;
        }
        match kind(here, found, entry.file_type()) {
            FileType::Directory => directories.push(found.to_owned()),
            _ => {
                if let Go::Stop = meet(here.as_fd(), found, Step::Leaf)? {
                    return Ok(None);
                }
            }
        }
    }
    Ok(Some(Level { name, identity: identity(here)?, directories }))
}

/// Not all file systems tell with the name.
fn kind(here: &OwnedFd, name: &CStr, told: FileType) -> FileType {
    match told {
        FileType::Unknown => statat(here, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
        told => told,
    }
}

/// Opens a directory to be listed and gone through. One that its owner may not do that to is opened to its owner first.
fn open_in(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(directory, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            open_to_owner(directory, name)?;
            openat(directory, name, flags, Mode::empty())
        }
        opened => opened,
    }?;
    if !Mode::from_raw_mode(fstat(&opened)?.st_mode).contains(Mode::RWXU) {
        // One that could be listed, and nothing in it reached.
        fchmod(&opened, Mode::RWXU)?;
    }
    Ok(opened)
}

/// Lets the owner of a directory list it, enter it and change what is in it.
fn open_to_owner(above: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    // A descriptor that stands for the directory itself: between looking and doing, its name may come to mean a link.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(above, name, flags, Mode::empty())?;
    chmod(format!("/proc/self/fd/{}", directory.as_raw_fd()), Mode::RWXU)
}

fn identity(directory: &OwnedFd) -> Result<(u64, u64), Errno> {
    fstat(directory).map(|stat| (stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn count_all(top: &Path) -> Taken {
        count(File::open(top).unwrap().as_fd(), u64::MAX).unwrap()
    }

    #[test]
    fn bytes_and_inodes_are_counted_and_links_not_followed() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b")).unwrap();
        fs::write(top.path().join("a/b/file"), vec![1; 40_000]).unwrap();
        symlink("/usr", top.path().join("a/link")).unwrap();
        let Taken { bytes, inodes } = count_all(top.path());
        assert_eq!(inodes, 4);
        assert!((40_000..80_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn counting_stops_at_the_limit() {
        let top = tempfile::tempdir().unwrap();
        (0..100).for_each(|n| fs::write(top.path().join(n.to_string()), "").unwrap());
        assert_eq!(count(File::open(top.path()).unwrap().as_fd(), 10).unwrap().inodes, 11);
    }

    #[test]
    fn a_directory_that_is_moved_meanwhile_hides_none_of_the_others() {
        let top = tempfile::tempdir().unwrap();
        let all = top.path().join("all");
        for name in ["a", "b", "c"] {
            fs::create_dir_all(all.join(name).join("below")).unwrap();
            fs::write(all.join(name).join("below/file"), "").unwrap();
        }
        let mut met = 0;
        walk(File::open(top.path()).unwrap().as_fd(), |_, name, step| {
            if step == Step::Leaf && name == c"file" {
                met += 1;
                // The directory that the walk is in is among them.
                for name in ["a", "b", "c"].into_iter().filter(|_| met == 1) {
                    let elsewhere = top.path().join(format!("moved-{name}"));
                    fs::rename(all.join(name).join("below"), &elsewhere).unwrap();
                    fs::create_dir(all.join(name).join("below")).unwrap();
                    fs::write(all.join(name).join("below/file"), "").unwrap();
                }
            }
            Ok(Go::On)
        })
        .unwrap();
        assert_eq!(met, 3);
    }

    #[test]
    fn a_tree_that_never_stands_still_is_too_much() {
        let top = tempfile::tempdir().unwrap();
        for n in 0..=MOST_TIMES_LOST {
            fs::create_dir_all(top.path().join(format!("{n}/below"))).unwrap();
            fs::write(top.path().join(format!("{n}/below/file")), "").unwrap();
        }
        let mut moved = 0;
        let walked = walk(File::open(top.path()).unwrap().as_fd(), |directory, _, step| {
            if step == Step::Leaf {
                moved += 1;
                let here = fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).unwrap();
                fs::rename(here, top.path().join(format!("moved-{moved}"))).unwrap();
            }
            Ok(Go::On)
        });
        assert_eq!(walked, Err(Errno::BUSY));
    }

    #[test]
    fn a_tree_of_any_depth_is_removed_closed_directories_and_all() {
        let top = tempfile::tempdir().unwrap();
        let mut here = openat(rustix::fs::CWD, top.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&here, "d", Mode::from_raw_mode(0o755)).unwrap();
            here = openat(&here, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        for mode in [0o0, 0o300, 0o400, 0o500] {
            let closed = top.path().join(format!("closed-{mode:o}"));
            fs::create_dir(&closed).unwrap();
            fs::write(closed.join("file"), "").unwrap();
            fs::set_permissions(closed, Permissions::from_mode(mode)).unwrap();
        }

        assert_eq!(count_all(top.path()).inodes, 5008);
        remove_contents(File::open(top.path()).unwrap().as_fd()).unwrap();

        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    }
}
