//! The chips around the processors: interrupt controllers, and KVM's clock, all of them in the kernel.

use kvm_bindings::{kvm_clock_data, kvm_irqchip};

use crate::interrupt::{Line, LineError};
use crate::snapshot::{Nonsense, Piece, Reader, Writer};
use crate::sys::Vm;

use super::layout;

/// The interrupt controllers of one machine.
pub(crate) struct Chips;

/// What they held when their machine was paused.
pub(crate) struct ChipsState {
    /// The two old controllers and the I/O APIC, as KVM numbers them.
    controllers: [kvm_irqchip; CONTROLLERS],
    /// Nanoseconds since the machine began, as KVM's clock tells its guest.
    clock: u64,
}

const CONTROLLERS: usize = 3;

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

    /// What they hold.
    pub(crate) fn save(&self, vm: &Vm) -> Result<ChipsState, kvm_ioctls::Error> {
        let clock = vm.fd().get_clock()?.clock;
        let mut controllers = [0, 1, 2].map(controller);
        controllers.iter_mut().try_for_each(|controller| vm.fd().get_irqchip(controller))?;
        Ok(ChipsState { controllers, clock })
    }

    /// Has them hold what others held, and lets the clock go on from where it stood. To be called when local APICs are as they were: what was on its way
    /// to one goes there now.
    pub(crate) fn start(&self, vm: &Vm, state: &ChipsState) -> Result<(), kvm_ioctls::Error> {
        state.controllers.iter().try_for_each(|controller| vm.fd().set_irqchip(controller))?;
        vm.fd().set_clock(&kvm_clock_data { clock: state.clock, ..kvm_clock_data::default() })
    }
}

fn controller(number: u32) -> kvm_irqchip {
    kvm_irqchip { chip_id: number, ..kvm_irqchip::default() }
}

impl Piece for ChipsState {
    fn write(&self, to: &mut Writer) {
        let ChipsState { controllers, clock } = self;
        controllers.iter().for_each(|controller| to.laid_out(controller));
        to.u64(*clock);
    }

    fn read(from: &mut Reader<'_>) -> Result<ChipsState, Nonsense> {
        let mut controllers = [0; CONTROLLERS].map(controller);
        for (number, controller) in (0..).zip(&mut controllers) {
            *controller = from.laid_out()?;
            if controller.chip_id != number {
                return Err(Nonsense::Impossible("order of interrupt controllers"));
            }
        }
        Ok(ChipsState { controllers, clock: from.u64()? })
    }
}
