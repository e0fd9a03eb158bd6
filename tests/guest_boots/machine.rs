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
use firebox_vmm::virtio::{Block, Door, Entropy, Vsock};
use firebox_vmm::{Ending, Hypervisor, Linux, Machine, MemorySize, Probe, Ran, Settings, probe};
use firebox_wire::warden::{CellReply, CellRequest, MESSAGE_BYTES, Message};

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
    directory: tempfile::TempDir,
    /// Until its end is heard of.
    machine: Option<JoinHandle<Ran>>,
    begun: Instant,
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
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("machine")).unwrap();
        let (host, door) = UnixStream::pair().unwrap();
        host.set_read_timeout(Some(PLENTY)).unwrap();
        let Parts { disk, has_door, instead } = parts;
        let doors = if has_door { vec![Door { port: INTRODUCTION, stream: door }] } else { Vec::new() };
        let settings = Settings { memory: MemorySize::mib(256).unwrap(), cpus: 1 };
        let mut machine = Machine::new(&hypervisor, settings).unwrap();
        machine.add_virtio(Box::new(Entropy)).unwrap();
        if let Some(disk) = disk {
            machine.add_virtio(Box::new(Block::new(disk).unwrap())).unwrap();
        }
        machine.add_virtio(Box::new(Vsock::new(GUESTS_NUMBER, Some(listener), doors).unwrap())).unwrap();
        let start = machine.load_linux(linux(beginning, &instead)).unwrap();
        let machine = std::thread::spawn(move || machine.run(&start, PLENTY).unwrap().ended().unwrap());
        Some(Guest { host, directory, machine: Some(machine), begun: Instant::now() })
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
        let Ran { ending, log } = self.machine.take().unwrap().join().unwrap();
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
        if let Some(ran) = self.machine.take().and_then(|machine| machine.join().ok()) {
            println!("{}\n{}", String::from_utf8_lossy(&ran.log.bytes()), ran.ending);
        }
    }
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
