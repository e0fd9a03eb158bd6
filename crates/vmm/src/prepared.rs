//! A machine that was made of a snapshot and has not run yet. All that takes time is done: the machine is there, its processors hold what others held, its memory
//! is mapped. What is left is to let time go on, and to run.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::arch::{CannotBe, Cpus, OtherProcessor, SetupError};
use crate::begun::Begun;
use crate::generation::GenerationError;
use crate::hypervisor::Hypervisor;
use crate::machine::{Machine, MachineError, RunError, Settings};
use crate::memory::{Memory, MemoryError};
use crate::paused::Stopped;
use crate::pauser::Pauser;
use crate::serial::LogRing;
use crate::snapshot::{self, OtherMemory, Snapshot};
use crate::virtio::{Device, OtherDevice, Transport};

/// A machine that goes on where another one was frozen.
pub struct Prepared {
    machine: Machine,
    snapshot: Snapshot,
}

/// Why no machine can be made of a snapshot here.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is not its memory.
    #[error(transparent)]
    OtherMemory(#[from] OtherMemory),
    /// The host does not map it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// KVM makes no machine.
    #[error(transparent)]
    Made(#[from] MachineError),
    /// Its processors were others.
    #[error("the snapshot cannot go on here: {0}; make the snapshot again on this host")]
    OtherProcessor(#[from] OtherProcessor),
    /// Its guest could not be told that it is in another machine.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// KVM does not take the state of a processor.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It had more devices, or fewer.
    #[error("the snapshot's machine had {theirs} devices, and {ours} are there to go on")]
    Devices {
        /// In the snapshot.
        theirs: usize,
        /// Given.
        ours: usize,
    },
    /// One of them is not like the one before.
    #[error("device {number} of the snapshot's machine cannot go on: {source}")]
    Device {
        /// Counted from 0, as they stand.
        number: usize,
        /// Why.
        source: OtherDevice,
    },
}

impl From<CannotBe> for RestoreError {
    fn from(why: CannotBe) -> RestoreError {
        match why {
            CannotBe::Other(other) => RestoreError::OtherProcessor(other),
            CannotBe::Setup(error) => RestoreError::Setup(error),
        }
    }
}

impl Snapshot {
    /// Makes a machine that goes on from here, with devices like those that were there, in the same order, and nobody connected to any of them. The file is the memory
    /// that belongs to it, opened for reading alone, of which the length is looked at and no byte; it has to stay as it is for as long as the machine is there.
    pub fn restore(
        self,
        hypervisor: &Hypervisor,
        memory: File,
        devices: Vec<Box<dyn Device>>,
    ) -> Result<Prepared, RestoreError> {
        self.restore_in(hypervisor.begin(), hypervisor, memory, devices)
    }

    /// The same in a machine that was begun before.
    pub fn restore_in(
        self,
        begun: Begun,
        hypervisor: &Hypervisor,
        memory: File,
        devices: Vec<Box<dyn Device>>,
    ) -> Result<Prepared, RestoreError> {
        let Snapshot { memory: size, cpus, devices: states, .. } = &self;
        if states.len() != devices.len() {
            return Err(RestoreError::Devices { theirs: states.len(), ours: devices.len() });
        }
        snapshot::check_for_clone(&memory, *size)?;
        let count = u8::try_from(cpus.len()).unwrap_or(Settings::MOST_CPUS);
        let (kind, memory) = (Cpus::new(hypervisor, count)?, size.map_file(memory)?);
        let mut machine = Machine::without_processors(begun.finish(), kind, *size, memory)?;
        machine.cpus = machine.kind.restore(hypervisor, &machine.vm, cpus)?;
        for (number, (state, device)) in states.iter().zip(devices).enumerate() {
            let line = machine.next_line().map_err(MachineError::from)?;
            let transport = Transport::restore(device, machine.memory().clone(), Box::new(line), state);
            let transport = transport.map_err(|source| RestoreError::Device { number, source })?;
            machine.add_transport(transport)?;
        }
        if self.has_generation {
            machine.generation = Some(machine.connect_generation()?);
        }
        Ok(Prepared { machine, snapshot: self })
    }
}

impl Prepared {
    /// The guest's memory.
    pub fn memory(&self) -> &Memory {
        self.machine.memory()
    }

    /// Who can ask it to pause.
    pub fn pauser(&self) -> Pauser {
        self.machine.pauser()
    }

    /// What the guest says on its serial port, for who wants to read it while it is said.
    pub fn log(&self) -> Arc<Mutex<LogRing>> {
        self.machine.log.clone()
    }

    /// As [`Machine::confine_threads`].
    pub fn confine_threads(&mut self, confine: fn() -> io::Result<()>) {
        self.machine.confine_threads(confine);
    }

    /// Lets it go on, to its end, for as long as it may, or until it is asked to pause. For the guest, no time has passed but by the clock on the wall.
    pub fn go(self, limit: Duration) -> Result<Stopped, RunError> {
        let Prepared { machine, snapshot: Snapshot { cpus, chips, serial, .. } } = self;
        machine.kind.start_time(&machine.cpus, &cpus)?;
        machine.chips.start(&machine.vm, &chips).map_err(RunError::Chips)?;
        if let Some(generation) = &machine.generation {
            generation.renew(machine.memory())?;
        }
        machine.kind.tell_of_pause(&machine.cpus);
        machine.serial.lock().unwrap_or_else(PoisonError::into_inner).restore(&serial);
        for device in &machine.devices {
            device.lock().unwrap_or_else(PoisonError::into_inner).raise_again();
        }
        machine.go(limit, Transport::speak_first)
    }
}
