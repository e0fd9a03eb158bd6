//! A machine between two runs: all of its threads are gone, each processor stands between two instructions, and no device is at work.

use std::fs::File;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use crate::arch::SetupError;
use crate::hypervisor::Hypervisor;
use crate::machine::{Machine, Ran, RunError};
use crate::memory::Memory;
use crate::pauser::Pauser;
use crate::snapshot::{self, Snapshot};
use crate::virtio::Unrest;

/// A machine that is paused.
pub struct Paused {
    // Apart: who has a [`Stopped`] has mostly one that has ended, of which little is left.
    machine: Box<Machine>,
}

/// Why a machine runs no longer.
pub enum Stopped {
    /// It has ended.
    Ended(Ran),
    /// It was asked to pause.
    Paused(Paused),
}

/// Why a machine that is paused cannot be frozen.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A device is at something.
    #[error("device {number} of the machine cannot be frozen now: {source}")]
    Device {
        /// Counted from 0, as they stand.
        number: usize,
        /// Why.
        source: Unrest,
    },
    /// KVM does not tell the state of a processor.
    #[error(transparent)]
    Cpu(#[from] SetupError),
    /// KVM does not tell the state of the chips.
    #[error("KVM refuses to tell the state of the interrupt controllers or of its clock: {0}")]
    Chips(kvm_ioctls::Error),
    /// Its memory cannot be written down.
    #[error("cannot write the memory of the machine: {0}")]
    Memory(#[from] io::Error),
}

impl Stopped {
    /// For whoever has nobody ask it to pause.
    pub fn ended(self) -> Result<Ran, RunError> {
        match self {
            Stopped::Ended(ran) => Ok(ran),
            Stopped::Paused(_) => Err(RunError::Paused),
        }
    }
}

impl Paused {
    pub(crate) fn new(machine: Machine) -> Paused {
        Paused { machine: Box::new(machine) }
    }

    /// The guest's memory.
    pub fn memory(&self) -> &Memory {
        self.machine.memory()
    }

    /// Who can ask it to pause again.
    pub fn pauser(&self) -> Pauser {
        self.machine.pauser()
    }

    /// Freezes it: its memory goes into that file, of which nothing else is left, and all the rest is told. It can run on, and what is frozen is not changed by that.
    pub fn save(&self, hypervisor: &Hypervisor, memory: &File) -> Result<Snapshot, SaveError> {
        let Machine { cpus, kind, vm, chips, devices, serial, generation, .. } = &*self.machine;
        let devices = devices.iter().enumerate().map(|(number, device)| {
            let device = device.lock().unwrap_or_else(PoisonError::into_inner);
            device.save().map_err(|source| SaveError::Device { number, source })
        });
        let devices = devices.collect::<Result<_, SaveError>>()?;
        let cpus = kind.save(hypervisor, cpus)?;
        let chips = chips.save(vm).map_err(SaveError::Chips)?;
        let serial = serial.lock().unwrap_or_else(PoisonError::into_inner).save();
        let digest = snapshot::write(self.memory(), memory)?;
        let has_generation = generation.is_some();
        Ok(Snapshot { memory: self.machine.size, digest, cpus, chips, serial, devices, has_generation })
    }

    /// Lets it run on from where it was.
    pub fn resume(self, limit: Duration) -> Result<Stopped, RunError> {
        self.machine.kind.tell_of_pause(&self.machine.cpus);
        self.machine.go(limit, |_| ())
    }
}
