//! The course of one job in its cell: one step after the other until one of them settles the verdict.

use std::io;
use std::time::{Duration, Instant};

use firebox_cell::StepLimits;
use firebox_job::{
    Building, Captured, CellKind, Enforcement, Limits, Outcome, Protection, Require, Seed, SourceFile, StepKind,
    StepReport, Timing, TraceId, Usage, Verdict,
};
use firebox_lang::Step;
use firebox_wire::Ends;

use crate::decide::{self, Ended};
use crate::edge::Listeners;
use crate::input::Input;
use crate::kept::{Keeping, Served};
use crate::laps::Laps;
use crate::removals::Removals;
use crate::session::Session;
use crate::watch::{CpuTime, Looks, Watch, Watched};
use crate::{RunError, Stdin};

/// What is to be done in a cell.
pub(crate) struct Course<'a> {
    pub(crate) trace_id: &'a TraceId,
    pub(crate) files: &'a [SourceFile],
    pub(crate) steps: &'a [Step],
    pub(crate) limits: &'a Limits,
    pub(crate) building: &'a Building,
    pub(crate) require: Require,
    pub(crate) seed: Seed,
    pub(crate) admitted: Instant,
    /// Where what is built is kept, if it is.
    pub(crate) keeping: Option<&'a Keeping<'a>>,
}

/// What the steps so far have come to.
struct Progress {
    reports: Vec<StepReport>,
    enforcement: Enforcement,
    verdict: Verdict,
    parting: Parting,
    /// Whether the host still saw anybody but the agent when the last step had ended.
    others: bool,
}

/// What a job has come to, and its cell where that is still to be removed.
pub(crate) type Over = (Outcome, Option<Session>);

/// How a job takes leave of its cell.
///
/// When an outcome is returned, no process of its job exists. For that an agent ends and awaits them all before it says
/// that the last step has ended; and one that could be lying goes before the outcome comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// Every step ended by itself, and the agent said so when it was to: the removal is not awaited, and not even ordered before the
    /// outcome is on its way, unless the host still sees somebody but the agent.
    InPeace,
    /// We had to end a step, or its end was not heard of: nothing is left of the cell before anything else happens.
    Watched,
}

impl Course<'_> {
    /// Takes the whole course in a new cell, and has that removed.
    pub(crate) fn take(
        &self,
        session: Session,
        stdin: Stdin,
        listeners: &mut Listeners<'_>,
        removals: &Removals,
    ) -> Result<Outcome, RunError> {
        let (outcome, left) = self.go_on(self.enter(session, removals)?, stdin, listeners, removals)?;
        left.into_iter().for_each(|session| removals.order_for_nobody(session));
        Ok(outcome)
    }

    /// Puts the job's files into a cell. When that fails the cell is gone, and nothing of the job has run.
    pub(crate) fn enter(&self, mut session: Session, removals: &Removals) -> Result<Session, RunError> {
        session.end_by(self.admitted + self.limits.timeout);
        session.laps = Laps::since(self.admitted);
        session.laps.end(|stages| &mut stages.cell);
        let stored = session.store(self.files);
        session.laps.end(|stages| &mut stages.store);
        match stored {
            Ok(()) => Ok(session),
            Err(error) => Err(removed(session, removals, error)),
        }
    }

    /// Takes the rest of the course.
    pub(crate) fn go_on(
        &self,
        mut session: Session,
        stdin: Stdin,
        listeners: &mut Listeners<'_>,
        removals: &Removals,
    ) -> Result<Over, RunError> {
        let isolation = session.cell.host.kind();
        let progress = match self.go_through(&mut session, stdin, listeners) {
            Ok(progress) => progress,
            Err(error) => return Err(removed(session, removals, error)),
        };
        let mut laps = session.laps;
        let left = match progress.parting {
            // A word too many is a lie of another kind.
            Parting::InPeace if !progress.others && session.cell.agent.is_quiet() => Some(session),
            Parting::InPeace | Parting::Watched => {
                removals.remove(session.let_go())?;
                None
            }
        };
        laps.end(|stages| &mut stages.end);
        Ok((self.outcome(progress, isolation, laps), left))
    }

    /// The one step that there is, in a cell that is still of use then.
    pub(crate) fn only_step(
        &self,
        session: &mut Session,
        stdin: Stdin,
        listeners: &mut Listeners<'_>,
    ) -> Result<(Verdict, StepReport), RunError> {
        let mut progress = self.go_through(session, stdin, listeners)?;
        let report = progress.reports.pop();
        report.map(|report| (progress.verdict, report)).ok_or(RunError::Silent { doing: "begin" })
    }

    /// One step after the other.
    fn go_through(
        &self,
        session: &mut Session,
        stdin: Stdin,
        listeners: &mut Listeners<'_>,
    ) -> Result<Progress, RunError> {
        let mut stdin = Some(stdin);
        let served = match self.keeping {
            Some(keeping) => keeping.serve(session, self.limits.output, listeners)?,
            None => None,
        };
        let to_keep = self.keeping.filter(|_| served.is_none());
        let steps = if served.is_some() { self.running_steps() } else { self.steps };
        let Served { reports, verdict } = served.unwrap_or_default();
        let parting = Parting::InPeace;
        let mut progress = Progress { reports, enforcement: WATCHED, verdict, parting, others: false };
        for step in steps {
            if progress.verdict != Verdict::Ok {
                break;
            }
            let stdin = match step.kind {
                StepKind::Run => {
                    if let Some(keeping) = to_keep {
                        keeping.keep(session, &progress.reports)?;
                    }
                    stdin.take()
                }
                StepKind::Build => None,
            };
            self.step(session, step, stdin.unwrap_or(Stdin::Empty), listeners, &mut progress)?;
        }
        Ok(progress)
    }

    fn outcome(&self, progress: Progress, isolation: CellKind, laps: Laps) -> Outcome {
        let Progress { reports, enforcement, verdict, parting: _, others: _ } = progress;
        let run = reports.iter().find(|report| report.kind == StepKind::Run);
        let failed_build = reports.last().filter(|last| last.kind == StepKind::Build && verdict != Verdict::Ok);
        Outcome {
            trace_id: self.trace_id.clone(),
            verdict,
            step: reports.last().map(|last| last.name.clone()).unwrap_or_default(),
            stdout: run.map(|run| run.stdout.clone()).unwrap_or_default(),
            stderr: run.or(failed_build).map(|report| report.stderr.clone()).unwrap_or_default(),
            timing: Timing {
                queue: Duration::ZERO,
                compile: wall_of(&reports, StepKind::Build),
                run: wall_of(&reports, StepKind::Run),
                total: self.admitted.elapsed(),
                stages: laps.stages(),
            },
            usage: run.map(|run| run.usage).unwrap_or_default(),
            limits: *self.limits,
            isolation,
            enforcement,
            steps: reports,
        }
    }

    /// What is left to do where the build is there already.
    fn running_steps(&self) -> &[Step] {
        let runs = self.steps.iter().position(|step| step.kind == StepKind::Run);
        &self.steps[runs.unwrap_or(self.steps.len())..]
    }

    fn step(
        &self,
        session: &mut Session,
        step: &Step,
        stdin: Stdin,
        listeners: &mut Listeners<'_>,
        progress: &mut Progress,
    ) -> Result<(), RunError> {
        let input = Input::new(stdin)?;
        let now = Instant::now();
        let limits = self.step_limits(step.kind, self.until(step.kind, now, &progress.reports));
        let prepared = session.prepare(step, &limits, self.seed)?;
        if self.require == Require::Enforced && !prepared.enforcement.is_complete() {
            return Err(RunError::NotEnforced);
        }
        progress.enforcement = prepared.enforcement;
        // From here: what it took to prepare the step is not the program's time.
        let started = Instant::now();
        let watch = Watch {
            kind: step.kind,
            started,
            until: self.until(step.kind, started, &progress.reports),
            cpu: (step.kind == StepKind::Run).then(|| CpuTime::of(self.limits)),
            looks: Looks::for_these(prepared.enforcement),
            output: self.limits.output,
            ends: self.ends(step, prepared.enforcement),
        };
        let Watched { killed, end, not_started, measured, stdout, mut stderr, wall } =
            watch.run(session, &limits, input, listeners)?;
        if killed.is_some() || end.is_none() {
            progress.parting = Parting::Watched;
        }
        progress.others = measured.others;
        let ended = Ended { kind: step.kind, killed, end, measured, crash_codes: &step.crash_codes };
        progress.verdict = decide::verdict(&ended);
        if let Some(errno) = not_started {
            stderr = not_started_text(step, errno, &progress.reports)?;
        }
        progress.reports.push(StepReport {
            name: step.name.clone(),
            kind: step.kind,
            exit_code: progress.verdict.exit_code(),
            kept: false,
            wall,
            usage: Usage { cpu: measured.cpu, memory_peak: measured.memory_peak },
            stdout,
            stderr,
        });
        Ok(())
    }

    /// A tool that is followed by another step need not be gone before that begins, where the kernel holds each to its own:
    /// then what is still being taken down counts for nobody else.
    fn ends(&self, step: &Step, enforcement: Enforcement) -> Ends {
        let followed = self.steps.last().is_some_and(|last| last.name != step.name);
        if followed && enforcement.is_complete() { Ends::Over } else { Ends::Gone }
    }

    pub(crate) fn step_limits(&self, kind: StepKind, until: Instant) -> StepLimits {
        let (building, limits) = (self.building, self.limits);
        let most = until.saturating_duration_since(Instant::now()) + LAST_RESORT;
        match kind {
            StepKind::Build => StepLimits {
                memory: building.memory,
                tasks: building.tasks,
                vcpus: building.vcpus,
                disk: building.disk,
                inodes: building.inodes,
                most,
            },
            StepKind::Run => StepLimits {
                memory: limits.memory,
                tasks: limits.tasks,
                vcpus: limits.vcpus,
                disk: limits.disk,
                inodes: limits.inodes,
                most,
            },
        }
    }

    /// When a step that starts now must have ended.
    fn until(&self, kind: StepKind, now: Instant, before: &[StepReport]) -> Instant {
        let budget = match kind {
            StepKind::Run => self.limits.run,
            StepKind::Build => self.limits.compile.saturating_sub(wall_of(before, StepKind::Build)),
        };
        (now + budget).min(self.admitted + self.limits.timeout)
    }
}

/// Why a job became no outcome, once nothing of its cell is left. That the cell could not be removed either, if it could
/// not, mostly has the same reason.
fn removed(session: Session, removals: &Removals, error: RunError) -> RunError {
    let _ = removals.remove(session.let_go());
    error
}

fn wall_of(reports: &[StepReport], kind: StepKind) -> Duration {
    reports.iter().filter(|report| report.kind == kind).map(|report| report.wall).sum()
}

/// What a shell says of a program that cannot be started, when the program is the job's own work: a build that made
/// no program (a library, say) is not our fault. A tool of the host's that cannot be started is.
fn not_started_text(step: &Step, errno: i32, before: &[StepReport]) -> Result<Captured, RunError> {
    let program = String::from_utf8_lossy(step.argv.first().map_or(&[][..], Vec::as_slice)).into_owned();
    let source = io::Error::from_raw_os_error(errno);
    if step.kind == StepKind::Run && before.iter().any(|report| report.kind == StepKind::Build) {
        return Ok(Captured::whole(format!("firebox: cannot start {program}: {source}\n").into_bytes()));
    }
    Err(RunError::Exec { program, source })
}

/// How much later than the engine the cell ends a step by itself: time for the engine to do it and to hear of it.
const LAST_RESORT: Duration = Duration::from_secs(4);

/// Until the first step is held to its limits, nothing is enforced.
const WATCHED: Enforcement = {
    let watched = Protection::Watched;
    Enforcement { memory: watched, tasks: watched, cpu: watched, disk: watched }
};
