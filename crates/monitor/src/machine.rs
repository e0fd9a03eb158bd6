//! The machine: made of what was handed over, and run to its end, or until it is frozen.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use firebox_confine::Filter;
use firebox_vmm::virtio::{Block, Device, Door, Entropy, NoDisk, Vsock};
use firebox_vmm::{
    BootError, Hypervisor, Linux, Machine, MachineError, MemoryError, MemorySize, NoKvm, NoSnapshot, Ran, RestoreError,
    RunError, SaveError, Settings, Snapshot, Start,
};

use crate::doors::Doors;
use crate::freezer::Freezer;
use crate::orders::{Course, Orders};

/// What a monitor was handed, and the doors that came after.
#[derive(Debug)]
pub struct Parts {
    /// The kernel; or the state of a machine that was frozen.
    pub program: File,
    /// What the kernel begins with; or the memory of the machine that was frozen.
    pub contents: File,
    /// The image.
    pub disk: Option<File>,
    /// The guest's ways to the host.
    pub doors: Doors,
}

/// What became of a machine.
#[derive(Debug)]
pub enum Became {
    /// It has ended.
    Ended(Ran),
    /// It was frozen, as whoever asked for it wanted.
    Frozen,
}

/// Why there is no machine, or no snapshot of it. Says nothing about the guest.
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
    Wire(#[source] io::Error),
    /// The kernel cannot be loaded.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// It cannot be run on.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is nothing to go on from.
    #[error(transparent)]
    Snapshot(#[from] NoSnapshot),
    /// It is of a machine of another size.
    #[error("the snapshot is of a machine with other memory or processors than it was said to be: make it again")]
    OtherSize,
    /// It cannot go on here.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// It could not be frozen.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// What was frozen could not be written down.
    #[error("cannot write the state of the machine: {0}")]
    Write(#[source] io::Error),
    /// There is no thread that would hear when it is to be frozen.
    #[error("the host gives no thread to wait for the word to freeze: {0}")]
    Thread(#[source] io::Error),
}

/// The words a kernel is started with. After a panic it resets the machine, which ends it; and says little, since each byte on the serial port
/// is an exit.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1";
/// The guest's number on its wire. There is no other guest on it.
const GUEST: u32 = 3;
/// Where the guest calls the host, once.
pub const INTRODUCTION: u32 = 1024;
/// Its warden knows when it has to end.
pub(crate) const WITHOUT_END: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Makes the machine with this open `/dev/kvm`, and runs it to its end, or until it is to be frozen.
pub fn run(orders: Orders, kvm: OwnedFd, parts: Parts, freezer: Freezer<'_>) -> Result<Became, NoMachine> {
    let hypervisor = Hypervisor::from_descriptor(kvm)?;
    match orders.course {
        Course::Boot => {
            let (machine, start) = booting(&hypervisor, orders, parts)?;
            Ok(Became::Ended(machine.run(&start, WITHOUT_END)?.ended()?))
        }
        Course::Freeze => {
            let (machine, start) = booting(&hypervisor, orders, parts)?;
            freezer.run(&hypervisor, machine, &start)
        }
        Course::GoOn => go_on(&hypervisor, orders, parts).map(Became::Ended),
    }
}

fn booting(hypervisor: &Hypervisor, orders: Orders, parts: Parts) -> Result<(Machine, Start), NoMachine> {
    let Orders { memory, cpus, has_disk: _, course: _ } = orders;
    let Parts { program, contents, disk, doors } = parts;
    let mut machine = Machine::new(hypervisor, Settings { memory: MemorySize::bytes(memory)?, cpus })?;
    machine.confine_threads(confine_thread);
    let Doors { welcome, agent, control } = doors;
    let called = vec![Door { port: INTRODUCTION, stream: welcome }];
    for device in devices(called, [agent, control], disk)? {
        machine.add_virtio(device)?;
    }
    let linux = Linux { kernel: program, command_line: COMMAND_LINE, initramfs: Some(contents) };
    let start = machine.load_linux(linux)?;
    Ok((machine, start))
}

fn go_on(hypervisor: &Hypervisor, orders: Orders, parts: Parts) -> Result<Ran, NoMachine> {
    let Orders { memory, cpus, has_disk: _, course: _ } = orders;
    let Parts { program, contents, disk, doors } = parts;
    let machine = hypervisor.begin();
    let snapshot = Snapshot::read_from(program)?;
    // Its control group was made for these.
    if (snapshot.memory().to_bytes(), snapshot.count_cpus()) != (memory, usize::from(cpus)) {
        return Err(NoMachine::OtherSize);
    }
    let Doors { welcome, agent, control } = doors;
    // Its guest has called once, and is called now.
    let devices = devices(Vec::new(), [welcome, agent, control], disk)?;
    let mut machine = snapshot.restore_in(machine, hypervisor, contents, devices)?;
    machine.confine_threads(confine_thread);
    Ok(machine.go(WITHOUT_END)?.ended()?)
}

/// In the order in which they stand in each machine: one that goes on finds what was there before.
fn devices<const N: usize>(
    called: Vec<Door>,
    callers: [UnixStream; N],
    disk: Option<File>,
) -> Result<Vec<Box<dyn Device>>, NoMachine> {
    let mut wire = Vsock::new(GUEST, None, called).map_err(NoMachine::Wire)?;
    for caller in callers {
        wire.admit(caller).map_err(NoMachine::Wire)?;
    }
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(Entropy), Box::new(wire)];
    if let Some(disk) = disk {
        devices.push(Box::new(Block::new(disk)?));
    }
    Ok(devices)
}

fn confine_thread() -> io::Result<()> {
    Filter::MACHINE.install().map_err(io::Error::other)
}
