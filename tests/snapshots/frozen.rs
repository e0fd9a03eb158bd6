//! Machines that are really frozen: guests of one instruction, on any KVM, with what a test puts into their memory.

use std::fs;
use std::os::unix::fs::{FileExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use firebox_image::{Digest, Frozen, SnapshotRecord, Snapshots};
use firebox_vmm::{Hypervisor, Machine, MemorySize, Settings, Start, Stopped, layout};

use crate::kit::{OrdinaryUser, skip, temp_dir};

/// All of a machine's memory, in MiB.
pub(crate) const MACHINE: u64 = 16;
/// So long no such guest needs.
const PLENTY: Duration = Duration::from_secs(60);
/// Where a test's content begins in the memory.
pub(crate) const CONTENT: u64 = 4 << 20;

/// Where firebox keeps things, for whoever calls it in this test.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Home {
        let directory = temp_dir();
        Home::give(directory.path(), caller());
        Home { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The only file of this name of all snapshots.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let kept = fs::read_dir(self.path().join("snapshots/frozen")).unwrap().map(|entry| entry.unwrap().path());
        let kept: Vec<PathBuf> = kept.collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept[0].join(name)
    }

    /// Freezes a machine with this in its memory, and keeps it under this name. None where there is no KVM, which is said.
    pub(crate) fn freeze(&self, name: &str, content: &[u8]) -> Option<SnapshotRecord> {
        let hypervisor = match Hypervisor::open() {
            Ok(hypervisor) => hypervisor,
            Err(why) => {
                skip("a machine that is frozen", &why.to_string());
                return None;
            }
        };
        // Whoever keeps it, it is kept by whoever calls firebox.
        Home::give(self.path(), None);
        let snapshots = Snapshots::open(&self.path().join("snapshots")).unwrap();
        let draft = snapshots.begin().unwrap();
        let machine =
            Machine::new(&hypervisor, Settings { memory: MemorySize::mib(MACHINE).unwrap(), cpus: 1 }).unwrap();
        // It jumps to where it is, for ever.
        machine.load(layout::PROGRAM, &[0xEB, 0xFE]).unwrap();
        machine.load(CONTENT, content).unwrap();
        machine.pauser().pause();
        let Stopped::Paused(paused) = machine.run(&Start { entry: layout::PROGRAM, argument: 0 }, PLENTY).unwrap()
        else {
            panic!("it has ended")
        };
        let state = paused.save(&hypervisor, draft.memory()).unwrap().encode();
        draft.state().write_all_at(&state, 0).unwrap();
        let record = draft.keep(frozen(name)).unwrap();
        Home::give(self.path(), caller());
        Some(record)
    }

    /// Gives everything to whoever calls firebox, or takes it back.
    fn give(path: &Path, to: Option<u32>) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let to = to.unwrap_or(0);
        chown(path, Some(to), Some(to)).unwrap();
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| Home::give(&entry.unwrap().path(), Some(to)));
        }
    }
}

/// Where that is not whoever runs the tests.
fn caller() -> Option<u32> {
    OrdinaryUser::where_nobody_is_named().map(|user| user.uid)
}

fn frozen(name: &str) -> Frozen {
    Frozen {
        name: name.parse().unwrap(),
        image: "debian".parse().unwrap(),
        tree: Digest::of(b"tree"),
        disk: Digest::of(b"disk"),
        kernel: "6.1.0-x".parse().unwrap(),
        machine_bytes: MACHINE << 20,
        tool: None,
        protocol: 1,
        made: 1_700_000_000,
    }
}
