//! Which files may be reached, and which processes, by rules that the kernel checks whatever the mounts say.
//!
//! Owns the rights, what each version of the kernel's interface knows of them, and the report of what was enforced.
//! TCP is left alone: a cell has only its own loopback.

use core::fmt;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::error::ConfineError;
use crate::layer::Layer;
use crate::sys::{self, PathBeneath, Ruleset};

/// What may be done with everything beneath a directory, or with one file.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    target: BorrowedFd<'a>,
    access: Access,
}

/// The rights that a rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read files, list directories.
    Read,
    /// And execute.
    ReadExecute,
    /// Read and write what is there and talk to devices; nothing is made, removed or executed. For `/dev`.
    ReadWrite,
    /// Everything but making device nodes and executing. For what processes share and none is to run from.
    Data,
    /// Everything but making device nodes. For a job's own directories.
    Full,
}

/// What Landlock does for this process now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlock {
    /// The rules hold: outside of them, none of `rights` is given.
    Enforced {
        /// The version of the kernel's interface.
        abi: u32,
        /// The actions on files that are refused unless a rule gives them.
        rights: Rights,
        /// Whether processes and abstract sockets outside are out of reach too.
        scopes: Scopes,
    },
    /// Nothing.
    Unavailable(Unavailable),
}

/// Why Landlock does nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The kernel is older than 5.13 or was built without it.
    NotBuilt,
    /// The kernel has it, but was started without (`lsm=`).
    SwitchedOff,
    /// Something around this process answers that it may not: an outer seccomp filter.
    Forbidden,
    /// Before version 2 it refuses every rename between directories, which programs do not expect.
    TooOld {
        /// The version of the kernel's interface.
        abi: u32,
    },
}

/// A set of actions on files, as the kernel numbers them (`LANDLOCK_ACCESS_FS_*`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rights(u64);

/// Whether what lives outside the confined processes is out of their reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// Signals and abstract Unix sockets stay within (from version 6).
    Enforced,
    /// The kernel does not know them; a PID and a network namespace have to do it.
    Unknown,
}

impl Scopes {
    const fn known_to(abi: u32) -> Scopes {
        if abi < 6 { Scopes::Unknown } else { Scopes::Enforced }
    }
}

impl<'a> Rule<'a> {
    /// Gives `access` to what `target` is open on. A path descriptor (`O_PATH`) is enough.
    pub fn new(target: &'a impl AsFd, access: Access) -> Rule<'a> {
        Rule { target: target.as_fd(), access }
    }
}

impl Rights {
    /// Reading one file.
    pub const READ_FILE: Rights = Rights(1 << 2);
    /// Opening a file for writing.
    pub const WRITE_FILE: Rights = Rights(1 << 1);
    /// Changing a file's length.
    pub const TRUNCATE: Rights = Rights(1 << 14);

    const EXECUTE: Rights = Rights(1 << 0);
    const READ_DIRECTORY: Rights = Rights(1 << 3);
    /// From removing a directory to making a symbolic link, and linking across directories.
    const MAKE_AND_REMOVE: Rights = Rights(0x3ff0);
    const MAKE_DEVICES: Rights = Rights(1 << 6 | 1 << 11);
    const DEVICE_COMMANDS: Rights = Rights(1 << 15);
    /// What a rule on something else than a directory may give.
    const OF_A_FILE: Rights = Rights::EXECUTE
        .with(Rights::READ_FILE)
        .with(Rights::WRITE_FILE)
        .with(Rights::TRUNCATE)
        .with(Rights::DEVICE_COMMANDS);

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Everything that this version of the interface can refuse, as far as we know it.
    const fn known_to(abi: u32) -> Rights {
        match abi {
            // 1: the first thirteen.
            0 | 1 => Rights(0x1fff),
            // 2: linking and renaming between directories.
            2 => Rights(0x3fff),
            // 3: changing a file's length. 4 is about TCP.
            3 | 4 => Rights(0x7fff),
            // 5: commands to devices. 6 and 7 have nothing new for files; what comes after them is not known here.
            _ => Rights(0xffff),
        }
    }

    const fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    const fn within(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    const fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }
}

impl Access {
    const fn rights(self) -> Rights {
        let read = Rights::READ_FILE.with(Rights::READ_DIRECTORY);
        let write = Rights::WRITE_FILE.with(Rights::TRUNCATE).with(Rights::DEVICE_COMMANDS);
        match self {
            Access::Read => read,
            Access::ReadExecute => read.with(Rights::EXECUTE),
            Access::ReadWrite => read.with(write),
            Access::Data => read.with(write).with(Rights::MAKE_AND_REMOVE.without(Rights::MAKE_DEVICES)),
            Access::Full => Access::Data.rights().with(Rights::EXECUTE),
        }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({:#x})", self.0)
    }
}

impl Landlock {
    /// Refuses every file that no rule gives, and what lives outside where the kernel can, for good.
    ///
    /// Descriptors already open stay usable. Needs [`forbid_new_privileges`](crate::forbid_new_privileges) first. Where
    /// the kernel has no usable Landlock nothing happens, and the answer says so.
    pub fn restrict(rules: &[Rule<'_>]) -> Result<Landlock, ConfineError> {
        match Landlock::version()? {
            Err(unavailable) => Ok(Landlock::Unavailable(unavailable)),
            Ok(abi) => {
                let (rights, scopes) = (Rights::known_to(abi), Scopes::known_to(abi));
                Domain::of(rules, rights, scopes).map_err(refused)?.enter()?;
                Ok(Landlock::Enforced { abi, rights, scopes })
            }
        }
    }

    /// The version of the kernel's interface, or why there is none to be used.
    pub fn version() -> Result<Result<u32, Unavailable>, ConfineError> {
        match sys::landlock_abi() {
            Ok(abi @ (0 | 1)) => Ok(Err(Unavailable::TooOld { abi })),
            Ok(abi) => Ok(Ok(abi)),
            Err(Errno::NOSYS) => Ok(Err(Unavailable::NotBuilt)),
            Err(Errno::OPNOTSUPP) => Ok(Err(Unavailable::SwitchedOff)),
            Err(Errno::PERM) => Ok(Err(Unavailable::Forbidden)),
            Err(errno) => Err(refused(errno)),
        }
    }
}

/// Rules that stand ready for a process to enter. Made while the calls for it are still to be had; a process that enters
/// stays in all domains it was in before.
#[derive(Debug)]
pub struct Domain(OwnedFd);

impl Domain {
    /// One in which files are as they were, and neither signals nor abstract sockets reach outside. None where the
    /// kernel does not know of that (before version 6).
    pub fn of_processes() -> Result<Option<Domain>, ConfineError> {
        Domain::scoped(&[], |_| Rights(0))
    }

    /// The same, and no file can be reached but by these rules.
    pub fn of_files(rules: &[Rule<'_>]) -> Result<Option<Domain>, ConfineError> {
        Domain::scoped(rules, Rights::known_to)
    }

    fn scoped(rules: &[Rule<'_>], rights: impl Fn(u32) -> Rights) -> Result<Option<Domain>, ConfineError> {
        match Landlock::version()? {
            Ok(abi) if Scopes::known_to(abi) == Scopes::Enforced => {
                Domain::of(rules, rights(abi), Scopes::Enforced).map(Some).map_err(refused)
            }
            Ok(_) | Err(_) => Ok(None),
        }
    }

    fn of(rules: &[Rule<'_>], rights: Rights, scopes: Scopes) -> Result<Domain, Errno> {
        let scoped = match scopes {
            // Abstract Unix sockets, signals.
            Scopes::Enforced => 0b11,
            Scopes::Unknown => 0,
        };
        let ruleset = sys::landlock_create(&Ruleset { files: rights.0, network: 0, scoped })?;
        for Rule { target, access } in rules {
            let mut given = access.rights().within(rights);
            if !is_directory(*target)? {
                // The kernel refuses a rule that gives a file what only a directory has.
                given = given.within(Rights::OF_A_FILE);
            }
            sys::landlock_allow(ruleset.as_fd(), &PathBeneath::new(given.0, *target))?;
        }
        Ok(Domain(ruleset))
    }

    /// Enters, for good. Needs [`forbid_new_privileges`](crate::forbid_new_privileges) first.
    pub fn enter(&self) -> Result<(), ConfineError> {
        sys::landlock_restrict_self(self.0.as_fd()).map_err(refused)
    }
}

fn refused(errno: Errno) -> ConfineError {
    ConfineError::refused(Layer::Landlock)(errno)
}

fn is_directory(target: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mode = rustix::fs::fstat(target)?.st_mode;
    Ok(rustix::fs::FileType::from_raw_mode(mode).is_dir())
}
