//! A guest in its machine, and its host.

#![expect(clippy::print_stdout, reason = "a test that was skipped says so, and how long it took is told")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firebox_cell::View;
use firebox_guest::{INTRODUCTION, Introduction, RENEWAL, Renewal};
use firebox_image::Initramfs;
use firebox_vmm::virtio::{Block, Device, Door, Entropy, Vsock};
use firebox_vmm::{
    Ending, Hypervisor, Linux, Machine, MemorySize, Pauser, Probe, Ran, Settings, Snapshot, Stopped, probe,
};
use firebox_wire::warden::{CellReply, CellRequest, MESSAGE_BYTES, Message};
use tempfile::{NamedTempFile, TempDir};

use crate::beginning::{Beginning, beginning};
use crate::image;

static AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/firebox-agent"));

const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1";
/// Longer than anything takes.
const PLENTY: Duration = Duration::from_secs(60);
const GUESTS_NUMBER: u32 = 3;

/// What a guest finds.
pub(crate) struct Parts {
    pub(crate) disk: Option<File>,
    /// Whether it can call its host.
    pub(crate) has_door: bool,
    /// Files that are in its archive instead of others.
    pub(crate) instead: Vec<(&'static str, &'static str)>,
}

impl Parts {
    pub(crate) fn usual() -> Parts {
        Parts { disk: Some(image::busybox()), has_door: true, instead: Vec::new() }
    }
}

/// It runs.
pub(crate) struct Guest {
    host: UnixStream,
    directory: TempDir,
    disk: Option<File>,
    pauser: Pauser,
    /// Until its end is heard of.
    machine: Option<JoinHandle<Stopped>>,
    begun: Instant,
}

/// It was frozen.
pub(crate) struct Frozen {
    snapshot: Vec<u8>,
    memory: NamedTempFile,
    disk: Option<File>,
}

impl Guest {
    /// None where it cannot be had, which is said.
    pub(crate) fn start(test: &str, parts: Parts) -> Option<Guest> {
        if let Probe::Emulated(speed) = probe() {
            println!("skipped: {test}: KVM emulates a guest's kernel here, at {:?} for each instruction", speed.kernel);
            return None;
        }
        let hypervisor = match Hypervisor::open() {
            Ok(hypervisor) => hypervisor,
            Err(why) => {
                println!("skipped: {test}: {why}");
                return None;
            }
        };
        let beginning = beginning(test)?;
        let Parts { disk, has_door, instead } = parts;
        let (host, door) = UnixStream::pair().unwrap();
        let doors = if has_door { vec![Door { port: INTRODUCTION, stream: door }] } else { Vec::new() };
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { memory: MemorySize::mib(256).unwrap(), cpus: 1 };
        let mut machine = Machine::new(&hypervisor, settings).unwrap();
        devices(&directory, disk.as_ref(), doors)
            .into_iter()
            .for_each(|device| _ = machine.add_virtio(device).unwrap());
        let start = machine.load_linux(linux(beginning, &instead)).unwrap();
        let pauser = machine.pauser();
        let run = move || machine.run(&start, PLENTY).unwrap();
        Some(Guest::running(host, directory, disk, pauser, run))
    }

    fn running(
        host: UnixStream,
        directory: TempDir,
        disk: Option<File>,
        pauser: Pauser,
        run: impl FnOnce() -> Stopped + Send + 'static,
    ) -> Guest {
        host.set_read_timeout(Some(PLENTY)).unwrap();
        Guest { host, directory, disk, pauser, machine: Some(std::thread::spawn(run)), begun: Instant::now() }
    }

    /// Freezes it. Nobody may be connected to it.
    pub(crate) fn freeze(mut self) -> Frozen {
        self.pauser.pause();
        let Stopped::Paused(paused) = self.machine.take().unwrap().join().unwrap() else { panic!("it has ended") };
        let memory = NamedTempFile::new().unwrap();
        let snapshot = paused.save(&Hypervisor::open().unwrap(), memory.as_file()).unwrap().encode();
        Frozen { snapshot, memory, disk: self.disk.take() }
    }

    /// Tells it what its cell shows, and that firebox's agent lives there.
    pub(crate) fn introduce(&mut self, view: View) {
        self.say(&Introduction { agent: AGENT.to_vec(), view }.encode());
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.host.write_all(bytes).unwrap();
    }

    pub(crate) fn hang_up(&self) {
        self.host.shutdown(Shutdown::Write).unwrap();
    }

    /// All that it says to its introduction.
    pub(crate) fn answer(&mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        self.host.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Calls one of its ports.
    pub(crate) fn call(&self, port: u32) -> UnixStream {
        let mut caller = UnixStream::connect(self.directory.path().join("machine")).unwrap();
        caller.set_read_timeout(Some(PLENTY)).unwrap();
        writeln!(caller, "CONNECT {port}").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            let mut byte = [0];
            caller.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        assert!(answer.starts_with(b"OK "), "{}", String::from_utf8_lossy(&answer));
        caller
    }

    /// What it answers to a renewal.
    pub(crate) fn renew(&self, renewal: &Renewal) -> Vec<u8> {
        let mut caller = self.call(RENEWAL);
        caller.write_all(&renewal.encode()).unwrap();
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).unwrap();
        answer
    }

    /// It has switched itself off. What it said before on its serial port, but for what its kernel had to say.
    pub(crate) fn last_words(mut self) -> String {
        let Ran { ending, log } = self.machine.take().unwrap().join().unwrap().ended().unwrap();
        let words = String::from_utf8_lossy(&log.bytes()).replace("\r\n", "\n");
        let last = words.lines().next_back().unwrap_or_default();
        println!("from its first instruction to its end: {:?}; by its own clock: {last}", self.begun.elapsed());
        assert_eq!(ending, Ending::PoweredOff, "{words}");
        words.lines().filter(|line| !line.starts_with('[')).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Guest {
    /// Of a test that failed, what the guest said tells more.
    fn drop(&mut self) {
        if let Some(Stopped::Ended(ran)) = self.machine.take().and_then(|machine| machine.join().ok()) {
            println!("{}\n{}", String::from_utf8_lossy(&ran.log.bytes()), ran.ending);
        }
    }
}

impl Frozen {
    /// One more that goes on from there, by itself.
    pub(crate) fn clone(&self) -> Guest {
        let directory = tempfile::tempdir().unwrap();
        let devices = devices(&directory, self.disk.as_ref(), Vec::new());
        let (snapshot, memory) = (Snapshot::decode(&self.snapshot).unwrap(), File::open(self.memory.path()).unwrap());
        let prepared = snapshot.restore(&Hypervisor::open().unwrap(), memory, devices).unwrap();
        let (host, _) = UnixStream::pair().unwrap();
        let disk = self.disk.as_ref().map(|disk| disk.try_clone().unwrap());
        Guest::running(host, directory, disk, prepared.pauser(), move || prepared.go(PLENTY).unwrap())
    }
}

/// What a machine has in it, with a socket in that directory by which to call its guest.
fn devices(directory: &TempDir, disk: Option<&File>, doors: Vec<Door>) -> Vec<Box<dyn Device>> {
    let listener = UnixListener::bind(directory.path().join("machine")).unwrap();
    let disk = disk.map(|disk| Block::new(disk.try_clone().unwrap()).unwrap());
    let wire = Vsock::new(GUESTS_NUMBER, Some(listener), doors).unwrap();
    let mut devices: Vec<Box<dyn Device>> = vec![Box::new(Entropy)];
    devices.extend(disk.map(|disk| Box::new(disk) as Box<dyn Device>));
    devices.push(Box::new(wire));
    devices
}

fn linux(beginning: &Beginning, instead: &[(&str, &str)]) -> Linux<'static> {
    let file = |parts: &[&[u8]]| {
        let mut file = tempfile::tempfile().unwrap();
        parts.iter().for_each(|part| file.write_all(part).unwrap());
        file
    };
    // A kernel reads one archive behind the other, and the last file of a name counts.
    let mut archive = Initramfs::new();
    instead.iter().for_each(|(name, content)| archive.file(name, 0o644, content.as_bytes()));
    let initramfs = file(&[&beginning.initramfs, &archive.finish()]);
    Linux { kernel: file(&[&beginning.kernel]), command_line: COMMAND_LINE, initramfs: Some(initramfs) }
}

/// A question about a cell, and its answer.
#[track_caller]
pub(crate) fn ask(control: &mut UnixStream, request: &CellRequest) -> CellReply {
    control.write_all(&request.encode()).unwrap();
    let mut reply = [0; MESSAGE_BYTES];
    control.read_exact(&mut reply).unwrap();
    CellReply::decode(&reply).unwrap()
}
