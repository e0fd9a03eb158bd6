//! The memory of a guest, from outside: as its monitor has it, and as who owns the host can write to it.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::memory::{Memory, mapping};

/// Where the text of Debian's kernel is in a guest's memory, but for its end, which has the entries.
pub(crate) const KERNEL_TEXT: Range<u64> = 18 << 20..24 << 20;
/// All of it, and its first tables of pages.
pub(crate) const KERNEL_WHOLE: Range<u64> = 16 << 20..64 << 20;

pub(crate) struct GuestMemory {
    monitor: u32,
    /// Where the monitor has it mapped: the largest of all that it has.
    mapping: Range<u64>,
    /// Where the guest's begins in there.
    start: u64,
}

impl GuestMemory {
    /// Of the machine with this monitor.
    pub(crate) fn of(monitor: u32) -> GuestMemory {
        let maps = fs::read_to_string(format!("/proc/{monitor}/maps")).expect("a monitor has mappings");
        let mappings = maps.lines().filter_map(|line| Some((mapping(line)?, line.contains('/'))));
        let largest = mappings.max_by_key(|(range, _)| range.end - range.start);
        let (mapping, is_file) = largest.expect("a monitor has mappings");
        // That of a clone is a file as it is; that of others begins at a boundary of huge pages.
        let start = if is_file { mapping.start } else { mapping.start.next_multiple_of(2 << 20) };
        GuestMemory { monitor, mapping, start }
    }

    /// Writes this over and over again to that place, until the guest does not survive it.
    pub(crate) fn fill(&self, place: Range<u64>, with: &[u8]) {
        let memory = OpenOptions::new().write(true).open(format!("/proc/{}/mem", self.monitor)).expect("its memory");
        let bytes: Vec<u8> = with.iter().copied().cycle().take(1 << 20).collect();
        memory.write_all_at(&bytes, self.start + place.start).expect("its memory is written to");
        // There is none any more once its monitor has ended.
        place.step_by(bytes.len()).skip(1).try_for_each(|at| memory.write_all_at(&bytes, self.start + at)).ok();
    }

    /// How much memory the monitor has besides, in KiB; what it shares with others counted in parts.
    pub(crate) fn monitors_own_kib(&self) -> u64 {
        let smaps = fs::read_to_string(format!("/proc/{}/smaps", self.monitor)).expect("a monitor has memory");
        Memory::of(&smaps, |mapping| *mapping == self.mapping).proportional
    }
}
