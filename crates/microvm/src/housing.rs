//! What machines are to their warden.

use std::fs::File;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use firebox_cell::View;
use firebox_jail::{Enclosure, EnclosureLimits, Enclosures};
use firebox_job::{ByteSize, CellKind};
use firebox_monitor::Orders;
use firebox_vmm::{Hypervisor, MemorySize};
use firebox_warden::{Ends, Ground, Housing, Newborn, StartError, Warden, at};
use firebox_wire::warden::{Failure, Held, Measured, Stage, StepLimits};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

use crate::blueprint::{Blueprint, CONTENTS, DISK, PROGRAM};

/// What a monitor may take beyond its guest's memory and the tables for that: its own (5 MiB at most, which a test holds it to), and what KVM keeps
/// of the machine.
const OVERHEAD: ByteSize = ByteSize::mib(32);
/// The part of the guest's memory that tables for it may take: the host's and KVM's each have 8 bytes for each page of 4 KiB, and both twice as much where
/// processors without nested tables need some of their own.
const TABLES: u64 = 128;
/// Its threads besides those that run processors, with some to spare.
const OTHER_THREADS: u32 = 8;

const DEVICE: &str = "/dev/kvm";

/// Starts a warden that makes machines by these blueprints, each with this program as its monitor: [`MONITOR`](crate::MONITOR).
pub fn start(blueprints: &[Blueprint], monitor: &'static [u8]) -> Result<Warden, StartError> {
    let kvm = open_kvm()?;
    for Blueprint { memory, .. } in blueprints {
        MemorySize::bytes(memory.as_u64()).map_err(|error| StartError::Unfit(error.to_string()))?;
    }
    let views: Vec<View> = blueprints.iter().map(Blueprint::view).collect();
    let (enclosures, engine) = Enclosures::claim(&views, monitor)?;
    let machines = Machines { enclosures, kvm, blueprints: blueprints.to_vec() };
    Warden::start(machines, CellKind::MicroVm, Ground::Own, engine)
}

/// What the control group of a machine with so much memory holds.
pub fn with_overhead(memory: ByteSize) -> ByteSize {
    let memory = memory.as_u64();
    ByteSize::bytes(memory.saturating_add(memory / TABLES).saturating_add(OVERHEAD.as_u64()))
}

/// With the caller's rights. Monitors have none to open it with, and each is handed this.
fn open_kvm() -> Result<OwnedFd, StartError> {
    // It tells what is wrong with it, in words.
    Hypervisor::open().map_err(|none| StartError::Unfit(none.to_string()))?;
    let device = File::options().read(true).write(true).open(DEVICE);
    Ok(device.map_err(|source| StartError::Kernel { doing: "open KVM's device", source })?.into())
}

/// What is held for all machines.
struct Machines {
    enclosures: Enclosures,
    kvm: OwnedFd,
    blueprints: Vec<Blueprint>,
}

impl Housing for Machines {
    type House = Enclosure;

    fn move_in(&mut self) -> Result<(), Failure> {
        self.enclosures.move_in()
    }

    fn views(&self) -> usize {
        self.blueprints.len()
    }

    fn make(&mut self, view: usize, number: u32, ends: Ends) -> Result<Newborn<Enclosure>, Failure> {
        let blueprint = self.blueprints.get(view).ok_or(at(Stage::View)(Errno::NOENT))?;
        let Blueprint { memory, vcpus, ref disk, ref beginning } = *blueprint;
        let open = |inside: &str| self.enclosures.open(view, Path::new(inside));
        let (program, contents) = (open(PROGRAM)?, open(CONTENTS)?);
        let disk = disk.is_some().then(|| open(DISK)).transpose()?;
        // In the order of `firebox_monitor::Handed`.
        let handed =
            [self.kvm.as_fd(), program.as_fd(), contents.as_fd()].into_iter().chain(disk.as_ref().map(AsFd::as_fd));
        let handed: Vec<BorrowedFd<'_>> = handed.collect();
        let orders =
            Orders { memory: memory.as_u64(), cpus: vcpus.get(), has_disk: disk.is_some(), course: beginning.course() };
        let limits = EnclosureLimits {
            memory: with_overhead(memory).as_u64().saturating_add(beginning.written(memory).as_u64()),
            tasks: u32::from(vcpus.get()).saturating_add(OTHER_THREADS),
            cpus: NonZeroU32::from(vcpus),
        };
        self.enclosures.make(number, limits, ends, &handed, &orders.to_string())
    }

    /// What a machine is holds whatever runs in it: its memory, in which its files are, its tasks too, and its processors. The warden adds
    /// the time after which it ends. The guest holds each step.
    fn limit(&mut self, _machine: &mut Enclosure, _limits: &StepLimits) -> Result<Held, Failure> {
        Ok(Held { memory: true, tasks: true, cpu: true, disk: true })
    }

    /// What a step has used only its guest can tell.
    fn measure(&mut self, _machine: &mut Enclosure) -> Result<Measured, Failure> {
        Err(at(Stage::Measure)(Errno::OPNOTSUPP))
    }

    /// With the first process of a PID namespace goes all of it, and with the monitor its guest.
    fn end(&mut self, _machine: &mut Enclosure, pidfd: BorrowedFd<'_>) {
        // It can only fail when the process is gone.
        let _ = pidfd_send_signal(pidfd, Signal::KILL);
    }

    fn bury(&mut self, machine: Enclosure) -> Result<(), Failure> {
        self.enclosures.bury(machine)
    }

    fn release(self) {
        self.enclosures.release();
    }
}
