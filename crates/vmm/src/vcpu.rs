//! One virtual processor: a thread that enters the guest, and answers what made it come back.

use std::ops::ControlFlow;
use std::sync::Arc;

use kvm_ioctls::VcpuExit;

use crate::arch::waits_for_nothing;
use crate::bus::{Bus, Go};
use crate::ending::{CpuFault, Ending};
use crate::kick::{self, Kick, Order};
use crate::machine::{Confine, RunError};
use crate::sys::Cpu;

/// A processor with what it can reach.
pub(crate) struct Vcpu {
    pub(crate) cpu: Cpu,
    /// What stands at ports.
    pub(crate) ports: Bus,
    /// What stands among the addresses of memory.
    pub(crate) windows: Bus,
    pub(crate) kick: Arc<Kick>,
    pub(crate) confine: Confine,
}

/// Whether the processor goes on, and else how it ended, if it did.
type Next = ControlFlow<Option<Ending>>;

/// A signal has come.
const INTERRUPTED: i32 = 4;
/// KVM wants to be entered again.
const AGAIN: i32 = 11;

impl Vcpu {
    /// Runs the guest until it ends, or until this thread is told to stop: then there is no ending, and the processor can run on. To be
    /// called in the thread that is kicked.
    pub(crate) fn run(&mut self) -> Result<Option<Ending>, RunError> {
        self.kick.listen();
        self.cpu.hear_only(kick::signal()).map_err(RunError::Signal)?;
        (self.confine)().map_err(RunError::Confine)?;
        if let ControlFlow::Break(ending) = self.obey()? {
            return Ok(ending);
        }
        loop {
            if let ControlFlow::Break(ending) = self.enter()? {
                return Ok(ending);
            }
        }
    }

    /// Into the guest and out again. What the guest has asked for when it comes out, KVM finishes when it is next entered, and before it looks
    /// for signals; so an order is only ever taken between two instructions.
    fn enter(&mut self) -> Result<Next, RunError> {
        let Vcpu { cpu, ports, windows, kick: _, confine: _ } = self;
        let exit = match cpu.fd_mut().run() {
            Ok(exit) => exit,
            Err(error) if matches!(error.errno(), INTERRUPTED | AGAIN) => return self.obey(),
            Err(error) => return Err(RunError::Enter(error)),
        };
        let go: Go = match exit {
            VcpuExit::IoIn(port, data) => {
                ports.read(port.into(), data);
                ControlFlow::Continue(())
            }
            VcpuExit::IoOut(port, data) => ports.write(port.into(), data),
            VcpuExit::MmioRead(address, data) => {
                windows.read(address, data);
                ControlFlow::Continue(())
            }
            VcpuExit::MmioWrite(address, data) => windows.write(address, data),
            VcpuExit::Intr | VcpuExit::IrqWindowOpen => ControlFlow::Continue(()),
            other => ControlFlow::Break(ending_of(&other)),
        };
        Ok(go.map_break(Some))
    }

    fn obey(&self) -> Result<Next, RunError> {
        match self.kick.take() {
            Order::GoOn => {}
            Order::Look => self.kick.report(waits_for_nothing(self.cpu.fd()).map_err(RunError::Look)?),
            // Whoever gave the order knows why.
            Order::Stop => return Ok(ControlFlow::Break(None)),
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What an exit says that no guest comes back from.
fn ending_of(exit: &VcpuExit<'_>) -> Ending {
    const SHUT_DOWN: u32 = 1;
    const RESET: u32 = 2;
    match exit {
        // Without interrupt controllers in the kernel; with them a processor that halts stays in there.
        VcpuExit::Hlt => Ending::Halted,
        VcpuExit::Shutdown => Ending::TripleFault,
        VcpuExit::SystemEvent(SHUT_DOWN, _) => Ending::PoweredOff,
        VcpuExit::SystemEvent(RESET, _) => Ending::Reset,
        VcpuExit::InternalError => Ending::Fault(CpuFault::Internal),
        VcpuExit::FailEntry(reason, _) => Ending::Fault(CpuFault::Entry { reason: *reason }),
        VcpuExit::MemoryFault { gpa, .. } => Ending::Fault(CpuFault::Memory { address: *gpa }),
        _ => Ending::Fault(CpuFault::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_guest_comes_back_from_is_told_apart() {
        for (exit, expected) in [
            (VcpuExit::Hlt, Ending::Halted),
            (VcpuExit::Shutdown, Ending::TripleFault),
            (VcpuExit::SystemEvent(1, &[]), Ending::PoweredOff),
            (VcpuExit::SystemEvent(2, &[]), Ending::Reset),
            (VcpuExit::SystemEvent(3, &[]), Ending::Fault(CpuFault::Unknown)),
            (VcpuExit::InternalError, Ending::Fault(CpuFault::Internal)),
            (VcpuExit::FailEntry(7, 0), Ending::Fault(CpuFault::Entry { reason: 7 })),
            (VcpuExit::MemoryFault { flags: 0, gpa: 9, size: 1 }, Ending::Fault(CpuFault::Memory { address: 9 })),
            (VcpuExit::Unsupported(99), Ending::Fault(CpuFault::Unknown)),
        ] {
            assert_eq!(ending_of(&exit), expected, "{exit:?}");
        }
    }
}
