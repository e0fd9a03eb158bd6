//! What the tests of this crate share.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

pub(crate) mod assembler;
pub(crate) mod counting;
pub(crate) mod debian;
pub(crate) mod driver;
pub(crate) mod first_process;
pub(crate) mod frozen;
pub(crate) mod hostile_driver;
pub(crate) mod initramfs;
pub(crate) mod kernel;
pub(crate) mod process;
pub(crate) mod sealed;
pub(crate) mod virtio_guest;
pub(crate) mod wire_guest;

use std::time::Duration;

use firebox_vmm::{Hypervisor, Machine, MemorySize, Probe, Ran, Settings, Start, layout, probe};

pub(crate) use assembler::Assembler;

/// So long no guest of these tests needs, not even on a busy machine that emulates each instruction.
pub(crate) const PLENTY: Duration = Duration::from_secs(60);

/// KVM, or a word on why a test was skipped.
pub(crate) fn hypervisor(test: &str) -> Option<Hypervisor> {
    match Hypervisor::open() {
        Ok(hypervisor) => Some(hypervisor),
        Err(why) => {
            println!("skipped: {test}: {why}");
            None
        }
    }
}

/// KVM that runs a guest's kernel rather than emulates it, or a word on why a test was skipped.
pub(crate) fn hypervisor_at_speed(test: &str) -> Option<Hypervisor> {
    if let Probe::Emulated(speed) = probe() {
        println!("skipped: {test}: KVM emulates a guest's kernel here, at {:?} for each instruction", speed.kernel);
        return None;
    }
    hypervisor(test)
}

/// A machine with 2 MiB and a program in it.
pub(crate) fn machine(hypervisor: &Hypervisor, cpus: u8, program: &Assembler) -> Machine {
    let machine = Machine::new(hypervisor, Settings { memory: MemorySize::mib(2).unwrap(), cpus }).unwrap();
    machine.load(layout::PROGRAM, program.code()).unwrap();
    machine
}

/// Runs it.
pub(crate) fn run(machine: Machine, limit: Duration) -> Ran {
    machine.run(&Start { entry: layout::PROGRAM, argument: 0 }, limit).unwrap().ended().unwrap()
}
