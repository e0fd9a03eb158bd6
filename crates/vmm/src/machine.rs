//! A machine: made, given a program, and run to its end or until it is paused.
//!
//! ```text
//! new --load--> loaded --run--> a thread for each processor --> the first that ends, or the time limit --> ended
//!                                  ^                       '--> somebody asks for it --> paused --> saved
//!                                  '---------------- resume -------------------------------'  ^
//!                                                                          restored ----------'
//! ```
//!
//! Whoever calls [`Machine::run`] waits and looks now and then whether anything can still happen in there. Besides there are the
//! processors' threads, and one for each device that something can happen to on the host's side. When it returns, none of them is left: a
//! machine that is paused is at rest by its type, since it is in one hand.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kvm_ioctls::VmFd;
use vm_memory::{Bytes, GuestAddress};

use crate::arch::{self, BootError, Chips, Cpus, Linux, SetupError, Start, layout};
use crate::bus::{Bus, BusDevice, Taken};
use crate::ending::Ending;
use crate::generation::{Generation, GenerationError};
use crate::hypervisor::Hypervisor;
use crate::interrupt::{Line, LineError};
use crate::memory::{Memory, MemoryError, MemorySize};
use crate::paused::{Paused, Stopped};
use crate::pauser::Pauser;
use crate::serial::{LogRing, SerialPort};
use crate::sys::{Cpu, Vm};
use crate::threads::{Stop, Threads, Told, last_word};
use crate::virtio::{Device, Transport};
use crate::wakers::Wakers;

/// What a machine is to have.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How much memory.
    pub memory: MemorySize,
    /// How many processors: 1 to [`Settings::MOST_CPUS`].
    pub cpus: u8,
}

impl Settings {
    /// More than any limit of a job.
    pub const MOST_CPUS: u8 = 32;
}

/// A machine that does not run.
pub struct Machine {
    // Before the memory's mapping goes, all that runs in it has to: `Cpu` and `Vm` see to that themselves.
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) kind: Cpus,
    /// Of its memory.
    pub(crate) size: MemorySize,
    pub(crate) vm: Vm,
    pub(crate) chips: Chips,
    /// Virtio devices, in the order in which they stand.
    pub(crate) devices: Vec<Arc<Mutex<Transport>>>,
    /// Those that something can happen to outside, and how they are told.
    woken: Vec<(Arc<Mutex<Transport>>, Arc<OwnedFd>)>,
    ports: Bus,
    windows: Bus,
    pub(crate) serial: Arc<Mutex<SerialPort>>,
    /// Where there is a Linux, and so a place for it.
    pub(crate) generation: Option<Generation>,
    pub(crate) log: Arc<Mutex<LogRing>>,
    confine: Confine,
    pauser: Pauser,
}

/// What each thread that has to do with the guest does to itself before it has.
pub(crate) type Confine = fn() -> io::Result<()>;

/// What became of a machine.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub ending: Ending,
    /// What it said on its serial port.
    pub log: LogRing,
}

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// No machine has so many processors.
    #[error("a machine cannot have {0} processors: 1 to {most} are possible", most = Settings::MOST_CPUS)]
    Cpus(u8),
    /// Its memory is not to be had.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// KVM refused a step.
    #[error("KVM refuses to {step}: {source}")]
    Refused {
        /// Which step.
        step: &'static str,
        /// What it said.
        source: kvm_ioctls::Error,
    },
    /// A processor could not be made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An interrupt could not be connected.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The host gives no descriptor for a device to be woken by.
    #[error("the host gives no descriptor to wake a device by: {0}")]
    Waker(std::io::Error),
    /// Two devices were to stand in one place.
    #[error(transparent)]
    Taken(#[from] Taken),
}

/// Why something was not put into a guest's memory.
#[derive(Debug, thiserror::Error)]
#[error("{length} bytes at {address:#x} are not all within the guest's memory")]
pub struct LoadError {
    address: u64,
    length: usize,
}

/// Why a machine could not run on. Says nothing about the guest.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its first processor could not be made to begin.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A thread could not be confined, so it met no guest.
    #[error("a thread of the machine cannot be confined: {0}")]
    Confine(io::Error),
    /// The host gives no thread.
    #[error("the host gives no thread for a virtual processor or a device: {0}")]
    Thread(std::io::Error),
    /// KVM does not let a processor be stopped, so it was not started.
    #[error("KVM refuses to let a virtual processor be stopped: {0}")]
    Signal(kvm_ioctls::Error),
    /// KVM does not enter the guest.
    #[error("KVM does not run the guest: {0}")]
    Enter(kvm_ioctls::Error),
    /// KVM does not tell what a processor does.
    #[error("KVM does not tell what a virtual processor waits for: {0}")]
    Look(kvm_ioctls::Error),
    /// Every thread has ended, and none said how.
    #[error("the threads of all virtual processors are gone")]
    Gone,
    /// KVM does not take the state of the chips.
    #[error("KVM refuses the state of the interrupt controllers or of its clock: {0}")]
    Chips(kvm_ioctls::Error),
    /// Its guest could not be told that it is in another machine.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// It was paused, where it was to run to its end.
    #[error("the machine was paused, and was to run to its end")]
    Paused,
}

impl Machine {
    /// A machine with memory, processors, interrupt controllers and the devices that each has, and nothing in its memory.
    pub fn new(hypervisor: &Hypervisor, settings: Settings) -> Result<Machine, MachineError> {
        let Settings { memory, cpus } = settings;
        if !(1..=Settings::MOST_CPUS).contains(&cpus) {
            return Err(MachineError::Cpus(cpus));
        }
        let vm = hypervisor.kvm().create_vm();
        let kind = Cpus::new(hypervisor, cpus)?;
        let mut machine = Machine::without_processors(vm, kind, memory, memory.map()?)?;
        for number in 0..cpus {
            let cpu = machine.kind.make(&machine.vm, number)?;
            machine.cpus.push(cpu);
        }
        Ok(machine)
    }

    /// All but the processors, which are to be of this kind.
    pub(crate) fn without_processors(
        vm: Result<VmFd, kvm_ioctls::Error>,
        kind: Cpus,
        size: MemorySize,
        memory: Memory,
    ) -> Result<Machine, MachineError> {
        let refused = |step| move |source| MachineError::Refused { step, source };
        let vm = vm.map_err(refused("make a virtual machine"))?;
        let vm = Vm::new(vm, memory).map_err(refused("take the memory of a virtual machine"))?;
        let chips = Chips::install(&vm).map_err(refused("make interrupt controllers"))?;
        let log = Arc::new(Mutex::new(LogRing::new()));
        let line = chips.line(&vm, layout::SERIAL_INTERRUPT)?;
        let serial = Arc::new(Mutex::new(SerialPort::new(line, log.clone())));
        Ok(Machine {
            size,
            cpus: Vec::new(),
            kind,
            vm,
            chips,
            devices: Vec::new(),
            woken: Vec::new(),
            ports: arch::fixed_devices(serial.clone())?,
            windows: Bus::default(),
            serial,
            generation: None,
            log,
            confine: || Ok(()),
            pauser: Pauser::default(),
        })
    }

    /// The guest's memory.
    pub fn memory(&self) -> &Memory {
        self.vm.memory()
    }

    /// Puts bytes into the guest's memory.
    pub fn load(&self, address: u64, bytes: &[u8]) -> Result<(), LoadError> {
        let load = self.memory().write_slice(bytes, GuestAddress(address));
        load.map_err(|_| LoadError { address, length: bytes.len() })
    }

    /// Puts a Linux into the guest's memory, with all that it has to know about the machine. Devices that are added later it does not
    /// hear of.
    pub fn load_linux(&mut self, linux: Linux<'_>) -> Result<Start, BootError> {
        let cpus = u8::try_from(self.cpus.len()).unwrap_or(Settings::MOST_CPUS);
        let start = arch::load(self.memory(), cpus, self.count_devices(), linux)?;
        let generation = match self.generation.take() {
            Some(generation) => generation,
            None => self.connect_generation()?,
        };
        generation.begin(self.memory())?;
        self.generation = Some(generation);
        Ok(start)
    }

    /// What its guest hears by that it is in another machine.
    pub(crate) fn connect_generation(&self) -> Result<Generation, GenerationError> {
        Ok(Generation::new(self.chips.line(&self.vm, layout::GENERATION_INTERRUPT)?))
    }

    /// Puts a device at ports.
    pub fn add_ports(&mut self, range: Range<u64>, device: Arc<Mutex<dyn BusDevice>>) -> Result<(), Taken> {
        self.ports.add(range, device)
    }

    /// Gives it a virtio device, and tells where the guest finds its registers: devices stand in the order in which they come, each
    /// with the next window and the next interrupt.
    pub fn add_virtio(&mut self, device: Box<dyn Device>) -> Result<u64, MachineError> {
        let line = self.next_line()?;
        let transport = Transport::new(device, self.memory().clone(), Box::new(line));
        self.add_transport(transport)
    }

    /// The interrupt of the next device.
    pub(crate) fn next_line(&self) -> Result<Line, LineError> {
        let number = self.count_devices();
        self.chips.line(&self.vm, layout::VIRTIO_INTERRUPT.saturating_add(number))
    }

    /// Puts the next device where the guest finds it.
    pub(crate) fn add_transport(&mut self, transport: Transport) -> Result<u64, MachineError> {
        let window = layout::virtio_window(self.count_devices());
        let start = window.start;
        let wakes =
            transport.wakes().map(|wakes| wakes.try_clone_to_owned()).transpose().map_err(MachineError::Waker)?;
        let transport = Arc::new(Mutex::new(transport));
        self.windows.add(window, transport.clone())?;
        self.woken.extend(wakes.map(|wakes| (transport.clone(), Arc::new(wakes))));
        self.devices.push(transport);
        Ok(start)
    }

    fn count_devices(&self) -> u32 {
        u32::try_from(self.devices.len()).unwrap_or(u32::MAX)
    }

    /// Has each thread that runs a processor or wakes a device call this first: none of them opens anything, maps a program or starts anybody from
    /// then on, so it can be confined to that.
    pub fn confine_threads(&mut self, confine: fn() -> io::Result<()>) {
        self.confine = confine;
    }

    /// Who can ask it to pause.
    pub fn pauser(&self) -> Pauser {
        self.pauser.clone()
    }

    /// Runs it to its end, for as long as it may, or until it is asked to pause.
    pub fn run(self, start: &Start, limit: Duration) -> Result<Stopped, RunError> {
        if let Some(first) = self.cpus.first() {
            self.kind.begin(first, self.vm.memory(), start)?;
        }
        self.go(limit, |_| ())
    }

    /// Lets its processors run on from where they are. Before they do, this is done with each device that something can happen to outside, in the thread that looks
    /// after it from then on: a device reads what its guest has written, and nobody does that who is not confined.
    pub(crate) fn go(mut self, limit: Duration, before: fn(&mut Transport)) -> Result<Stopped, RunError> {
        let (told, hear) = channel();
        if !self.pauser.begin(told.clone()) {
            return Ok(Stopped::Paused(Paused::new(self)));
        }
        let mut wakers = Wakers::new().map_err(RunError::Thread)?;
        for (device, wakes) in &self.woken {
            let (told, confine) = (told.clone(), self.confine);
            // Without it nothing would come to the guest any more, and it would wait for ever.
            let confined =
                move || confine().map_err(|error| _ = told.send(Told::Failed(RunError::Confine(error)))).is_ok();
            wakers.start(device.clone(), wakes.clone(), confined, before).map_err(RunError::Thread)?;
        }
        wakers.have_begun();
        let mut threads = Threads::default();
        for cpu in self.cpus.drain(..) {
            threads.start(cpu, &self.ports, &self.windows, self.confine, &told)?;
        }
        let stop = threads.wait(&hear, limit);
        let cpus = threads.stop();
        drop(wakers); // the log and all devices are at rest when nobody runs any more
        self.pauser.end();
        let ending = match stop? {
            Stop::Ended(ending) => Some(ending),
            Stop::Pause => last_word(&hear)?,
        };
        self.cpus = cpus?;
        Ok(match ending {
            Some(ending) => Stopped::Ended(Ran { ending, log: self.take_log() }),
            None => Stopped::Paused(Paused::new(self)),
        })
    }

    fn take_log(&self) -> LogRing {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
