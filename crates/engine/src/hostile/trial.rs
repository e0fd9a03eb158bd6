//! One course against one double, and what must be true of every one of them.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use firebox_cell::{AgentStream, Begun, Cell, Layout, Past};
use firebox_job::{
    Building, ByteSize, Captured, Limits, Outcome, Require, Seed, SourceFile, SourcePath, StepKind, TraceId, Verdict,
};
use firebox_lang::Step;

use super::double::Double;
use super::host::{Answers, Asked, Counts, FakeHost};
use super::play::{self, Move};
use crate::course::Course;
use crate::edge::Listeners;
use crate::kept::{Keeping, Kept, Partition};
use crate::patience::Patience;
use crate::removals::Removals;
use crate::session::Session;
use crate::{Cancel, RunError, Sink, Stdin, Stream};

const PATIENCE: Patience = Patience { answer: Duration::from_millis(40), grace: Duration::from_millis(30) };
pub(super) const TIMEOUT: Duration = Duration::from_millis(80);
const STEP_TIME: Duration = Duration::from_millis(60);
const CPU: Duration = Duration::from_millis(20);
pub(super) const OUTPUT: u64 = 4096;
const MEMORY: ByteSize = ByteSize::mib(64);

/// All waiting there can be: for the agent to stand, for the job to end and for one answer more, for an order that is
/// not taken in, and for a killed step.
const MOST: Duration =
    TIMEOUT.saturating_add(PATIENCE.answer.saturating_mul(2)).saturating_add(PATIENCE.grace.saturating_mul(2));
/// A busy machine is no hang.
const SLACK: Duration = Duration::from_secs(3);

/// One course against one double.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) name: String,
    pub(super) moves: Vec<Move>,
    pub(super) answers: Answers,
    pub(super) files: usize,
    pub(super) file_bytes: usize,
    /// Whether what it would build is kept already.
    pub(super) is_kept: bool,
    /// Whether anybody takes the output.
    pub(super) is_heard: bool,
}

/// What came of it.
pub(super) struct Tried {
    /// None after a panic.
    pub(super) result: Option<Result<Outcome, RunError>>,
    pub(super) took: Duration,
    pub(super) counts: Counts,
    /// Whether nothing of the cell was left when the outcome came.
    pub(super) cell_went_first: bool,
    /// What is kept when it is over, file by file.
    pub(super) kept: Option<Vec<Vec<u8>>>,
    /// How much of each stream was passed on.
    passed_on: Passed,
}

/// What an engine holds for a course.
struct Store<'a> {
    steps: &'a [Step],
    keeping: Keeping<'a>,
    removals: &'a Removals,
}

impl Trial {
    /// A job of one small file, on a host that measures nothing.
    pub(super) fn new(name: impl Into<String>, moves: Vec<Move>) -> Trial {
        Trial {
            name: name.into(),
            moves,
            answers: Answers::INNOCENT,
            files: 1,
            file_bytes: 16,
            is_kept: false,
            is_heard: true,
        }
    }

    pub(super) fn take(&self) -> Tried {
        self.take_with(Stdin::Bytes(b"a question".to_vec()))
    }

    pub(super) fn take_with(&self, stdin: Stdin) -> Tried {
        let (ours, stream) = UnixStream::pair().expect("a pair of sockets");
        let (end, over) = channel();
        let double = Double { stream, over };
        let moves = self.moves.clone();
        let double = thread::spawn(move || double.play(&moves));
        let asked = Arc::new(Asked::default());
        let host = FakeHost { answers: self.answers, asked: Arc::clone(&asked) };
        let cell = Cell {
            agent: AgentStream::new(ours.into()).expect("a stream"),
            host: Box::new(host),
            layout: Layout::Viewed,
            begun: Begun::No,
        };
        let mut passed_on = Passed { is_heard: self.is_heard, counts: [0; 4] };
        let removals = Removals::default();
        let (kept, partition) = (Kept::new(ByteSize::mib(32)), Partition::named("one"));
        let steps = steps();
        let keeping = || Keeping::of_steps(&kept, &partition, &steps[..1]);
        if self.is_kept {
            keeping().fill(play::CONTENT);
        }

        let began = Instant::now();
        let store = Store { steps: &steps, keeping: keeping(), removals: &removals };
        let course = AssertUnwindSafe(|| self.course(began, cell, store, stdin, &mut passed_on));
        let result = catch_unwind(course).ok();
        let took = began.elapsed();
        let cell_went_first = asked.counts().waits == 1;
        // As the end of an engine does.
        let removed = removals.wait_for_all().map_err(RunError::from);
        let result = result.map(|result| result.and_then(|outcome| removed.map(|()| outcome)));

        drop(end);
        double.join().expect("the double does not panic");
        let kept = keeping().files();
        Tried { result, took, counts: asked.counts(), cell_went_first, kept, passed_on }
    }

    fn course(
        &self,
        admitted: Instant,
        cell: Cell,
        Store { steps, keeping, removals }: Store<'_>,
        stdin: Stdin,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, RunError> {
        let (cancel, _canceller) = Cancel::new().map_err(RunError::Wait)?;
        let file = |number| SourceFile {
            path: SourcePath::new(format!("file-{number}")).expect("a path"),
            content: vec![b'x'; self.file_bytes],
        };
        let files: Vec<SourceFile> = (0..self.files).map(file).collect();
        let course = Course {
            trace_id: &TraceId::from_random([0; 16]),
            files: &files,
            steps,
            limits: &LIMITS,
            building: &BUILDING,
            require: Require::Required,
            seed: Seed::MayBeShared,
            admitted,
            keeping: Some(&keeping),
        };
        course.take(Session::begin(cell, PATIENCE)?, stdin, &mut Listeners { sink, cancel: &cancel }, removals)
    }
}

/// A program is built, and run.
fn steps() -> [Step; 2] {
    let step = |kind, name: &str, makes| Step {
        name: name.to_owned(),
        kind,
        argv: vec![b"/bin/true".to_vec()],
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        crash_codes: vec![101],
        makes,
    };
    let makes = SourcePath::new("runbin").expect("a path");
    [step(StepKind::Build, "compile", Some(makes)), step(StepKind::Run, "run", None)]
}

impl Tried {
    /// What is not as it should be, whatever the agent did.
    fn broken(&self, answers: &Answers) -> Vec<String> {
        let mut broken = Vec::new();
        let mut claim = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        let Counts { limits, removals, waits: _, drops } = self.counts;
        claim(self.took < MOST + SLACK, format!("took {:?}", self.took));
        claim(drops == 1 && removals <= 1, format!("removed {removals} times, dropped {drops} times"));
        claim(limits <= 2, format!("limited {limits} times for two steps"));
        claim(self.passed_on.most() <= OUTPUT, format!("passed {:?} on", self.passed_on));
        let kept: usize = self.kept.iter().flatten().map(Vec::len).sum();
        claim(kept <= 16 << 20, format!("{kept} bytes are kept"));
        match &self.result {
            None => claim(false, "panicked".to_owned()),
            Some(Err(error)) => claim(names_what_happened(error, answers), "ended for another reason".to_owned()),
            Some(Ok(outcome)) => {
                claim(removals == 1, "ended with an outcome and did not remove the cell".to_owned());
                let we_ended_it = matches!(
                    outcome.verdict,
                    Verdict::Timeout | Verdict::CpuLimit | Verdict::TasksLimit | Verdict::Cancelled
                );
                claim(self.cell_went_first || !we_ended_it, "did not wait until nothing was left".to_owned());
                let of_steps = outcome.steps.iter().flat_map(|step| [&step.stdout, &step.stderr]);
                let kept = of_steps.chain([&outcome.stdout, &outcome.stderr]).map(Captured::bytes).map(<[u8]>::len);
                claim(kept.max() <= Some(OUTPUT as usize), "kept more output than the limit".to_owned());
                let verdict = outcome.verdict;
                claim(self.is_founded(verdict, answers), format!("is {verdict:?} after {:?}", self.took));
            }
        }
        broken
    }

    /// Whether a verdict about a limit rests on the host's measures or on the clock.
    fn is_founded(&self, verdict: Verdict, answers: &Answers) -> bool {
        let measured = answers.measured;
        match verdict {
            Verdict::MemoryLimit => {
                let out_of_time = STEP_TIME <= self.took || CPU <= measured.cpu;
                measured.oom_kills > 0 || measured.past == Some(Past::Memory) || measured.starved && out_of_time
            }
            Verdict::TasksLimit => measured.past == Some(Past::Tasks),
            Verdict::DiskLimit => measured.disk_full || measured.past == Some(Past::Disk),
            Verdict::CpuLimit => CPU <= measured.cpu,
            Verdict::Timeout => STEP_TIME <= self.took,
            Verdict::Cancelled => !self.passed_on.is_heard,
            Verdict::Signaled(_) | Verdict::CompilerCrash(_) | Verdict::CompileError(_) => true,
            Verdict::RuntimeError(_) | Verdict::Ok => true,
        }
    }

    /// In words.
    pub(super) fn said(&self) -> String {
        match &self.result {
            None => "a panic".to_owned(),
            Some(Err(error)) => format!("an error: {}", said_in_full(error)),
            Some(Ok(outcome)) => format!("{:?} in step {}", outcome.verdict, outcome.step),
        }
    }
}

/// Whether an error is about what the agent did, or about the host if that refused something.
fn names_what_happened(error: &RunError, answers: &Answers) -> bool {
    match error {
        RunError::Agent { .. } | RunError::OutOfTurn { .. } | RunError::Silent { .. } => true,
        RunError::Refused { .. } | RunError::Store { .. } | RunError::Exec { .. } => !said_in_full(error).is_empty(),
        RunError::Cell(_) => answers.refuses.is_some(),
        _ => false,
    }
}

/// An error with all its reasons. An agent chooses the numbers in some of them.
fn said_in_full(error: &RunError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(reason) = next {
        text.push_str(&format!(": {reason}"));
        next = reason.source();
    }
    text
}

/// Takes all of them, so many at once, and fails with all that is broken.
pub(super) fn try_all(trials: &[Trial], at_once: usize) {
    let next = AtomicUsize::new(0);
    let under_way = Mutex::new(BTreeSet::new());
    let (report, reports) = channel();
    thread::scope(|scope| {
        for _ in 0..at_once {
            let (report, next, under_way) = (report.clone(), &next, &under_way);
            scope.spawn(move || {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    under_way.lock().expect("no panic").insert(&trial.name);
                    let tried = trial.take();
                    under_way.lock().expect("no panic").remove(&trial.name);
                    let broken = tried.broken(&trial.answers);
                    let _ =
                        report
                            .send((!broken.is_empty()).then(|| {
                                format!("{}: {}; it came to {}", trial.name, broken.join(", "), tried.said())
                            }));
                }
            });
        }
        let mut broken = Vec::new();
        for _ in trials {
            match reports.recv_timeout(MOST + 2 * SLACK) {
                Ok(report) => broken.extend(report),
                // Whoever hangs would hang this test as well: there is no way to stop a thread.
                Err(_) => {
                    let hung = under_way.lock().map(|names| format!("{names:?}")).unwrap_or_default();
                    abort(&format!("these do not end: {hung}"));
                }
            }
        }
        let (count, few) = (broken.len(), broken.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
        assert!(broken.is_empty(), "{count} of {} are not as they should be, such as\n{few}", trials.len());
    });
}

#[expect(clippy::print_stderr, reason = "the last word before this process ends")]
fn abort(why: &str) -> ! {
    eprintln!("{why}");
    std::process::abort()
}

/// Counts what is passed on of each stream of each step.
#[derive(Debug)]
struct Passed {
    is_heard: bool,
    counts: [u64; 4],
}

impl Passed {
    fn most(&self) -> u64 {
        self.counts.into_iter().max().unwrap_or_default()
    }
}

impl Sink for Passed {
    fn output(&mut self, step: StepKind, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let place = match (step, stream) {
            (StepKind::Build, Stream::Stdout) => 0,
            (StepKind::Build, Stream::Stderr) => 1,
            (StepKind::Run, Stream::Stdout) => 2,
            (StepKind::Run, Stream::Stderr) => 3,
        };
        self.counts[place] += bytes.len() as u64;
        if self.is_heard { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

const LIMITS: Limits = Limits {
    timeout: TIMEOUT,
    compile: STEP_TIME,
    run: STEP_TIME,
    cpu: CPU,
    memory: MEMORY,
    tasks: NonZeroU32::MIN,
    disk: ByteSize::mib(1),
    inodes: 100,
    output: ByteSize::bytes(OUTPUT),
    vcpus: NonZeroU32::MIN,
    input: ByteSize::mib(1),
};

const BUILDING: Building =
    Building { memory: MEMORY, tasks: NonZeroU32::MIN, vcpus: NonZeroU32::MIN, disk: ByteSize::mib(1), inodes: 100 };
