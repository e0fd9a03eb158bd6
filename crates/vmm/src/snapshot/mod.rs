//! A machine that was frozen: all that its processors, chips and devices held, and in a file of its own, its memory.
//!
//! ```text
//! paused machine --save--> Snapshot --encode--> bytes: header, digest | processors, chips, serial port, devices
//!                     '--> memory file: as long as the memory, a hole where it is zero
//!
//! bytes --decode--> Snapshot --restore, with the file mapped privately and devices of its own--> Prepared --go--> running
//! ```
//!
//! What a state consists of is known to its owner alone ([`Piece`]): `arch` for processors and chips, `serial`, `virtio`. This folder knows how they
//! are put together, told from other bytes, and which memory belongs to them.
//!
//! Bytes of a snapshot may have been made up: they select no element, allocate nothing before it is bounded, and are checked against the
//! devices and the memory they are to go on with. What they make of a guest's own state is that guest's affair.

mod encoding;
mod format;
mod memory_file;

pub use encoding::Nonsense;
pub(crate) use encoding::{Piece, Reader, Writer};
pub use format::NoSnapshot;
pub use memory_file::{Digest, OtherMemory};
pub(crate) use memory_file::{check_for_clone, write};

use std::fs::File;

use crate::arch::{ChipsState, CpuState};
use crate::machine::Settings;
use crate::memory::MemorySize;
use crate::serial::PortState;
use crate::virtio::DeviceState;

/// A frozen machine, but for its memory.
pub struct Snapshot {
    pub(crate) memory: MemorySize,
    pub(crate) digest: Digest,
    pub(crate) cpus: Vec<CpuState>,
    pub(crate) chips: ChipsState,
    pub(crate) serial: PortState,
    pub(crate) devices: Vec<DeviceState>,
    /// Whether its guest is told of its generation. By which identifier, each clone draws for itself.
    pub(crate) has_generation: bool,
}

impl Snapshot {
    /// How much memory its machine has, and so how long its memory's file is.
    pub fn memory(&self) -> MemorySize {
        self.memory
    }

    /// How many processors its machine has.
    pub fn count_cpus(&self) -> usize {
        self.cpus.len()
    }

    /// What its machine's memory held.
    pub fn memory_digest(&self) -> Digest {
        self.digest
    }

    /// Whether a file is the memory that belongs to it. All of it is read, so this is for whoever stores it or has fetched it, and not for each clone.
    pub fn verify_memory(&self, file: &File) -> Result<(), OtherMemory> {
        memory_file::check_length(file, self.memory)?;
        let found = memory_file::digest(file)?;
        if found == self.digest { Ok(()) } else { Err(OtherMemory::Contents) }
    }
}

/// More virtio devices than there are interrupts for.
const MOST_DEVICES: u32 = 32;

impl Piece for Snapshot {
    fn write(&self, to: &mut Writer) {
        let Snapshot { memory, digest, cpus, chips, serial, devices, has_generation } = self;
        to.u64(memory.to_bytes());
        to.bytes(&digest.0);
        to.all(cpus.iter(), |to, cpu| cpu.write(to));
        chips.write(to);
        serial.write(to);
        to.all(devices.iter(), |to, device| device.write(to));
        to.is(*has_generation);
    }

    fn read(from: &mut Reader<'_>) -> Result<Snapshot, Nonsense> {
        let memory = MemorySize::bytes(from.u64()?).map_err(|_| Nonsense::Impossible("size of memory"))?;
        let digest = Digest(from.take()?);
        let cpus = from.all("processors", Settings::MOST_CPUS.into(), CpuState::read)?;
        if cpus.is_empty() {
            return Err(Nonsense::Impossible("having no processor"));
        }
        let chips = ChipsState::read(from)?;
        let serial = PortState::read(from)?;
        let devices = from.all("devices", MOST_DEVICES, DeviceState::read)?;
        let has_generation = from.is("word on whether its guest is told of its generation")?;
        Ok(Snapshot { memory, digest, cpus, chips, serial, devices, has_generation })
    }
}
