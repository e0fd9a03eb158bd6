//! The chips around the processors: interrupt controllers, all of them in the kernel.

use crate::interrupt::{Line, LineError};
use crate::sys::Vm;

use super::layout;

/// The interrupt controllers of one machine.
pub(crate) struct Chips;

impl Chips {
    /// Puts them into a machine. To be called before it gets a processor: each of those gets a local APIC only when
    /// the chips are there already.
    pub(crate) fn install(vm: &Vm) -> Result<Chips, kvm_ioctls::Error> {
        vm.fd().set_tss_address(layout::TASK_STATE)?;
        vm.fd().create_irq_chip()?;
        Ok(Chips)
    }

    /// The line of an interrupt, by its pin of the I/O APIC.
    pub(crate) fn line(&self, vm: &Vm, interrupt: u32) -> Result<Line, LineError> {
        if layout::INTERRUPTS <= interrupt {
            return Err(LineError::NoSuchPin(interrupt));
        }
        Line::connect(|event| vm.fd().register_irqfd(event, interrupt))
    }
}
