//! Whether guests run well here: a guest of a few instructions is run, in ring 0 and in ring 3, and timed.
//!
//! That `/dev/kvm` is there says little. Some clouds have one that emulates each instruction a kernel executes, a thousand times as slowly as
//! the processor would, and lets only user space run by itself: the tests of this crate pass there, and a kernel boots in an hour.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::arch::{Start, layout, loops};
use crate::bus::{BusDevice, Go};
use crate::ending::Ending;
use crate::hypervisor::{Hypervisor, NoKvm};
use crate::machine::{Machine, MachineError, RunError, Settings};
use crate::memory::MemorySize;

/// What was found out about KVM on this host.
#[derive(Debug)]
pub enum Probe {
    /// Guests run at the processor's own speed, or near enough to it.
    Usable(Speed),
    /// Guests run, but a kernel in one would take minutes to boot.
    Emulated(Speed),
    /// There is no KVM for us.
    No(NoKvm),
    /// There is, and it does not run a guest of a few instructions.
    Broken(Failed),
}

/// How long an instruction takes in a guest, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// As its kernel.
    pub kernel: Duration,
    /// As a program.
    pub program: Duration,
}

impl Speed {
    /// Whether no instruction is emulated by a kernel.
    fn is_real(self) -> bool {
        self.kernel.max(self.program) < SLOW
    }
}

/// Why KVM did not run a guest of a few instructions.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No machine could be made.
    #[error(transparent)]
    Made(#[from] MachineError),
    /// It could not be run.
    #[error(transparent)]
    Ran(#[from] RunError),
    /// It ended as it was not meant to.
    #[error("a guest of a few instructions ended otherwise than it should: {0}")]
    Ended(Ending),
}

/// Often enough for the time of an exit, some microseconds, to vanish in what is measured; seldom enough to be emulated in milliseconds.
const ROUNDS: u32 = 4_000;
/// What seems slow is measured so often, and the fastest taken: whoever else is at work on this host makes things slower, never faster. So the first that is
/// fast is enough, and jobs wait for this.
const TRIES: u32 = 5;
/// A processor needs less than a nanosecond, one that is emulated in software some tens; each instruction emulated by a kernel, hundreds.
const SLOW: Duration = Duration::from_nanos(150);
/// Longer than that nothing in here takes, unless it hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// Finds out what KVM is worth here, with the caller's rights. Takes some milliseconds; where instructions are emulated, some tens.
pub fn probe() -> Probe {
    let hypervisor = match Hypervisor::open() {
        Ok(hypervisor) => hypervisor,
        Err(none) => return Probe::No(none),
    };
    match measure(&hypervisor) {
        Ok(speed) if speed.is_real() => Probe::Usable(speed),
        Ok(speed) => Probe::Emulated(speed),
        Err(failed) => Probe::Broken(failed),
    }
}

fn measure(hypervisor: &Hypervisor) -> Result<Speed, Failed> {
    let mut best = time_once(hypervisor)?;
    for _ in 1..TRIES {
        if best.is_real() {
            break;
        }
        let Speed { kernel, program } = time_once(hypervisor)?;
        best = Speed { kernel: best.kernel.min(kernel), program: best.program.min(program) };
    }
    Ok(best)
}

/// One guest: a loop in ring 0, the way to ring 3, the same loop there; each begins and ends with a word to the stopwatch.
fn time_once(hypervisor: &Hypervisor) -> Result<Speed, Failed> {
    let mut machine = Machine::new(hypervisor, Settings { memory: MemorySize::LEAST, cpus: 1 })?;
    let stopwatch = Arc::new(Mutex::new(Stopwatch::default()));
    machine
        .add_ports(layout::STOPWATCH..layout::STOPWATCH.saturating_add(1), stopwatch.clone())
        .map_err(MachineError::from)?;
    let program = loops(layout::STOPWATCH as u16, ROUNDS);
    machine.load(layout::PROGRAM, &program).map_err(|_| Failed::Ended(Ending::TimedOut))?;
    let ran = machine.run(&Start { entry: layout::PROGRAM, argument: 0 }, LIMIT)?.ended()?;
    let stopwatch = stopwatch.lock().unwrap_or_else(PoisonError::into_inner);
    match (ran.ending, stopwatch.times.as_slice()) {
        (Ending::PoweredOff, [begin, end, again, over]) => Ok(Speed {
            kernel: each(end.saturating_duration_since(*begin)),
            program: each(over.saturating_duration_since(*again)),
        }),
        (ending, _) => Err(Failed::Ended(ending)),
    }
}

/// Of a loop of two instructions.
fn each(all: Duration) -> Duration {
    all.checked_div(ROUNDS.saturating_mul(2)).unwrap_or_default()
}

/// Notes when it is written to: four times, and with the last the machine ends.
#[derive(Default)]
struct Stopwatch {
    times: Vec<Instant>,
}

impl BusDevice for Stopwatch {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _offset: u64, _data: &[u8]) -> Go {
        self.times.push(Instant::now());
        if self.times.len() < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(Ending::PoweredOff) }
    }
}
