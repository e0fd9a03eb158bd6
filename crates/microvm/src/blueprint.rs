//! What a machine is made of.

use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

use firebox_cell::{Mount, View};
use firebox_job::ByteSize;
use firebox_monitor::Course;

/// What machines of one kind are made of. Decided by trusted code before anything hostile is near, as what cells show is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// How they begin.
    pub beginning: Beginning,
    /// The image, as a file system of whole sectors.
    pub disk: Option<PathBuf>,
    /// The guest's memory.
    pub memory: ByteSize,
    /// Its processors.
    pub vcpus: NonZeroU8,
}

/// How machines begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// They boot.
    Boot(Kernel),
    /// They boot, and can be frozen.
    Freeze(Kernel),
    /// They go on where another was frozen.
    GoOn {
        /// How all stood in there.
        state: PathBuf,
        /// What was in its memory.
        memory: PathBuf,
    },
}

/// What boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel.
    pub kernel: PathBuf,
    /// What it begins with.
    pub initramfs: PathBuf,
}

/// Where the parts are in the view by which a warden keeps them.
pub(crate) const PROGRAM: &str = "/program";
pub(crate) const CONTENTS: &str = "/contents";
pub(crate) const DISK: &str = "/disk";

impl Blueprint {
    /// The files, as a warden keeps what cells show: what it has once, no renaming on the host changes.
    pub(crate) fn view(&self) -> View {
        let Blueprint { beginning, disk, memory: _, vcpus: _ } = self;
        let mount = |outside: &Path, inside: &str| Mount { outside: outside.to_owned(), inside: inside.into() };
        let disk = disk.iter().map(|disk| mount(disk, DISK));
        let (program, contents) = beginning.files();
        let mounts = [mount(program, PROGRAM), mount(contents, CONTENTS)].into_iter().chain(disk);
        View { mounts: mounts.collect(), ..View::default() }
    }
}

impl Beginning {
    fn files(&self) -> (&Path, &Path) {
        match self {
            Beginning::Boot(Kernel { kernel, initramfs }) | Beginning::Freeze(Kernel { kernel, initramfs }) => {
                (kernel, initramfs)
            }
            Beginning::GoOn { state, memory } => (state, memory),
        }
    }

    pub(crate) fn course(&self) -> Course {
        match self {
            Beginning::Boot(_) => Course::Boot,
            Beginning::Freeze(_) => Course::Freeze,
            Beginning::GoOn { .. } => Course::GoOn,
        }
    }

    /// What is written for it that counts as its monitor's memory where the files are in memory themselves.
    pub(crate) fn written(&self, memory: ByteSize) -> ByteSize {
        match self {
            Beginning::Freeze(_) => memory,
            Beginning::Boot(_) | Beginning::GoOn { .. } => ByteSize::bytes(0),
        }
    }
}
