//! How long a job waits for the warden while that makes and removes cells for others, and what a cell costs.
//!
//! ```text
//! cargo run --release -p firebox-jail --example busy_warden [SECONDS] [NEIGHBOURS]
//! ```
//!
//! One cell stands for a job that is limited and measured, at a pace. Beside it there is first nobody, and then some
//! neighbours (two) that make and remove cells without a pause. At last there are only the neighbours, and what their cells
//! cost is counted. For comparing two states of the code, run both by turns.

#![allow(clippy::print_stdout, reason = "what it has found")]

#[path = "../tests/hostile_engine/idle_agent.rs"]
mod idle_agent;

use std::error::Error;
use std::fs;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use firebox_cell::{Cell, CellMaker, StepLimits, View};
use firebox_job::ByteSize;

/// Between two requests of the job's.
const PACE: Duration = Duration::from_micros(1500);

const LIMITS: StepLimits = StepLimits {
    memory: ByteSize::mib(64),
    tasks: NonZeroU32::MIN,
    vcpus: NonZeroU32::MIN,
    disk: ByteSize::mib(1),
    inodes: 100,
    most: Duration::from_secs(3600),
};

/// The kernel counts CPU time for `/proc` in these.
const TICK: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn Error>> {
    let given = |place, otherwise| std::env::args().nth(place).map_or(Ok(otherwise), |given| given.parse::<u64>());
    let (seconds, neighbours) = (given(1, 3)?, given(2, 2)?);
    let cells =
        firebox_jail::start(&[View { steps: 2, ..View::default() }], idle_agent::idle_agent())?.drop_privileges()?;
    let warden = fs::read_to_string("/proc/thread-self/children")?.trim().to_owned();
    let mut job = cells.make(0)?;
    job.host.limit(&LIMITS)?;
    waits("alone", &mut job, Duration::from_secs(seconds))?;

    let most = Duration::from_secs(seconds);
    beside(neighbours, &cells, || waits("busy", &mut job, most))?;
    job.host.remove()?;

    let spent = || -> Result<Duration, Box<dyn Error>> { Ok(cpu_time("self")? + cpu_time(&warden)?) };
    let (before, began) = (spent()?, Instant::now());
    let made = beside(neighbours, &cells, || {
        thread::sleep(most);
        Ok(())
    })?;
    let (took, cpu) = (began.elapsed(), spent()?.saturating_sub(before) / made.max(1));
    println!("{:.0} cells a second, {:.2} ms of CPU time each", f64::from(made) / took.as_secs_f64(), ms(cpu));
    Box::new(cells).close()?;
    Ok(())
}

/// Does something beside neighbours who make and remove cells without a pause. How many cells that were.
fn beside(
    neighbours: u64,
    cells: &impl CellMaker,
    act: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<u32, Box<dyn Error>> {
    let (stop, made) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..neighbours {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let removed = cells.make(0).and_then(|cell| cell.host.remove());
                    made.fetch_add(u32::from(removed.is_ok()), Ordering::Relaxed);
                }
            });
        }
        let done = act();
        stop.store(true, Ordering::Relaxed);
        done
    })?;
    Ok(made.into_inner())
}

/// Measures the job's cell for so long, at a pace, and says how long that took.
fn waits(when: &str, job: &mut Cell, most: Duration) -> Result<(), Box<dyn Error>> {
    let until = Instant::now() + most;
    let mut waited = Vec::new();
    while Instant::now() < until {
        thread::sleep(PACE);
        let asked = Instant::now();
        job.host.measure(until)?;
        waited.push(asked.elapsed());
    }
    waited.sort();
    let at = |part: usize| ms(waited[(waited.len() - 1) * part / 1000]);
    println!(
        "{when}: a measure waits {:.3} ms, p90 {:.3}, p99 {:.3}, at most {:.3}",
        at(500),
        at(900),
        at(990),
        at(1000)
    );
    Ok(())
}

/// The CPU time of a process, and of its children that have been waited for.
fn cpu_time(pid: &str) -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no name")?;
    let ticks: Result<Vec<u32>, _> = fields.split(' ').skip(11).take(4).map(str::parse).collect();
    Ok(TICK * ticks?.into_iter().sum())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
