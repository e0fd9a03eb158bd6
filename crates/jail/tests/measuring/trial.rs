//! What is asked about a cell whose step's process has worked before its step began.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use firebox_cell::{Cell, CellMaker, Link, Measured, Mount, StepLimits, View};
use firebox_job::ByteSize;

use crate::agent::{BEFORE, DONE, END, GO, GO_AND_LEAVE_ONE, IN_STEP, MEMORY_BEFORE, STAND};

const LIMITS: StepLimits = StepLimits {
    memory: ByteSize::mib(256),
    tasks: NonZeroU32::new(16).unwrap(),
    vcpus: NonZeroU32::MIN,
    disk: ByteSize::mib(1),
    inodes: 100,
    most: Duration::from_secs(60),
};

/// What the kernel counts CPU time in where it is read from `/proc`, for each of the two kinds of it, twice.
const ROUNDING: Duration = Duration::from_millis(40);

/// What may be left of the peak of memory where the host lets go of the one before.
pub(crate) const FORGOTTEN: Option<ByteSize> = Some(ByteSize::bytes(MEMORY_BEFORE as u64 / 2));

/// What this program needs to start: it is its own agent.
pub(crate) fn view() -> View {
    let mount = |path: &str| Mount { outside: path.into(), inside: path.into() };
    let link = |inside: &str, target: &str| Link { inside: inside.into(), target: target.into() };
    View {
        mounts: ["/usr/lib", "/usr/lib64"].map(mount).into(),
        links: vec![link("/lib", "usr/lib"), link("/lib64", "usr/lib64")],
        steps: 2,
        ..View::default()
    }
}

/// This program.
pub(crate) fn program() -> &'static [u8] {
    std::fs::read("/proc/self/exe").expect("this program").leak()
}

/// `peak` is the most that the peak of memory may be when a step begins, where the host can say that.
pub(crate) fn of(cells: &dyn CellMaker, peak: Option<ByteSize>) {
    let mut cell = cells.make(0).expect("a cell");
    // A second step begins at zero too.
    for _ in 0..2 {
        order(&cell, STAND);
        cell.host.limit(&LIMITS).expect("limits");
        let begun = measure(&mut cell);
        assert!(begun.cpu < ROUNDING, "what was before the step is counted: {begun:?}");
        assert!(begun.others, "the step's process is not seen: {begun:?}");
        let forgotten = begun.memory_peak.zip(peak).is_none_or(|(peak, most)| peak < most);
        assert!(forgotten, "memory given back before is counted: {begun:?}");

        order(&cell, GO);
        let ended = measure(&mut cell);
        assert!(IN_STEP.saturating_sub(ROUNDING) <= ended.cpu, "what was in the step is not counted: {ended:?}");
        assert!(ended.cpu < IN_STEP + BEFORE / 2, "what was before the step is counted: {ended:?}");
        assert!(!ended.others, "nobody is there: {ended:?}");
    }
    order(&cell, STAND);
    cell.host.limit(&LIMITS).expect("limits");
    order(&cell, GO_AND_LEAVE_ONE);
    assert!(measure(&mut cell).others, "a process that has lost its parent is not seen");
    order(&cell, END);
    assert!(!measure(&mut cell).others, "nobody is there");
    cell.host.remove().expect("a removal");
}

fn measure(cell: &mut Cell) -> Measured {
    cell.host.measure(Instant::now()).expect("a measurement")
}

/// Has the agent do something, and waits until it has.
fn order(cell: &Cell, word: u8) {
    let mut stream = File::from(cell.agent.as_fd().try_clone_to_owned().expect("a descriptor"));
    stream.write_all(&[word]).expect("an agent that listens");
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("an agent that answers");
    assert_eq!(answer, [DONE]);
}
