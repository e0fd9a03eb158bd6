//! Cells that wait for jobs, and cells that are removed when nobody waits for it any more: in a process that lives on.
//!
//! `firebox measure jobs` is that process. It runs a program for each line that it reads.

#![allow(clippy::print_stdout, reason = "a test that measures says what it found")]

mod kit;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kit::{HostInventory, Lineage, Member, Role, Started, family, firebox, job, tool};
use rustix::process::Signal;

/// How long Firebox may take for what it does by itself, on a busy machine.
const MOMENT: Duration = Duration::from_secs(20);
/// When nothing of a job is left any more, after its outcome.
const GONE_WITHIN: Duration = Duration::from_millis(100);
/// What is counted for a cell that waits, alone and with a tool in it: `EMPTY_CELL` and `CELL_WITH_TOOL` of the engine.
const COUNTED: u64 = 1 << 20;
const COUNTED_WITH_TOOL: u64 = 16 << 20;

/// A process that runs jobs.
struct Server {
    call: Started,
    questions: File,
    asked: usize,
    jobs: usize,
}

impl Server {
    /// One that keeps so many cells waiting.
    fn start(program: &str, warm: usize) -> Server {
        Server::start_with("program.sh", program, warm)
    }

    fn start_with(file: &str, program: &str, warm: usize) -> Server {
        let warm = warm.to_string();
        let call = firebox().file(file, program).args(["measure", "jobs", file, "--warm", &warm]);
        let questions = call.directory().join("questions");
        make_fifo(&questions);
        let call = call.through(["/bin/sh", "-c", "exec \"$@\" < questions", "sh"]).start();
        // For reading too, since that does not wait for the other end.
        let questions = OpenOptions::new().read(true).write(true).open(questions).expect("it was made");
        Server { call, questions, asked: 0, jobs: 0 }
    }

    /// Has a job run, and returns when its outcome is there.
    fn run(&mut self) {
        self.jobs += 1;
        self.ask("\n");
    }

    /// Waits until nothing goes on in the background, such as filling the pool.
    fn rest(&mut self) {
        self.ask("quiet\n");
    }

    fn ask(&mut self, question: &str) {
        self.asked += 1;
        self.questions.write_all(question.as_bytes()).expect("somebody reads it");
        let until = Instant::now() + MOMENT;
        while self.call.stdout().lines().count() < self.asked {
            assert!(Instant::now() < until && self.call.is_running(), "no outcome after {}", self.call.stdout());
            std::thread::yield_now();
        }
    }

    fn cells(&self) -> Vec<Member> {
        let mut members = family(self.call.pid(), Lineage::Jail);
        members.retain(|member| member.role == Role::Agent);
        members
    }

    /// Waits until there are so many cells, and none of these.
    fn wait_for_cells(&self, count: usize, gone: &BTreeSet<u32>) -> Vec<Member> {
        let until = Instant::now() + MOMENT;
        loop {
            let cells = self.cells();
            if cells.len() == count && !cells.iter().any(|cell| gone.contains(&cell.pid)) {
                return cells;
            }
            assert!(Instant::now() < until, "not {count} new cells after {MOMENT:?}, but {cells:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until the agents of these cells have ended, whether anybody has noticed or not.
    fn wait_until_ended(&self, cells: &BTreeSet<u32>) {
        let until = Instant::now() + MOMENT;
        while self.cells().iter().any(|cell| cells.contains(&cell.pid) && cell.parent().is_some()) {
            assert!(Instant::now() < until, "some of {cells:?} are still there after {MOMENT:?}");
            std::thread::yield_now();
        }
    }

    /// What every process in its cells costs in memory, when there are so many cells and none of them is being removed.
    fn sizes_of_cells(&self, count: usize) -> Vec<u64> {
        let until = Instant::now() + MOMENT;
        loop {
            let mut members = family(self.call.pid(), Lineage::Jail);
            members.retain(|member| matches!(member.role, Role::Agent | Role::Step));
            let cells = members.iter().filter(|member| member.role == Role::Agent).count();
            let sizes: Option<Vec<u64>> = members.iter().map(|member| cost(member.pid)).collect();
            match sizes {
                Some(sizes) if cells == count => return sizes,
                _ => assert!(Instant::now() < until, "not {count} cells at rest after {MOMENT:?}, but {members:?}"),
            }
            std::thread::yield_now();
        }
    }

    /// Lets it end, and sees that all its jobs went well.
    fn end(self) {
        let Server { call, questions, asked: _, jobs } = self;
        drop(questions);
        assert_all_are_fine(&call.wait(), jobs);
    }
}

fn make_fifo(path: &Path) {
    let made = Command::new(tool("mkfifo")).args(["-m", "666"]).arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "cannot make {}", path.display());
}

fn assert_all_are_fine(call: &kit::Finished, jobs: usize) {
    assert_eq!(call.code(), 0, "{call}");
    let stdout = call.stdout();
    let fine = stdout.matches(r#""status":"ok""#).count();
    assert_eq!((fine, stdout.matches(r#""status":"#).count()), (jobs, jobs), "{call}");
}

#[test]
fn a_burst_larger_than_the_pool_is_served_and_leaves_nothing() {
    let host = HostInventory::take();
    let call = firebox().file("program.sh", "echo hello; (sleep 100 &)").stdin("20\n20\n20\n");
    let call = call.args(["measure", "jobs", "program.sh", "--warm", "2", "--clients", "20"]).run();
    assert_all_are_fine(&call, 60);
    host.assert_nothing_left();
}

#[test]
fn cells_that_are_killed_while_they_wait_are_replaced_and_no_job_meets_one() {
    let host = HostInventory::take();
    let mut server = Server::start("echo hello", 3);
    let mut gone = BTreeSet::new();
    for _ in 0..5 {
        let cells = server.wait_for_cells(3, &gone);
        gone.extend(cells.iter().map(|cell| cell.pid));
        // The last job's own cell can be among them, and about to go.
        let killed = cells.iter().filter(|cell| cell.kill()).count();
        assert!(2 <= killed, "{killed} of {cells:?} could be killed");
        server.run();
    }
    server.wait_for_cells(3, &gone);
    server.end();
    host.assert_nothing_left();
}

#[test]
fn tools_that_are_killed_while_they_wait_take_their_cells_along_and_no_job_meets_one() {
    for (file, program) in [
        // One that waits by itself for the word to go, one that the agent holds.
        ("program.py", "print('hello')"),
        ("program.sh", "echo hello"),
    ] {
        let host = HostInventory::take();
        let mut server = Server::start_with(file, program, 3);
        server.run();
        let mut gone = BTreeSet::new();
        for _ in 0..3 {
            server.wait_for_cells(3, &gone);
            server.rest();
            let mut tools = family(server.call.pid(), Lineage::Jail);
            tools.retain(|member| member.role == Role::Step);
            let killed = tools.iter().filter_map(|tool| tool.parent().filter(|_| tool.kill()));
            let killed: BTreeSet<u32> = killed.collect();
            assert_eq!(killed.len(), 3, "only the tools of {killed:?} out of {tools:?} could be killed");
            server.wait_until_ended(&killed);
            gone.extend(killed);
            server.run();
        }
        server.wait_for_cells(3, &gone);
        server.end();
        host.assert_nothing_left();
    }
}

#[test]
fn an_engine_that_is_killed_with_a_full_pool_leaves_nothing() {
    let host = HostInventory::take();
    let mut server = Server::start("echo hello", 8);
    server.wait_for_cells(8, &BTreeSet::new());
    server.run();
    server.call.signal(Signal::KILL);
    let (_killed, guard) = server.call.wait_keeping_guard();
    host.assert_only_cgroups_left_within(MOMENT);
    // What is not removed by itself is swept up by the next start.
    let next = job("bash", "echo hello").outcome();
    assert_eq!((next.verdict(), next.stdout()), (("ok", "run", 0, None), "hello\n"), "{next}");
    host.assert_nothing_left();
    drop(guard);
}

#[test]
fn of_a_job_nothing_is_left_a_moment_after_its_outcome_while_its_engine_lives_on() {
    let host = HostInventory::take();
    let program = "for i in 1 2 3; do (trap '' TERM HUP INT; exec setsid sleep 100) & done; (setsid sleep 100 &)
        mkdir -p /tmp/a/b/c; head -c 8M /dev/zero > /tmp/a/b/c/file; echo x > /dev/shm/x; echo hello";
    let mut server = Server::start(program, 0);
    server.run();
    server.wait_for_cells(0, &BTreeSet::new());
    let without_a_job = host.left();
    for _ in 0..10 {
        server.run();
        let outcome = Instant::now();
        loop {
            let looked = Instant::now();
            let left: Vec<String> = host.left().into_iter().filter(|thing| !without_a_job.contains(thing)).collect();
            if left.is_empty() {
                break;
            }
            assert!(looked < outcome + GONE_WITHIN, "left {GONE_WITHIN:?} after the outcome: {left:#?}");
        }
    }
    server.end();
    host.assert_nothing_left();
}

#[test]
fn a_cell_that_waits_costs_no_more_than_is_counted_for_it() {
    if !kit::is_root("a_cell_that_waits_costs_no_more_than_is_counted_for_it") {
        return;
    }
    for (file, program, counted) in [
        ("program.cpp", "int main() { return 0; }", COUNTED),
        ("program.c", "int main(void) { return 0; }", COUNTED_WITH_TOOL),
        ("program.sh", "echo hello", COUNTED_WITH_TOOL),
        ("program.py", "print('hello')", COUNTED_WITH_TOOL),
        ("program.js", "console.log('hello')", COUNTED_WITH_TOOL),
        ("program.rs", "fn main() {}", COUNTED_WITH_TOOL),
    ] {
        let host = HostInventory::take();
        let mut server = Server::start_with(file, program, 4);
        // The answer to this comes when the pools are full.
        server.run();
        server.wait_for_cells(4, &BTreeSet::new());
        let sizes = server.sizes_of_cells(4);
        let each = sizes.iter().sum::<u64>() / 4;
        println!("a cell that waits for {file} costs {} KiB", each >> 10);
        assert!(0 < each && each <= counted, "{file}: {sizes:?}");
        server.end();
        host.assert_nothing_left();
    }
}

#[test]
fn a_copy_of_a_compiler_has_the_code_that_it_will_use_before_its_job_comes() {
    if !kit::is_root("a_copy_of_a_compiler_has_the_code_that_it_will_use_before_its_job_comes") {
        return;
    }
    // A copy that nothing was learnt for has less than one.
    const LEAST: u64 = 8 << 20;
    let host = HostInventory::take();
    let mut server = Server::start_with("program.rs", "fn main() {}", 1);
    server.run();
    let until = Instant::now() + MOMENT;
    loop {
        let tools = family(server.call.pid(), Lineage::Jail).into_iter().filter(|member| member.role == Role::Step);
        // One that was started, and so has all that it used at its start, is the program that it is; a copy is not.
        let is_copy = |pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| !exe.ends_with("rustc"));
        let of_files = |pid| Some(in_memory(pid, "Rss:")? - in_memory(pid, "Anonymous:")?);
        let found: Vec<u64> = tools.filter(|tool| is_copy(tool.pid)).filter_map(|tool| of_files(tool.pid)).collect();
        if found.iter().any(|bytes| LEAST <= *bytes) {
            break;
        }
        assert!(Instant::now() < until, "copies have so much of their files in memory: {found:?}");
        std::thread::yield_now();
    }
    server.end();
    host.assert_nothing_left();
}

/// What a process has in memory of its own, and its share of what it has with others, but for pages of files: those the
/// kernel has once for everybody, and can take back. One that is ending has none.
fn cost(pid: u32) -> Option<u64> {
    Some(in_memory(pid, "Pss_Anon:")? + in_memory(pid, "Pss_Shmem:")?)
}

/// So much of one kind a process has in memory.
fn in_memory(pid: u32, kind: &str) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let size = rollup.lines().find_map(|line| line.strip_prefix(kind))?;
    Some(size.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10)
}
