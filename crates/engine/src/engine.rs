//! From a job to its outcome.
//!
//! ```text
//! Job --admit--> Plan --take a cell--> store files --> compile --> run --> Outcome, and the cell is removed
//! ```

use std::io;
use std::time::{Duration, Instant};

use firebox_cell::StepLimits;
use firebox_jail::Jail;
use firebox_job::{
    ByteSize, Captured, CellKind, Enforcement, Isolation, Job, Limits, Outcome, Policy, Require, SourceFile, StepKind, StepReport, Timing,
    TraceId, Usage, Verdict,
};
use firebox_lang::{Language, Step, Toolchain};

use crate::decide::{self, Ended};
use crate::input::Input;
use crate::session::Session;
use crate::watch::{Watch, Watched};
use crate::{Cancel, RunError, Sink, Stdin};

/// A language of this host, and what was found of it. Its place in the engine's list is its view's number.
#[derive(Debug)]
pub struct Room {
    /// The language.
    pub language: Language,
    /// Its programs on this host, and what a cell sees of them.
    pub toolchain: Toolchain,
}

/// Runs jobs.
#[derive(Debug)]
pub struct Engine {
    rooms: Vec<Room>,
    jail: Jail,
    policy: Policy,
}

/// A cell that stands ready for a job of one room, before that job is known.
pub struct Ready {
    room: usize,
    session: Session,
}

/// What a plan's steps have in common.
struct Course<'a> {
    limits: &'a Limits,
    require: Require,
    admitted: Instant,
}

/// What the steps so far have come to.
#[derive(Default)]
struct Progress {
    reports: Vec<StepReport>,
    enforcement: Option<Enforcement>,
}

impl Engine {
    /// Over the warden's client and the rooms in the order of the views that the warden was started with.
    pub fn new(rooms: Vec<Room>, jail: Jail, policy: Policy) -> Engine {
        Engine { rooms, jail, policy }
    }

    /// The languages that jobs can be in.
    pub fn rooms(&self) -> &[Room] {
        &self.rooms
    }

    /// Makes a cell in which a job of this room can begin at once.
    pub fn prepare(&self, room: usize) -> Result<Ready, RunError> {
        let view = u16::try_from(room).map_err(|_| RunError::NoRoom(format!("number {room}")))?;
        Ok(Ready { room, session: Session::begin(self.jail.make(view)?)? })
    }

    /// Removes a cell that no job came for.
    pub fn discard(&self, ready: Ready) -> Result<(), RunError> {
        ready.session.end()
    }

    /// Runs a job in a cell of its own, from nothing.
    pub fn run(&self, job: &Job, stdin: Stdin, sink: &mut dyn Sink, cancel: &Cancel) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let (room, steps) = self.admit(job, &stdin)?;
        let ready = self.prepare(room)?;
        let course = Course { limits: &job.limits, require: job.require, admitted };
        self.run_in(ready, &job.trace_id, job.sources.files(), &steps, &course, stdin, sink, cancel)
    }

    /// Runs a job in a cell that was prepared for its language.
    pub fn run_ready(
        &self,
        ready: Ready,
        job: &Job,
        stdin: Stdin,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let (room, steps) = self.admit(job, &stdin)?;
        if room != ready.room {
            return Err(RunError::NoRoom(job.language.clone()));
        }
        let course = Course { limits: &job.limits, require: job.require, admitted };
        self.run_in(ready, &job.trace_id, job.sources.files(), &steps, &course, stdin, sink, cancel)
    }

    /// Runs one step of our own in a cell of a room, such as a tool's question for its version.
    pub fn probe(&self, room: usize, step: &Step) -> Result<Outcome, RunError> {
        let admitted = Instant::now();
        let ready = self.prepare(room)?;
        let course = Course { limits: &self.policy.default, require: Require::Required, admitted };
        let (cancel, _canceller) = Cancel::new().map_err(RunError::Wait)?;
        let steps = std::slice::from_ref(step);
        let trace_id = TraceId::from_random([0; 16]);
        self.run_in(ready, &trace_id, &[], steps, &course, Stdin::Empty, &mut (), &cancel)
    }

    /// Lets the warden go, and waits until nothing is left.
    pub fn close(self) -> Result<(), RunError> {
        Ok(self.jail.close()?)
    }

    /// Whether and how this job can be run here. Nothing has been made for it yet when it cannot.
    fn admit(&self, job: &Job, stdin: &Stdin) -> Result<(usize, Vec<Step>), RunError> {
        match job.isolation {
            Isolation::Auto | Isolation::Jail => {}
            other @ (Isolation::MicroVm | Isolation::Fence) => return Err(RunError::Isolation(other)),
        }
        let given = match stdin {
            Stdin::Bytes(bytes) => bytes.len() as u64,
            Stdin::Empty | Stdin::Fd(_) => 0,
        };
        let size = ByteSize::bytes(job.sources.bytes() + given);
        if job.limits.input < size {
            return Err(RunError::InputTooLarge { size, limit: job.limits.input });
        }
        let is_it = |room: &Room| answers_to(&room.language, &job.language);
        let room = self.rooms.iter().position(is_it).ok_or_else(|| RunError::NoRoom(job.language.clone()))?;
        let Room { language, toolchain } = &self.rooms[room];
        Ok((room, language.plan(job, toolchain)?.steps))
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where a job's parts and an edge's parts meet")]
    fn run_in(
        &self,
        ready: Ready,
        trace_id: &TraceId,
        files: &[SourceFile],
        steps: &[Step],
        course: &Course<'_>,
        stdin: Stdin,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Outcome, RunError> {
        let mut session = ready.session;
        session.store(files)?;
        let mut input = Some(Input::new(stdin));
        let mut progress = Progress::default();
        let mut verdict = Verdict::Ok;
        for step in steps {
            let input = match step.kind {
                StepKind::Run => input.take(),
                StepKind::Build => None,
            };
            let input = input.unwrap_or_else(|| Input::new(Stdin::Empty));
            verdict = self.step(&mut session, step, course, input, sink, cancel, &mut progress)?;
            if verdict != Verdict::Ok {
                break;
            }
        }
        let isolation = session.cell.host.kind();
        session.end()?;
        Ok(outcome(trace_id, verdict, isolation, course, progress))
    }

    #[expect(clippy::too_many_arguments, reason = "a step needs what the job has, and adds to what has come so far")]
    fn step(
        &self,
        session: &mut Session,
        step: &Step,
        course: &Course<'_>,
        input: Input,
        sink: &mut dyn Sink,
        cancel: &Cancel,
        progress: &mut Progress,
    ) -> Result<Verdict, RunError> {
        let limits = self.step_limits(step.kind, course.limits);
        let prepared = session.prepare(step, &limits, input.announced())?;
        if course.require == Require::Enforced && !prepared.enforcement.is_complete() {
            return Err(RunError::NotEnforced);
        }
        progress.enforcement = Some(prepared.enforcement);
        let watch = Watch {
            kind: step.kind,
            until: course.until(step.kind, Instant::now(), &progress.reports),
            cpu: (step.kind == StepKind::Run).then_some((course.limits.cpu, course.limits.vcpus.get())),
            output: course.limits.output,
        };
        let watched = watch.run(session, input, sink, cancel)?;
        let verdict = decide::verdict(&Ended {
            kind: step.kind,
            killed: watched.killed,
            end: watched.end,
            measured: watched.measured,
            crash_codes: &step.crash_codes,
        });
        let Watched { not_started, measured, stdout, mut stderr, wall, killed: _, end: _ } = watched;
        if let Some(errno) = not_started {
            stderr = not_started_text(step, errno, &progress.reports)?;
        }
        progress.reports.push(StepReport {
            name: step.name.clone(),
            kind: step.kind,
            exit_code: verdict.exit_code(),
            wall,
            usage: Usage { cpu: measured.cpu, memory_peak: measured.memory_peak },
            stdout,
            stderr,
        });
        Ok(verdict)
    }

    fn step_limits(&self, kind: StepKind, limits: &Limits) -> StepLimits {
        let building = &self.policy.building;
        match kind {
            StepKind::Build => StepLimits {
                memory: building.memory,
                tasks: building.tasks,
                // A compiler may use every CPU: what it uses is bounded by its time.
                vcpus: self.policy.ceiling.vcpus,
                disk: building.disk,
                inodes: building.inodes,
            },
            StepKind::Run => StepLimits {
                memory: limits.memory,
                tasks: limits.tasks,
                vcpus: limits.vcpus,
                disk: limits.disk,
                inodes: limits.inodes,
            },
        }
    }
}

impl Course<'_> {
    /// When a step that starts now must have ended.
    fn until(&self, kind: StepKind, now: Instant, before: &[StepReport]) -> Instant {
        let budget = match kind {
            StepKind::Run => self.limits.run,
            StepKind::Build => self.limits.compile.saturating_sub(wall_of(before, StepKind::Build)),
        };
        (now + budget).min(self.admitted + self.limits.timeout)
    }
}

fn answers_to(language: &Language, name: &str) -> bool {
    language.name().eq_ignore_ascii_case(name) || language.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(name))
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

fn outcome(
    trace_id: &TraceId,
    verdict: Verdict,
    isolation: CellKind,
    course: &Course<'_>,
    progress: Progress,
) -> Outcome {
    let Progress { reports, enforcement } = progress;
    let run = reports.iter().find(|report| report.kind == StepKind::Run);
    let failed_build = reports.last().filter(|last| last.kind == StepKind::Build && verdict != Verdict::Ok);
    let timing = Timing {
        queue: Duration::ZERO,
        compile: wall_of(&reports, StepKind::Build),
        run: wall_of(&reports, StepKind::Run),
        total: course.admitted.elapsed(),
    };
    Outcome {
        trace_id: trace_id.clone(),
        verdict,
        step: reports.last().map(|last| last.name.clone()).unwrap_or_default(),
        stdout: run.map(|run| run.stdout.clone()).unwrap_or_default(),
        stderr: run.or(failed_build).map(|report| report.stderr.clone()).unwrap_or_default(),
        timing,
        usage: run.map(|run| run.usage).unwrap_or_default(),
        limits: *course.limits,
        isolation,
        enforcement: enforcement.unwrap_or(WATCHED),
        steps: reports,
    }
}

/// Of a job without a single step, which no language has.
const WATCHED: Enforcement = {
    let watched = firebox_job::Protection::Watched;
    Enforcement { memory: watched, tasks: watched, cpu: watched, disk: watched }
};
