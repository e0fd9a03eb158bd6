//! Where everything stands in a guest.
//!
//! The kernel unpacks the archive that we came in into a root that cannot be left for another, as a warden leaves its host's. So
//! a root of its own comes first. The archive's files stay below it, out of sight.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_move};

/// Where the new root is before it is the root.
const NEXT: &str = "/next";
/// Where the language's image is, for the mounts of a view.
const IMAGE: &str = "/image";
/// The disk that has it.
const DISK: &str = "/dev/vda";
/// What our own files may take: the lists of who has which uid.
const ROOT_OPTIONS: &str = "mode=0755,size=16m";

/// What can be mounted, and where.
struct Place {
    at: &'static str,
    kind: &'static str,
    flags: MountFlags,
    options: &'static str,
}

const PLACES: [Place; 3] = [
    Place { at: "/proc", kind: "proc", flags: HARMLESS, options: "" },
    Place { at: "/sys", kind: "sysfs", flags: HARMLESS, options: "" },
    Place { at: "/sys/fs/cgroup", kind: "cgroup2", flags: HARMLESS, options: "" },
];
const HARMLESS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// The devices alone: with them it can be said what goes wrong.
pub(crate) fn devices() -> Result<()> {
    put(&Place { at: "/dev", kind: "devtmpfs", flags: MountFlags::NOSUID | MountFlags::NOEXEC, options: "mode=0755" })
}

/// A root, the kernel's own file systems, and the image, if there is a disk with one.
pub(crate) fn everything_else() -> Result<()> {
    put(&Place { at: NEXT, kind: "tmpfs", flags: MountFlags::NOSUID | MountFlags::NODEV, options: ROOT_OPTIONS })?;
    let dev = Path::new(NEXT).join("dev");
    fs::create_dir(&dev).with_context(|| format!("cannot make {}", dev.display()))?;
    mount_move("/dev", &dev).context("cannot take the devices along")?;
    become_root().context("cannot have a root of our own")?;
    PLACES.iter().try_for_each(put)?;
    fs::create_dir_all("/run").context("cannot make /run")?;
    promise_memory().context("cannot have memory promised")?;
    if Path::new(DISK).exists() {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        fs::create_dir(IMAGE).with_context(|| format!("cannot make {IMAGE}"))?;
        mount(DISK, IMAGE, "erofs", flags, None).with_context(|| format!("cannot mount {DISK}, the image"))?;
    }
    Ok(())
}

/// A host has far more memory than a job is granted, and so promises it more than that: who asks for too much is told when it is used. A guest has little
/// more than the job, and would refuse at once, which most programs take for something else than a limit.
fn promise_memory() -> std::io::Result<()> {
    fs::write("/proc/sys/vm/overcommit_memory", "1")
}

fn put(place: &Place) -> Result<()> {
    let Place { at, kind, flags, options } = *place;
    let made = fs::create_dir_all(at).and_then(|()| {
        let options = std::ffi::CString::new(options)?;
        match mount(kind, at, kind, flags, Some(options.as_c_str())) {
            // Some kernels do that by themselves.
            Err(Errno::BUSY) => Ok(()),
            done => Ok(done?),
        }
    });
    made.with_context(|| format!("cannot mount {kind} at {at}"))
}

fn become_root() -> Result<(), Errno> {
    rustix::process::chdir(NEXT)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")
}
