//! The monitor of a microVM: a machine of virtual processors, memory and a few devices, made of KVM.
//!
//! The principal type is [`Machine`]: it is made, given a program and devices, and run, to an [`Ending`] or until it is [`Paused`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use firebox_vmm::{Ending, Hypervisor, Machine, MemorySize, Settings, Start, layout};
//!
//! let hypervisor = Hypervisor::open()?;
//! let machine = Machine::new(&hypervisor, Settings { memory: MemorySize::mib(2)?, cpus: 1 })?;
//! machine.load(layout::PROGRAM, &[0xB0, 0xFE, 0xE6, 0x64])?; // mov al, 0xFE; out 0x64, al
//! let ran = machine.run(&Start { entry: layout::PROGRAM, argument: 0 }, Duration::from_secs(1))?.ended()?;
//! assert_eq!(ran.ending, Ending::Reset);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! machine ---- threads ---- vcpu (a thread each) --- KVM_RUN, and what made it return
//!   |             |
//!   |             `--> bus --> serial, keyboard, power            arch, serial
//!   |                   `----> virtio: transport --> a device     virtio
//!   |-- memory, interrupt lines
//!   '-- load_linux: a kernel, its command line and initramfs, and what it is told of the machine     arch, generation
//! ```
//!
//! Everything a guest does may be meant to break us. So: nothing it announces is allocated before it is bounded, no arithmetic on its
//! numbers can overflow, nothing it says selects an element without being asked whether there is one (the lints below hold that),
//! and whatever it does, [`Machine::run`] returns: with how it ended, or at its time limit.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod arch;
mod begun;
mod bus;
mod ending;
mod generation;
mod hypervisor;
mod interrupt;
mod kick;
mod machine;
mod memory;
mod paused;
mod pauser;
mod prepared;
mod probe;
mod region;
mod serial;
mod snapshot;
mod sys;
mod threads;
mod vcpu;
pub mod virtio;
mod wakers;

pub use arch::{BootError, Linux, OtherProcessor, SetupError, Start, UnpackError, WORDS, layout, unpack};
pub use begun::Begun;
pub use bus::{BusDevice, Go, Taken};
pub use ending::{CpuFault, Ending};
pub use generation::GenerationError;
pub use hypervisor::{Hypervisor, NoKvm};
pub use interrupt::{Interrupt, LineError};
pub use machine::{LoadError, Machine, MachineError, Ran, RunError, Settings};
pub use memory::{Memory, MemoryError, MemorySize};
pub use paused::{Paused, SaveError, Stopped};
pub use pauser::Pauser;
pub use prepared::{Prepared, RestoreError};
pub use probe::{Failed, Probe, Speed, probe};
pub use region::Region;
pub use serial::LogRing;
pub use snapshot::{Digest, NoSnapshot, Nonsense, OtherMemory, Snapshot};
pub use vm_memory::{Bytes, GuestAddress};
