//! The threads of a machine's processors, while it runs: started, watched over, and stopped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bus::Bus;
use crate::ending::Ending;
use crate::kick::{Kick, Order};
use crate::machine::{Confine, RunError};
use crate::sys::Cpu;
use crate::vcpu::Vcpu;

/// What whoever watches over a machine is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// The guest has ended.
    Ended(Ending),
    /// The machine cannot go on.
    Failed(RunError),
    /// Somebody wants it to pause.
    Pause,
}

/// Why a machine is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has ended.
    Ended(Ending),
    /// It is to pause.
    Pause,
}

impl Told {
    fn into_stop(self) -> Result<Stop, RunError> {
        match self {
            Told::Ended(ending) => Ok(Stop::Ended(ending)),
            Told::Failed(error) => Err(error),
            Told::Pause => Ok(Stop::Pause),
        }
    }
}

/// The threads. Dropping this ends them all.
#[derive(Default)]
pub(crate) struct Threads(Vec<(Arc<Kick>, JoinHandle<Cpu>)>);

/// How often it is looked whether all processors wait for nothing: often enough for whoever waits for the end of a machine that has
/// stopped, and too seldom to cost one that works anything.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So many looks in a row have to see it: between two of them, one processor could have woken another and stopped.
const LOOKS: u32 = 2;

impl Threads {
    /// Lets a processor run.
    pub(crate) fn start(
        &mut self,
        cpu: Cpu,
        ports: &Bus,
        windows: &Bus,
        confine: Confine,
        told: &Sender<Told>,
    ) -> Result<(), RunError> {
        let kick = Arc::new(Kick::default());
        let mut vcpu = Vcpu { cpu, ports: ports.clone(), windows: windows.clone(), kick: kick.clone(), confine };
        let told = told.clone();
        let name = format!("vcpu{}", self.0.len());
        let body = move || {
            // Nobody listens any more when another processor has ended the machine.
            match vcpu.run() {
                Ok(Some(ending)) => _ = told.send(Told::Ended(ending)),
                Ok(None) => {}
                Err(error) => _ = told.send(Told::Failed(error)),
            }
            vcpu.cpu
        };
        let thread = std::thread::Builder::new().name(name).spawn(body).map_err(RunError::Thread)?;
        self.0.push((kick, thread));
        Ok(())
    }

    /// The first to end is the end of the machine.
    pub(crate) fn wait(&self, hear: &Receiver<Told>, limit: Duration) -> Result<Stop, RunError> {
        let start = Instant::now();
        let mut seen = 0_u32;
        loop {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(Stop::Ended(Ending::TimedOut));
            }
            match hear.recv_timeout(left.min(LOOK_EVERY)) {
                Ok(told) => return told.into_stop(),
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Gone),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Nobody ends before it is told why, or to: one that has is gone by a fault of ours.
            if self.0.iter().any(|(_, thread)| thread.is_finished()) {
                return hear.try_recv().map_err(|_| RunError::Gone)?.into_stop();
            }
            seen = if self.0.iter().all(|(kick, _)| kick.waits_for_nothing()) { seen.saturating_add(1) } else { 0 };
            if LOOKS <= seen {
                return Ok(Stop::Ended(Ending::Halted));
            }
            self.order(Order::Look);
        }
    }

    /// Stops them, and gives the processors back: each between two instructions, since an order is taken when KVM has nothing of the
    /// last one left to do.
    pub(crate) fn stop(mut self) -> Result<Vec<Cpu>, RunError> {
        self.order(Order::Stop);
        // With a thread that panicked the whole process would have ended.
        self.0.drain(..).map(|(_, thread)| thread.join().map_err(|_| RunError::Gone)).collect()
    }

    fn order(&self, order: Order) {
        self.0.iter().for_each(|(kick, thread)| kick.give(order, thread));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.order(Order::Stop);
        for (_, thread) in self.0.drain(..) {
            _ = thread.join();
        }
    }
}

/// What of it changes why the machine was stopped, told by those who were not to be stopped in time: a machine that ended on the way into a
/// pause has ended.
pub(crate) fn last_word(hear: &Receiver<Told>) -> Result<Option<Ending>, RunError> {
    for told in hear.try_iter() {
        if let Stop::Ended(ending) = told.into_stop()? {
            return Ok(Some(ending));
        }
    }
    Ok(None)
}
