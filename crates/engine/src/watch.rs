//! One step from its start to its end: its output collected, its time and its CPU time watched from outside.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use firebox_cell::{Measured, StepLimits, StreamError};
use firebox_job::{ByteSize, Captured, Enforcement, Limits, Protection, StepKind};
use firebox_wire::{End, Ends, Refusal, Report};
use rustix::event::{PollFd, PollFlags};

use crate::capture::Capture;
use crate::decide::Killed;
use crate::edge::Listeners;
use crate::input::Input;
use crate::session::{Answer, Session, wait};
use crate::{Cancel, RunError, Sink, Stream};

/// While output floods in, other things are looked at this often.
const GLANCE: Duration = Duration::from_millis(5);
/// CPU time is measured no more often than this.
const LEAST_BETWEEN_MEASURES: Duration = Duration::from_millis(5);

/// What is only watched is looked at this often: a program fills some tens of MiB in that time.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// What a step is held to that is a matter of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    pub(crate) kind: StepKind,
    /// When it began.
    pub(crate) started: Instant,
    /// When it must have ended.
    pub(crate) until: Instant,
    /// How much CPU time it may use.
    pub(crate) cpu: Option<CpuTime>,
    /// Whether there is a limit that the kernel does not see to.
    pub(crate) looks: Looks,
    /// How much of each stream is kept.
    pub(crate) output: ByteSize,
    /// When its end is to be heard of.
    pub(crate) ends: Ends,
}

/// How much CPU time a run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// Past it the run is ended.
    limit: Duration,
    /// How many CPUs it may use at once.
    cpus: u32,
}

impl CpuTime {
    /// A program that is busy all the time uses up the whole run's CPU time when its wall time ends, but for what is
    /// counted coarsely, and for threads that help its runtime: it would be chance which of the two is noticed first. So
    /// the wall's clock is given the first word there, by as much as a control group hands out at once.
    const HEAD_START: Duration = Duration::from_millis(100);

    pub(crate) fn of(limits: &Limits) -> CpuTime {
        let cpus = limits.vcpus.get();
        let more = if limits.is_cpu_of_whole_run() { CpuTime::HEAD_START.saturating_mul(cpus) } else { Duration::ZERO };
        CpuTime { limit: limits.cpu.saturating_add(more), cpus }
    }

    fn is_used_up_by(self, measured: Duration) -> bool {
        self.limit <= measured
    }

    /// How long it lasts at least, on all CPUs, for who has used this much.
    fn lasts(self, measured: Duration) -> Duration {
        self.limit.saturating_sub(measured) / self.cpus
    }
}

/// Whether a step has to be looked at again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    /// Something is only watched.
    Often,
    /// The kernel holds everything but time.
    ForTimeAlone,
}

impl Looks {
    /// What these protections ask for. CPUs at once are nothing that a look would find.
    pub(crate) fn for_these(enforcement: Enforcement) -> Looks {
        let Enforcement { memory, tasks, cpu: _, disk } = enforcement;
        match [memory, tasks, disk].contains(&Protection::Watched) {
            true => Looks::Often,
            false => Looks::ForTimeAlone,
        }
    }
}

/// What came of a step.
pub(crate) struct Watched {
    pub(crate) killed: Option<Killed>,
    pub(crate) end: Option<End>,
    /// Why its program could not be started, if it could not.
    pub(crate) not_started: Option<i32>,
    pub(crate) measured: Measured,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    pub(crate) wall: Duration,
}

/// A step under way.
struct UnderWay<'a> {
    watch: Watch,
    sink: &'a mut dyn Sink,
    stdout: Capture,
    stderr: Capture,
    killed: Option<Killed>,
    not_started: Option<i32>,
    next_measure: Option<Instant>,
    /// When we stop waiting for a killed step.
    give_up: Option<Instant>,
}

/// What a report meant for the step.
enum Heard {
    Nothing,
    Started,
    InputTaken,
    /// Nobody takes the output any more.
    SinkClosed,
    Ended(End),
}

impl Watch {
    /// Lets a prepared step go and stays with it until it has ended.
    pub(crate) fn run(
        self,
        session: &mut Session,
        limits: &StepLimits,
        mut input: Input,
        listeners: &mut Listeners<'_>,
    ) -> Result<Watched, RunError> {
        let Listeners { sink, cancel } = listeners;
        let started = self.started;
        session.go(limits, input.announced(), self.ends)?;
        sink.begun();
        let mut step = UnderWay {
            stdout: Capture::new(self.output),
            stderr: Capture::new(self.output),
            killed: None,
            not_started: None,
            next_measure: self.first_measure(started),
            give_up: None,
            watch: self,
            sink: &mut **sink,
        };
        let mut glanced = started;
        let end = loop {
            let heard = match session.cell.agent.receive() {
                Ok(Some(report)) => Some(step.hear(&report)?),
                Ok(None) => None,
                Err(StreamError::Closed) => break None,
                Err(source) => return Err(RunError::Agent { doing: "run a step", source }),
            };
            let flooded = heard.is_some();
            match heard {
                None | Some(Heard::Nothing) => {}
                Some(Heard::Started) => session.laps.end(|stages| &mut stages.start),
                Some(Heard::InputTaken) => input.taken()?,
                Some(Heard::SinkClosed) => step.kill(session, Killed::Cancelled)?,
                Some(Heard::Ended(end)) => break Some(end),
            }
            let now = Instant::now();
            if step.is_given_up(now) {
                break None;
            }
            step.watch_time(session, now)?;
            if flooded && now < glanced + GLANCE {
                continue;
            }
            // Before waiting: what is passed on from memory becomes ready by nothing that could be waited for.
            input.pass_on(session)?;
            let due = step.next_deadline();
            let patience = if flooded { Duration::ZERO } else { due.saturating_duration_since(Instant::now()) };
            let cancelled = look(session, &input, step.killed.is_none().then_some(*cancel), patience)?;
            glanced = Instant::now();
            if cancelled {
                step.kill(session, Killed::Cancelled)?;
            }
        };
        // We were stopped, and meanwhile the cell has ended by itself.
        if end.is_none() && self.until <= Instant::now() {
            step.killed = step.killed.or(Some(Killed::Timeout));
        }
        session.laps.end(|stages| match self.kind {
            StepKind::Build => &mut stages.compile,
            StepKind::Run => &mut stages.run,
        });
        // Where the agent is not heard any more, who counts is hardly heard either.
        let patience = if end.is_none() { session.patience.grace } else { session.patience.answer };
        let measured = match session.cell.host.measure(Instant::now() + patience) {
            Ok(measured) => measured,
            Err(error) => {
                // Whoever counts was ended with the cell, as everything is some time after its end.
                if self.until <= Instant::now() {
                    step.killed = step.killed.or(Some(Killed::Timeout));
                }
                // Why it ended is known. Where the count was kept by what was ended with it, as in a microVM, it is gone.
                match step.killed {
                    Some(_) => Measured { others: true, ..Measured::default() },
                    None => return Err(error.into()),
                }
            }
        };
        session.laps.end(|stages| &mut stages.measure);
        if end.is_none() && step.killed.is_none() && measured.oom_kills == 0 {
            return Err(session.lost("run a step", StreamError::Closed));
        }
        Ok(Watched {
            killed: step.killed,
            end,
            not_started: step.not_started,
            measured,
            stdout: step.stdout.finish(),
            stderr: step.stderr.finish(),
            wall: started.elapsed(),
        })
    }
}

impl Watch {
    /// When there is something to measure for the first time.
    fn first_measure(&self, started: Instant) -> Option<Instant> {
        match (self.looks, self.cpu) {
            (Looks::Often, _) => Some(started + BETWEEN_LOOKS),
            (Looks::ForTimeAlone, cpu) => cpu.map(|cpu| started + cpu.lasts(Duration::ZERO)),
        }
    }
}

/// Waits for something to happen. Whether the job was cancelled; the rest is found out by asking.
///
/// A step that was killed already is not cancelled again: what has been said once stays readable, and would not let us wait.
fn look(session: &Session, input: &Input, cancel: Option<&Cancel>, most: Duration) -> Result<bool, RunError> {
    let of = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let agent = session.cell.agent.as_fd();
    // Without anything to wait for, once more for the agent.
    let [said, also] = cancel.map_or([agent; 2], Cancel::either);
    let mut fds = [of(agent), of(input.waits_for().unwrap_or(agent)), of(said), of(also)];
    wait(&mut fds, Some(most))?;
    Ok(cancel.is_some() && fds[2..].iter().any(|fd| !fd.revents().is_empty()))
}

impl UnderWay<'_> {
    fn hear(&mut self, report: &Report<'_>) -> Result<Heard, RunError> {
        let (stream, capture, bytes) = match report {
            Report::Stdout(bytes) => (Stream::Stdout, &mut self.stdout, bytes),
            Report::Stderr(bytes) => (Stream::Stderr, &mut self.stderr, bytes),
            Report::Started => return Ok(Heard::Started),
            Report::StdinTaken => return Ok(Heard::InputTaken),
            Report::Ended(end) => return Ok(Heard::Ended(*end)),
            Report::Refused { what: Refusal::Exec, errno } => {
                self.not_started = Some(*errno);
                return Ok(Heard::Nothing);
            }
            Report::Refused { what, errno } => {
                let source = std::io::Error::from_raw_os_error(*errno);
                return Err(RunError::Refused { what: *what, source });
            }
            Report::Ready { .. }
            | Report::Stored
            | Report::Prepared
            | Report::Image(_)
            | Report::Frozen { .. }
            | Report::Learnt(_)
            | Report::Made(_)
            | Report::Content(_) => {
                return Err(Answer::from(report).out_of_turn("run a step"));
            }
        };
        let within = capture.push(bytes);
        // Once nobody listens any more, the rest is only collected.
        if within.is_empty() || self.killed == Some(Killed::Cancelled) {
            return Ok(Heard::Nothing);
        }
        match self.sink.output(self.watch.kind, stream, within) {
            Ok(()) => Ok(Heard::Nothing),
            Err(_) => Ok(Heard::SinkClosed),
        }
    }

    /// The first reason is the one that counts.
    fn kill(&mut self, session: &mut Session, why: Killed) -> Result<(), RunError> {
        if self.killed.is_none() {
            let give_up = Instant::now() + session.patience.grace;
            self.killed = Some(why);
            self.give_up = Some(give_up);
            session.kill(give_up)?;
        }
        Ok(())
    }

    fn watch_time(&mut self, session: &mut Session, now: Instant) -> Result<(), RunError> {
        if self.killed.is_some() {
            return Ok(());
        }
        if self.watch.until <= now {
            return self.kill(session, Killed::Timeout);
        }
        if self.next_measure.is_none_or(|due| now < due) {
            return Ok(());
        }
        // Meanwhile nothing else is heard, so it is not waited for without end either.
        let most = now + session.patience.answer.saturating_mul(2);
        let measured = match session.cell.host.measure(self.watch.until.min(most)) {
            // Whoever does not say so in all the time that there was is not asked again.
            Err(_) if self.watch.until <= Instant::now() => return self.kill(session, Killed::Timeout),
            measured => measured?,
        };
        if let Some(past) = measured.past {
            return self.kill(session, Killed::Past(past));
        }
        let mut next = (self.watch.looks == Looks::Often).then_some(now + BETWEEN_LOOKS);
        if let Some(cpu) = self.watch.cpu {
            if cpu.is_used_up_by(measured.cpu) {
                return self.kill(session, Killed::CpuLimit);
            }
            let due = now + cpu.lasts(measured.cpu).max(LEAST_BETWEEN_MEASURES);
            next = Some(next.map_or(due, |next: Instant| next.min(due)));
        }
        self.next_measure = next;
        Ok(())
    }

    fn next_deadline(&self) -> Instant {
        match self.give_up {
            Some(give_up) => give_up,
            None => self.next_measure.map_or(self.watch.until, |measure| measure.min(self.watch.until)),
        }
    }

    fn is_given_up(&self, now: Instant) -> bool {
        self.give_up.is_some_and(|give_up| give_up <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use firebox_job::{Ask, Policy};

    use super::*;

    fn cpu_time(cpu: Option<Duration>) -> CpuTime {
        let policy = Policy::for_host(NonZeroU32::new(2).unwrap(), ByteSize::mib(1024));
        let ask = Ask { run: Some(Duration::from_secs(3)), cpu, vcpus: Some(2), ..Ask::default() };
        CpuTime::of(&Limits::within(ask, &policy).unwrap())
    }

    #[test]
    fn who_was_given_less_than_the_whole_run_is_held_to_it_exactly() {
        let second = Duration::from_secs(1);
        let cpu = cpu_time(Some(second));
        assert_eq!((cpu.is_used_up_by(second), cpu.lasts(second / 2)), (true, second / 4));
    }

    #[test]
    fn whoever_is_busy_for_the_whole_run_runs_out_of_wall_time() {
        let whole = Duration::from_secs(6);
        for cpu in [cpu_time(None), cpu_time(Some(whole))] {
            assert!(!cpu.is_used_up_by(whole) && cpu.is_used_up_by(whole + 2 * CpuTime::HEAD_START), "{cpu:?}");
            assert_eq!(cpu.lasts(2 * whole), Duration::ZERO, "{cpu:?}");
        }
    }
}
