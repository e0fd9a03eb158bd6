//! A PC without its history: 64-bit processors with APICs, a serial port, a keyboard controller that can reset, and a port
//! that takes the power away. No BIOS, no PCI, no disks of old.

mod acpi;
mod bios;
mod bzimage;
mod chips;
mod cpu_state;
mod cpuid;
mod cpus;
mod descriptors;
mod features;
mod kernel;
mod keyboard;
pub mod layout;
mod linux;
mod local_apic;
mod long_mode;
mod loops;
mod msrs;
mod power;
mod words;
mod zero_page;
mod zeros;

pub use bzimage::{UnpackError, unpack};
pub(crate) use chips::{Chips, ChipsState};
pub(crate) use cpu_state::CpuState;
pub(crate) use cpus::{CannotBe, Cpus, waits_for_nothing};
pub use cpus::{SetupError, Start};
pub use features::OtherProcessor;
pub(crate) use linux::load;
pub use linux::{BootError, Linux};
pub(crate) use loops::loops;
pub use words::WORDS;

use std::sync::{Arc, Mutex};

use kvm_ioctls::Cap;

use crate::bus::{Bus, Taken};
use crate::serial::SerialPort;
use keyboard::Keyboard;
use power::PowerSwitch;

/// What ELF calls this kind of processor.
pub(crate) const NUMBER: u32 = 62;

/// What a machine cannot be made without. All of it is older than Linux 3.
pub(crate) const NEEDED: [(Cap, &str); 7] = [
    (Cap::UserMemory, "memory of our own for guests"),
    (Cap::SetTssAddr, "a place for the task state"),
    (Cap::Irqchip, "interrupt controllers"),
    (Cap::Irqfd, "interrupts by events"),
    (Cap::MpState, "the states of processors"),
    (Cap::ExtCpuid, "CPUID"),
    (Cap::Hlt, "halting"),
];

/// The ports of a machine, with what every machine has there.
pub(crate) fn fixed_devices(serial: Arc<Mutex<SerialPort>>) -> Result<Bus, Taken> {
    let mut ports = Bus::default();
    ports.add(layout::SERIAL, serial)?;
    ports.add(layout::KEYBOARD, Arc::new(Mutex::new(Keyboard)))?;
    ports.add(layout::POWER, Arc::new(Mutex::new(PowerSwitch)))?;
    Ok(ports)
}
