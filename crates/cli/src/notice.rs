//! What firebox adds in its own voice to a job's output: one line for a verdict that was not the program's own doing,
//! and one for each stream that lost its middle.

use std::time::Duration;

use firebox_job::{ByteSize, Outcome, Policy, Signal, StepKind, Verdict};

use crate::live::Missing;
use crate::signals::StopSignal;

/// Says in plain words why a program did not end by itself; none when it did. `came` is the signal that took the job
/// back, if one did.
pub(crate) fn of_verdict(outcome: &Outcome, policy: &Policy, came: Option<StopSignal>) -> Option<String> {
    let limits = &outcome.limits;
    let building = outcome.steps.last().is_some_and(|step| step.kind == StepKind::Build);
    let who = if building { "building" } else { "the run" };
    let why = match outcome.verdict {
        Verdict::Ok | Verdict::RuntimeError(_) | Verdict::CompileError(_) => return None,
        Verdict::Cancelled => match came {
            Some(StopSignal::CtrlC) => "stopped by Ctrl-C",
            Some(StopSignal::Sigterm) => "stopped by SIGTERM",
            None => "the job was stopped before it had ended",
        }
        .to_owned(),
        Verdict::MemoryLimit if building => {
            format!(
                "building needed more than {} of memory, which is all that building is given",
                policy.building.memory
            )
        }
        Verdict::MemoryLimit => format!("the run needed more than {} of memory (`--memory` raises it)", limits.memory),
        Verdict::TasksLimit if building => {
            format!("building made more than {} tasks, which is all that building is given", policy.building.tasks)
        }
        Verdict::TasksLimit => format!("the run made more than {} tasks (`--tasks` raises it)", limits.tasks),
        Verdict::DiskLimit if building => {
            let (disk, inodes) = (policy.building.disk, policy.building.inodes);
            format!("building filled {disk} or made {inodes} files, which is all that building is given")
        }
        Verdict::DiskLimit => {
            format!("the run filled {} or made {} files (`--disk` raises the size)", limits.disk, limits.inodes)
        }
        Verdict::CpuLimit => {
            // Without a word about CPU time it grows with the run's, and cannot be raised past it.
            let flag = if limits.is_cpu_of_whole_run() { "--run-time" } else { "--cpu-time" };
            format!("{who} used more than {} of CPU time (`{flag}` raises it)", seconds(limits.cpu))
        }
        Verdict::Timeout => {
            let (what, limit, flag) = if outcome.timing.total.saturating_sub(outcome.timing.queue) >= limits.timeout {
                ("the job", limits.timeout, "--timeout")
            } else if building {
                ("building", limits.compile, "--compile-time")
            } else {
                ("the run", limits.run, "--run-time")
            };
            format!("{what} took longer than {} (`{flag}` raises it)", seconds(limit))
        }
        Verdict::Signaled(signal) => format!("{who} was ended by signal {}", named(signal)),
        Verdict::CompilerCrash(code) => format!("the compiler broke down with exit code {code}"),
    };
    Some(format!("firebox: {}: {why}\n", outcome.verdict.status()))
}

/// Says how much of the output nobody will see.
pub(crate) fn of_missing(missing: Missing, limit: ByteSize) -> Option<String> {
    let Missing { stdout, stderr } = missing;
    let line = |stream, bytes| match bytes {
        0 => String::new(),
        _ => format!(
            "firebox: {stream} was cut: {bytes} bytes in its middle were dropped \
             (`--output` raises the limit of {limit})\n"
        ),
    };
    let lines = line("standard output", stdout) + &line("standard error", stderr);
    (!lines.is_empty()).then_some(lines)
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// Number and, for those that programs die of, name.
fn named(Signal(number): Signal) -> String {
    // The numbers of x86-64 and AArch64, signal(7).
    let name = match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return number.to_string(),
    };
    format!("{number} ({name})")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use firebox_job::{Ask, Captured, CellKind, Enforcement, Limits, Protection, StepReport, Timing, TraceId, Usage};

    use super::*;

    const HELD: Protection = Protection::Enforced;

    fn policy() -> Policy {
        Policy::for_host(NonZeroU32::MIN, ByteSize::gib(4))
    }

    fn outcome(verdict: Verdict, kind: StepKind, ask: Ask, total: u64) -> Outcome {
        let step = StepReport {
            name: String::new(),
            kind,
            exit_code: verdict.exit_code(),
            kept: false,
            wall: Duration::ZERO,
            usage: Usage::default(),
            stdout: Captured::default(),
            stderr: Captured::default(),
        };
        Outcome {
            trace_id: TraceId::new("t").unwrap(),
            verdict,
            step: step.name.clone(),
            stdout: Captured::default(),
            stderr: Captured::default(),
            timing: Timing { total: Duration::from_secs(total), ..Timing::default() },
            usage: Usage::default(),
            limits: Limits::within(ask, &policy()).unwrap(),
            isolation: CellKind::Jail,
            enforcement: Enforcement { memory: HELD, tasks: HELD, cpu: HELD, disk: HELD },
            steps: vec![step],
        }
    }

    #[test]
    fn a_verdict_that_is_not_the_programs_doing_is_said_with_its_limit_and_flag() {
        use StepKind::{Build, Run};
        let none = Ask::default();
        let cpu = Ask { cpu: Some(Duration::from_secs(2)), ..none };
        for (verdict, kind, ask, total, line) in [
            (Verdict::Timeout, Run, none, 11, "timeout: the run took longer than 10 s (`--run-time` raises it)"),
            (Verdict::Timeout, Build, none, 30, "timeout: building took longer than 30 s (`--compile-time` raises it)"),
            (Verdict::Timeout, Run, none, 60, "timeout: the job took longer than 60 s (`--timeout` raises it)"),
            (
                Verdict::MemoryLimit,
                Run,
                none,
                1,
                "memory_limit: the run needed more than 512 MiB of memory (`--memory` raises it)",
            ),
            (
                Verdict::MemoryLimit,
                Build,
                none,
                1,
                "memory_limit: building needed more than 1 GiB of memory, which is all that building is given",
            ),
            (
                Verdict::CpuLimit,
                Run,
                none,
                1,
                "cpu_limit: the run used more than 10 s of CPU time (`--run-time` raises it)",
            ),
            (
                Verdict::CpuLimit,
                Run,
                cpu,
                1,
                "cpu_limit: the run used more than 2 s of CPU time (`--cpu-time` raises it)",
            ),
            (
                Verdict::DiskLimit,
                Run,
                none,
                1,
                "disk_limit: the run filled 64 MiB or made 10000 files (`--disk` raises the size)",
            ),
            (Verdict::Cancelled, Run, none, 1, "cancelled: the job was stopped before it had ended"),
            (Verdict::Signaled(Signal(11)), Run, none, 1, "signaled: the run was ended by signal 11 (SIGSEGV)"),
            (Verdict::Signaled(Signal(40)), Run, none, 1, "signaled: the run was ended by signal 40"),
            (Verdict::CompilerCrash(101), Build, none, 1, "compiler_crash: the compiler broke down with exit code 101"),
        ] {
            let said = of_verdict(&outcome(verdict, kind, ask, total), &policy(), None);
            assert_eq!(said, Some(format!("firebox: {line}\n")));
        }
    }

    #[test]
    fn a_job_that_was_taken_back_says_by_what() {
        let outcome = outcome(Verdict::Cancelled, StepKind::Run, Ask::default(), 1);
        for (came, words) in [(StopSignal::CtrlC, "Ctrl-C"), (StopSignal::Sigterm, "SIGTERM")] {
            let said = of_verdict(&outcome, &policy(), Some(came)).unwrap();
            assert_eq!(said, format!("firebox: cancelled: stopped by {words}\n"));
        }
    }

    #[test]
    fn a_program_that_ended_by_itself_speaks_for_itself() {
        for verdict in [Verdict::Ok, Verdict::RuntimeError(3), Verdict::CompileError(1)] {
            assert_eq!(of_verdict(&outcome(verdict, StepKind::Run, Ask::default(), 1), &policy(), None), None);
        }
    }

    #[test]
    fn a_stream_that_was_cut_says_how_much_is_missing_and_what_raises_the_limit() {
        let limit = ByteSize::mib(1);
        assert_eq!(of_missing(Missing::default(), limit), None);
        assert_eq!(
            of_missing(Missing { stdout: 12, stderr: 0 }, limit).unwrap(),
            "firebox: standard output was cut: 12 bytes in its middle were dropped \
             (`--output` raises the limit of 1 MiB)\n"
        );
        assert_eq!(of_missing(Missing { stdout: 1, stderr: 2 }, limit).unwrap().lines().count(), 2);
    }
}
