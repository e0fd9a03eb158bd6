//! The machine: made of what was handed over, and run to its end.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use firebox_confine::Filter;
use firebox_vmm::virtio::{Block, Door, Entropy, NoDisk, Vsock};
use firebox_vmm::{
    BootError, Hypervisor, Linux, Machine, MachineError, MemoryError, MemorySize, NoKvm, Ran, RunError, Settings,
};

use crate::doors::Doors;
use crate::orders::Orders;

/// What a monitor was handed, and the doors that came after.
#[derive(Debug)]
pub struct Parts {
    /// An open `/dev/kvm`.
    pub kvm: OwnedFd,
    /// The kernel.
    pub kernel: File,
    /// What it begins with.
    pub initramfs: File,
    /// The image.
    pub disk: Option<File>,
    /// The guest's ways to the host.
    pub doors: Doors,
}

/// Why there is no machine. Says nothing about the guest.
#[derive(Debug, thiserror::Error)]
pub enum NoMachine {
    /// There is no KVM.
    #[error(transparent)]
    Kvm(#[from] NoKvm),
    /// There is not so much memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// KVM makes none.
    #[error(transparent)]
    Made(#[from] MachineError),
    /// The image is no disk.
    #[error(transparent)]
    Disk(#[from] NoDisk),
    /// There is no wire.
    #[error("cannot connect the doors: {0}")]
    Wire(#[from] io::Error),
    /// The kernel cannot be loaded.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// It cannot be run on.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// The words a kernel is started with. After a panic it resets the machine, which ends it; and says little, since each byte on the serial port
/// is an exit.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1";
/// The guest's number on its wire. There is no other guest on it.
const GUEST: u32 = 3;
/// Where the guest calls the host, once.
pub const INTRODUCTION: u32 = 1024;
/// Its warden knows when it has to end.
const WITHOUT_END: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Makes the machine and runs it to its end.
pub fn run(orders: Orders, parts: Parts) -> Result<Ran, NoMachine> {
    let Orders { memory, cpus, has_disk: _ } = orders;
    let Parts { kvm, kernel, initramfs, disk, doors } = parts;
    let hypervisor = Hypervisor::from_descriptor(kvm)?;
    let mut machine = Machine::new(&hypervisor, Settings { memory: MemorySize::bytes(memory)?, cpus })?;
    machine.confine_threads(|| Filter::MACHINE.install().map_err(io::Error::other));
    machine.add_virtio(Box::new(Entropy))?;
    machine.add_virtio(Box::new(wire(doors)?))?;
    if let Some(disk) = disk {
        machine.add_virtio(Box::new(Block::new(disk)?))?;
    }
    let start = machine.load_linux(Linux { kernel, command_line: COMMAND_LINE, initramfs: Some(initramfs) })?;
    Ok(machine.run(&start, WITHOUT_END)?.ended()?)
}

fn wire(doors: Doors) -> io::Result<Vsock> {
    let Doors { introduction, agent, control } = doors;
    let mut wire = Vsock::new(GUEST, None, vec![Door { port: INTRODUCTION, stream: introduction }])?;
    wire.admit(agent)?;
    wire.admit(control)?;
    Ok(wire)
}
