//! A whole engine with pools, whose cells have doubles for agents: what waits for a job, and what a job meets.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Shutdown;
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firebox_cell::{AgentStream, Begun, Cell, CellError, CellMaker, Layout, View};
use firebox_job::{
    Ask, ByteSize, CellKind, Isolation, Job, Limits, Outcome, Policy, Require, Seed, SourceFile, SourcePath, Sources,
    TraceId, Verdict,
};
use firebox_lang::{Catalogue, Groundwork, Program, Toolchain};
use firebox_wire::{End, Refusal, Report, VERSION};

use super::double::Double;
use super::frames::frame;
use super::host::{Answers, Asked, FakeHost, Request};
use super::play::{Move, Told, say, until_it_runs};
use crate::{Cancel, Engine, Installed, PoolPolicy, RunError, Stdin};

/// What happens at once happens within this, on the busiest machine.
const MOMENT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(3600);

/// Makes cells with doubles in them, and remembers them.
#[derive(Default)]
struct Maker {
    asked: Arc<Asked>,
    tried: AtomicUsize,
    fails: AtomicBool,
    /// What the next cells' agents do; all others are honest.
    plays: Mutex<Vec<Vec<Move>>>,
    refuses: Option<Request>,
    agents: Mutex<Vec<Agent>>,
}

struct Agent {
    stream: UnixStream,
    _over: Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared(Arc<Maker>);

impl Maker {
    fn cell(&self) -> Result<Cell, CellError> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(CellError::Refused { doing: "make a cell", source: std::io::ErrorKind::OutOfMemory.into() });
        }
        let moves = self.plays.lock().unwrap().pop().unwrap_or_else(honest);
        let (ours, stream) = UnixStream::pair().unwrap();
        let (end, over) = channel();
        let double = Double { stream: stream.try_clone().unwrap(), over };
        let thread = thread::spawn(move || double.play(&moves));
        self.agents.lock().unwrap().push(Agent { stream, _over: end, thread });
        let answers = Answers { refuses: self.refuses, ..Answers::INNOCENT };
        let host = Box::new(FakeHost { answers, asked: Arc::clone(&self.asked) });
        Ok(Cell { agent: AgentStream::new(ours.into())?, host, layout: Layout::Viewed, begun: Begun::No })
    }

    fn made(&self) -> usize {
        self.agents.lock().unwrap().len()
    }

    /// How many are gone, in one way or the other.
    fn gone(&self) -> usize {
        self.asked.counts().drops as usize
    }

    fn kill_all(&self) {
        for agent in &*self.agents.lock().unwrap() {
            agent.stream.shutdown(Shutdown::Both).unwrap();
        }
    }

    fn until(&self, what: &str, holds: impl Fn(&Maker) -> bool) {
        let until = Instant::now() + MOMENT;
        while !holds(self) {
            assert!(Instant::now() < until, "not within {MOMENT:?}: {what}");
            thread::yield_now();
        }
    }
}

impl CellMaker for Shared {
    fn kind(&self) -> CellKind {
        CellKind::Jail
    }

    fn make(&self, _: u16) -> Result<Cell, CellError> {
        self.0.cell()
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn close(self: Box<Self>) -> Result<(), CellError> {
        for Agent { stream, _over, thread } in self.0.agents.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).unwrap();
            thread.join().unwrap();
        }
        Ok(())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("doubles")
    }
}

/// One job, and nothing after it: a cell that got a second one would not answer.
fn honest() -> Vec<Move> {
    [until_it_runs(), vec![say(Report::Stdout(b"hello")), say(Report::Ended(End::Exited(0)))]].concat()
}

fn policy() -> Policy {
    Policy::for_host(NonZeroU32::MIN, ByteSize::mib(1024))
}

/// A language whose cells wait empty: doubles answer in one order.
const PLAIN: &str = r#"
name = "bash"
extensions = ["sh"]
entry = "main.sh"
install = "it is there"
mounts = []
version = ["{bash}", "--version"]

[environment]

[[programs]]
name = "bash"
find = ["bash"]

[[steps]]
name = "run"
kind = "run"
argv = ["{bash}", "{entry}"]
"#;

fn engine(maker: &Arc<Maker>) -> Engine {
    engine_for(maker, PLAIN)
}

fn engine_for(maker: &Arc<Maker>, language: &str) -> Engine {
    let catalogue = Catalogue::load([("plain.toml", language)]).unwrap();
    let language = catalogue.find("bash").unwrap().clone();
    let place = PathBuf::from("/usr/bin/bash");
    let program = Program { name: "bash".to_owned(), found: "bash".to_owned(), outside: place.clone(), inside: place };
    let toolchain = Toolchain {
        programs: vec![program],
        view: View::default(),
        environment: BTreeMap::new(),
        groundwork: Groundwork::NotNeeded,
        first_to_build: None,
        image: None,
    };
    Engine::new(vec![Installed::new(language, toolchain)], Box::new(Shared(Arc::clone(maker))), policy())
}

fn with_pool(maker: &Arc<Maker>, each: usize, idle: Duration) -> Engine {
    engine(maker).with_pools(PoolPolicy { each, memory: ByteSize::mib(100), idle }).unwrap()
}

fn run(engine: &Engine) -> Result<Outcome, RunError> {
    run_with(engine, &[])
}

fn run_with(engine: &Engine, args: &[&str]) -> Result<Outcome, RunError> {
    let file = SourceFile { path: SourcePath::new("main.sh").unwrap(), content: b"echo hello".to_vec() };
    let job = Job {
        trace_id: TraceId::from_random([0; 16]),
        language: "bash".to_owned(),
        sources: Sources::new(vec![file], None).unwrap(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: BTreeMap::new(),
        options: BTreeMap::new(),
        limits: Limits::within(Ask::default(), &policy()).unwrap(),
        isolation: Isolation::Auto,
        require: Require::Required,
        seed: Seed::MayBeShared,
    };
    let (cancel, _canceller) = Cancel::new().unwrap();
    engine.run(&job, Stdin::Empty, &mut (), &cancel)
}

fn assert_fine(ran: Result<Outcome, RunError>) {
    let outcome = ran.unwrap();
    assert_eq!((outcome.verdict, outcome.stdout.bytes()), (Verdict::Ok, &b"hello"[..]));
}

#[test]
fn a_job_takes_a_cell_that_waits_and_another_takes_its_place() {
    let maker = Arc::new(Maker::default());
    let engine = with_pool(&maker, 2, LONG);
    for jobs in 0..3 {
        assert!(engine.wait_for_pools(MOMENT));
        assert_eq!(maker.made(), 2 + jobs, "after {jobs} jobs");
        assert_fine(run(&engine));
    }
    assert!(engine.wait_for_pools(MOMENT));
    engine.close().unwrap();
    assert_eq!(maker.gone(), 5);
}

#[test]
fn without_pools_no_cell_is_made_before_its_job() {
    let maker = Arc::new(Maker::default());
    let engine = engine(&maker);
    assert!(engine.wait_for_pools(Duration::ZERO));
    assert_eq!(maker.made(), 0);
    assert_fine(run(&engine));
    assert_eq!(maker.made(), 1);
    engine.close().unwrap();
    assert_eq!(maker.gone(), 1);
}

#[test]
fn cells_that_died_while_they_waited_are_replaced_and_no_job_meets_one() {
    let maker = Arc::new(Maker::default());
    let engine = with_pool(&maker, 3, LONG);
    for _ in 0..3 {
        assert!(engine.wait_for_pools(MOMENT));
        maker.kill_all();
        assert_fine(run(&engine));
        maker.until("the dead ones are gone and others wait", |maker| maker.made() - maker.gone() == 3);
        assert!(engine.wait_for_pools(MOMENT));
    }
    engine.close().unwrap();
}

#[test]
fn a_cell_that_speaks_while_it_waits_is_met_by_no_job() {
    let maker = Arc::new(Maker::default());
    let both = [frame(&Report::Ready { version: VERSION }), frame(&Report::Stored)].concat();
    maker.plays.lock().unwrap().push([vec![Move::Say(both)], honest()].concat());
    let engine = with_pool(&maker, 1, LONG);
    assert!(engine.wait_for_pools(MOMENT));
    assert_fine(run(&engine));
    engine.close().unwrap();
}

#[test]
fn a_cell_that_dies_in_the_moment_it_is_taken_costs_a_job_nothing_but_time() {
    let maker = Arc::new(Maker::default());
    let ready = say(Report::Ready { version: VERSION });
    maker.plays.lock().unwrap().push(vec![ready, Move::Await(Told::File), Move::Close]);
    let engine = with_pool(&maker, 1, LONG);
    assert!(engine.wait_for_pools(MOMENT));
    // The double closes its copy of the stream, and we ours.
    maker.agents.lock().unwrap().iter_mut().for_each(|agent| agent.stream = UnixStream::pair().unwrap().0);
    assert_fine(run(&engine));
    engine.close().unwrap();
}

#[test]
fn a_burst_larger_than_the_pool_gets_a_cell_for_each_job() {
    let maker = Arc::new(Maker::default());
    let engine = with_pool(&maker, 2, LONG);
    assert!(engine.wait_for_pools(MOMENT));
    thread::scope(|threads| {
        let jobs: Vec<_> = (0..20).map(|_| threads.spawn(|| run(&engine))).collect();
        jobs.into_iter().for_each(|job| assert_fine(job.join().unwrap()));
    });
    assert!(engine.wait_for_pools(MOMENT), "the pool is filled again");
    let made = maker.made();
    assert!(20 <= made, "{made} cells for 20 jobs");
    engine.close().unwrap();
    assert_eq!(maker.gone(), made);
}

#[test]
fn cells_that_cannot_be_made_are_tried_now_and_then_and_a_job_hears_why() {
    let maker = Arc::new(Maker { fails: AtomicBool::new(true), ..Maker::default() });
    let engine = with_pool(&maker, 4, LONG);
    assert!(!engine.wait_for_pools(Duration::from_millis(250)));
    let error = run(&engine).unwrap_err();
    assert!(matches!(error, RunError::Cell(CellError::Refused { doing: "make a cell", .. })), "{error}");
    // At once, after a tenth of a second, after two more and so on; and by the job.
    let tried = maker.tried.load(Ordering::SeqCst);
    assert!(tried <= 8, "tried {tried} times in a quarter of a second");
    maker.fails.store(false, Ordering::SeqCst);
    assert!(engine.wait_for_pools(MOMENT));
    engine.close().unwrap();
}

#[test]
fn a_pool_that_nobody_asks_for_gives_its_cells_back_until_somebody_does() {
    let maker = Arc::new(Maker::default());
    let engine = with_pool(&maker, 3, Duration::from_millis(300));
    assert!(engine.wait_for_pools(MOMENT));
    maker.until("all are given back", |maker| maker.gone() == 3);
    assert_fine(run(&engine));
    maker.until("the pool is filled again", |maker| 3 + 1 < maker.made());
    maker.until("all are given back again", |maker| maker.gone() == maker.made());
    engine.close().unwrap();
}

#[test]
fn what_waits_is_gone_when_the_engine_is_closed_or_dropped() {
    for close in [true, false] {
        let maker = Arc::new(Maker::default());
        let engine = with_pool(&maker, 5, LONG);
        assert!(engine.wait_for_pools(MOMENT));
        if close {
            engine.close().unwrap()
        } else {
            drop(engine)
        }
        assert_eq!((maker.made(), maker.gone()), (if close { 0 } else { 5 }, 5));
        drop(Shared(maker));
    }
}

#[test]
fn a_removal_that_fails_after_its_outcome_is_told_at_the_end() {
    let maker = Arc::new(Maker { refuses: Some(Request::Remove), ..Maker::default() });
    let engine = engine(&maker);
    assert_fine(run(&engine));
    let error = engine.close().unwrap_err();
    assert!(matches!(error, RunError::Cell(CellError::Refused { doing: "remove a cell", .. })), "{error}");
}

/// An agent whose cell is asked for this before there is a file in it.
fn ahead_of_files(moves: Vec<Move>) -> Vec<Move> {
    let ready = vec![say(Report::Ready { version: VERSION }), Move::Await(Told::Step), say(Report::Prepared)];
    [ready, moves].concat()
}

/// All that it takes to have a template, and a cell with a copy: the cell, the frozen one, and what it is tried on.
fn plays_of_a_template() -> Vec<Vec<Move>> {
    let image = vec![say(Report::Image(b"all that it is")), say(Report::Frozen { asks: true })];
    let frozen = ahead_of_files([vec![Move::Await(Told::Freeze)], image].concat());
    let copy = || {
        let stored = vec![Move::Await(Told::FileEnd), say(Report::Stored), Move::Await(Told::Go)];
        let said = vec![say(Report::Started), say(Report::Stdout(b"hello")), say(Report::Ended(End::Exited(0)))];
        ahead_of_files([stored, said].concat())
    };
    vec![ahead_of_files(Vec::new()), frozen, honest(), copy(), honest(), copy()]
}

/// An agent that cannot thaw anything.
fn no_copy() -> Vec<Move> {
    let refused = Report::Refused { what: Refusal::Ahead, errno: 12 };
    let stored = vec![say(Report::Ready { version: VERSION }), Move::Await(Told::FileEnd), say(Report::Stored)];
    let not_copied = vec![Move::Await(Told::Step), say(refused)];
    [stored, not_copied, honest().split_off(3)].concat()
}

/// An engine without a cell that waits, and with a template.
fn with_template(maker: &Arc<Maker>) -> Engine {
    let language = PLAIN.replace("kind = \"run\"", "kind = \"run\"\nahead = \"template\"");
    let engine = engine_for(maker, &language);
    maker.plays.lock().unwrap().extend(plays_of_a_template().into_iter().rev());
    engine.discard(engine.prepare(0).unwrap()).unwrap();
    assert_eq!(maker.made(), plays_of_a_template().len(), "there is a template");
    engine
}

#[test]
fn a_job_that_finds_no_cell_is_given_a_copy_and_one_that_cannot_be_made_costs_it_nothing_but_time() {
    let maker = Arc::new(Maker::default());
    let engine = with_template(&maker);
    assert_fine(run(&engine));
    // It is refused a copy, so it was asked for one; and then it goes on in the same cell.
    let made = maker.made();
    maker.plays.lock().unwrap().push(no_copy());
    assert_fine(run(&engine));
    assert_eq!(maker.made(), made + 1);
    engine.close().unwrap();
}

#[test]
fn what_a_template_does_not_serve_begins_from_nothing() {
    let maker = Arc::new(Maker::default());
    let engine = with_template(&maker);
    maker.plays.lock().unwrap().push(no_copy());
    let error = run_with(&engine, &["an argument"]).unwrap_err();
    assert!(matches!(error, RunError::Refused { what: Refusal::Ahead, .. }), "{error}");
    engine.close().unwrap();
}

/// An agent in whose cell a tool stands, and that runs a job with it.
fn with_tool() -> Vec<Move> {
    let stored = vec![Move::Await(Told::FileEnd), say(Report::Stored)];
    ahead_of_files([stored, honest().split_off(5)].concat())
}

/// The same for a job that has no use for the tool.
fn with_tool_that_has_to_go() -> Vec<Move> {
    let ended = vec![Move::Await(Told::Kill), say(Report::Ended(End::Signaled(9)))];
    let stored = vec![Move::Await(Told::FileEnd), say(Report::Stored)];
    ahead_of_files([stored, ended, honest().split_off(3)].concat())
}

#[test]
fn cells_are_filled_as_the_latest_jobs_had_a_use_for() {
    let maker = Arc::new(Maker::default());
    let language = PLAIN.replace("kind = \"run\"", "kind = \"run\"\nahead = \"loaded\"");
    // Who is asked for something else than is played here gives no answer.
    let plays = [with_tool_that_has_to_go(), with_tool(), honest(), honest(), with_tool()];
    maker.plays.lock().unwrap().extend(plays.into_iter().rev());
    let policy = PoolPolicy { each: 2, memory: ByteSize::mib(100), idle: LONG };
    let engine = engine_for(&maker, &language).with_pools(policy).unwrap();
    let all_wait = |made: usize| {
        assert!(engine.wait_for_pools(MOMENT));
        assert_eq!(maker.made(), made);
    };

    all_wait(2);
    assert_fine(run_with(&engine, &["an argument"]));
    all_wait(3);
    // One has a tool and one has not: each job finds what it can use.
    assert_fine(run_with(&engine, &["an argument"]));
    all_wait(4);
    assert_fine(run(&engine));
    all_wait(5);
    engine.close().unwrap();
}
