//! What is said of a step when it has ended. Pure: everything it needs is in its arguments.

use firebox_cell::{Measured, Past};
use firebox_job::{Signal, StepKind, Verdict};
use firebox_wire::End;

/// Why the engine ended a step before its program ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killed {
    Cancelled,
    /// More than allowed of what the kernel does not see to.
    Past(Past),
    CpuLimit,
    Timeout,
}

/// How a step ended, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended<'a> {
    pub(crate) kind: StepKind,
    /// The engine's own doing, if it was.
    pub(crate) killed: Option<Killed>,
    /// What became of the program, by the agent's word. None when there was no word any more.
    pub(crate) end: Option<End>,
    /// What the host counted.
    pub(crate) measured: Measured,
    /// Exit codes by which this step's tool says that it broke down.
    pub(crate) crash_codes: &'a [u8],
}

/// The verdict: the first that applies, in the order of [`Verdict`].
///
/// A verdict about a limit comes from what the host measured or from what the engine did itself, never from `end`: the
/// agent's word alone makes no more than a program's own code or signal.
pub(crate) fn verdict(ended: &Ended<'_>) -> Verdict {
    let Ended { kind, killed, end, measured, crash_codes } = *ended;
    let failed = end != Some(End::Exited(0));
    if killed == Some(Killed::Cancelled) {
        return Verdict::Cancelled;
    }
    if measured.oom_kills > 0 || killed == Some(Killed::Past(Past::Memory)) {
        return Verdict::MemoryLimit;
    }
    if killed == Some(Killed::Past(Past::Tasks)) {
        return Verdict::TasksLimit;
    }
    let filled = failed && killed.is_none() && measured.disk_full;
    if filled || killed == Some(Killed::Past(Past::Disk)) {
        return Verdict::DiskLimit;
    }
    // Time is what it ran out of, and memory is what it lacked: more of the one would not have helped it.
    if measured.starved && matches!(killed, Some(Killed::CpuLimit | Killed::Timeout)) {
        return Verdict::MemoryLimit;
    }
    match killed {
        Some(Killed::CpuLimit) => return Verdict::CpuLimit,
        Some(Killed::Timeout) => return Verdict::Timeout,
        Some(Killed::Cancelled | Killed::Past(_)) | None => {}
    }
    match (kind, end) {
        (_, Some(End::Exited(0))) => Verdict::Ok,
        (StepKind::Run, Some(End::Exited(code))) => Verdict::RuntimeError(code.into()),
        (StepKind::Run, Some(End::Signaled(signal))) => Verdict::Signaled(Signal(signal)),
        (StepKind::Build, Some(End::Exited(code))) if crash_codes.contains(&code) => {
            Verdict::CompilerCrash(code.into())
        }
        (StepKind::Build, Some(End::Exited(code))) => Verdict::CompileError(code.into()),
        (StepKind::Build, Some(End::Signaled(signal))) => Verdict::CompilerCrash(128 + i32::from(signal)),
        // Without a word from the agent and without a count of ours there is no verdict; the caller reports a fault
        // before it comes to this.
        (_, None) => Verdict::Signaled(Signal(9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Ended<'static> = Ended {
        kind: StepKind::Run,
        killed: None,
        end: Some(End::Exited(0)),
        measured: Measured {
            cpu: std::time::Duration::ZERO,
            past: None,
            memory_peak: None,
            oom_kills: 0,
            starved: false,
            disk_full: false,
            others: false,
        },
        crash_codes: &[],
    };
    const BUILD: Ended<'static> = Ended { kind: StepKind::Build, crash_codes: &[101], ..RUN };
    const OOM: Measured = Measured { oom_kills: 1, ..RUN.measured };
    const STARVED: Measured = Measured { starved: true, ..RUN.measured };
    const FULL: Measured = Measured { disk_full: true, ..RUN.measured };

    #[test]
    fn the_first_verdict_that_applies_is_it() {
        let exited = |code| Some(End::Exited(code));
        let by = |signal| Some(End::Signaled(signal));
        let killed = |how| Some(how);
        for (ended, expected) in [
            (RUN, Verdict::Ok),
            (Ended { end: exited(3), ..RUN }, Verdict::RuntimeError(3)),
            (Ended { end: by(11), ..RUN }, Verdict::Signaled(Signal(11))),
            (Ended { end: by(9), killed: killed(Killed::Timeout), ..RUN }, Verdict::Timeout),
            (Ended { end: by(9), killed: killed(Killed::CpuLimit), ..RUN }, Verdict::CpuLimit),
            (Ended { end: by(9), killed: killed(Killed::Cancelled), measured: OOM, ..RUN }, Verdict::Cancelled),
            (Ended { end: by(9), measured: OOM, ..RUN }, Verdict::MemoryLimit),
            (Ended { end: by(9), killed: killed(Killed::Past(Past::Memory)), ..RUN }, Verdict::MemoryLimit),
            (Ended { end: by(9), killed: killed(Killed::Past(Past::Tasks)), ..RUN }, Verdict::TasksLimit),
            (Ended { end: by(9), killed: killed(Killed::Past(Past::Disk)), ..RUN }, Verdict::DiskLimit),
            (Ended { end: exited(0), measured: OOM, ..RUN }, Verdict::MemoryLimit),
            (Ended { end: None, measured: OOM, ..RUN }, Verdict::MemoryLimit),
            (Ended { end: by(9), measured: STARVED, killed: killed(Killed::Timeout), ..RUN }, Verdict::MemoryLimit),
            (Ended { end: None, measured: STARVED, killed: killed(Killed::CpuLimit), ..RUN }, Verdict::MemoryLimit),
            (Ended { measured: STARVED, ..RUN }, Verdict::Ok),
            (Ended { end: by(9), measured: STARVED, ..RUN }, Verdict::Signaled(Signal(9))),
            (Ended { end: exited(1), measured: FULL, ..RUN }, Verdict::DiskLimit),
            (Ended { end: by(7), measured: FULL, ..RUN }, Verdict::DiskLimit),
            (Ended { end: by(25), measured: FULL, ..RUN }, Verdict::DiskLimit),
            (Ended { end: exited(0), measured: FULL, ..RUN }, Verdict::Ok),
            (Ended { end: by(9), killed: killed(Killed::Timeout), measured: FULL, ..RUN }, Verdict::Timeout),
            (Ended { end: exited(1), ..BUILD }, Verdict::CompileError(1)),
            (Ended { end: exited(101), ..BUILD }, Verdict::CompilerCrash(101)),
            (Ended { end: by(11), ..BUILD }, Verdict::CompilerCrash(139)),
            (Ended { end: by(9), measured: OOM, ..BUILD }, Verdict::MemoryLimit),
            (Ended { end: exited(1), measured: FULL, ..BUILD }, Verdict::DiskLimit),
        ] {
            assert_eq!(verdict(&ended), expected, "{ended:?}");
        }
    }

    #[test]
    fn without_a_measure_of_the_hosts_no_word_of_the_agents_is_a_limit() {
        for signal in 1..=64 {
            let end = Some(End::Signaled(signal));
            assert_eq!(verdict(&Ended { end, ..RUN }), Verdict::Signaled(Signal(signal)));
            assert_eq!(verdict(&Ended { end, ..BUILD }), Verdict::CompilerCrash(128 + i32::from(signal)));
        }
        for code in 1..=u8::MAX {
            assert_eq!(verdict(&Ended { end: Some(End::Exited(code)), ..RUN }), Verdict::RuntimeError(code.into()));
        }
    }
}
