//! Debian's kernel in a machine that is frozen in user space, and in clones of it that go on: with their own clocks, disks and connections.
//!
//! Where KVM emulates a guest's kernel this is skipped, and says so. The lab (`cargo xtask lab`) is where it always runs.

#![expect(clippy::print_stdout, reason = "how long it took is told")]

mod kit;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firebox_vmm::virtio::{Block, Device, Door, Entropy, Vsock};
use firebox_vmm::{Ending, Hypervisor, Linux, Machine, MemorySize, Pauser, Prepared, Ran, Settings, Stopped, unpack};
use kit::PLENTY;
use kit::counting::paused;
use kit::debian::Debian;
use kit::first_process::FirstProcess;
use kit::frozen::Frozen;
use kit::initramfs::Initramfs;
use kit::process::{alone, private_kib};

const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1";
const BEFORE: u32 = 5000;
const AFTER: u32 = 5001;
/// Where the guest listens, from before until after.
const GUESTS: u32 = 7000;
const CALL: &str = "the host calls";
const REPLY: &str = "the guest answers";
const ON_THE_DISK: &str = "what is on the disk";
const QUESTION: &str = "is anybody there?";
const ANSWER: &str = "the host is here";

/// Calls the host, hangs up, sleeps over the moment in which it is frozen, and then uses everything.
fn initramfs(debian: &Debian) -> Vec<u8> {
    let modules = debian.modules(&["virtio_mmio", "virtio_blk", "virtio_rng", "vmw_vsock_virtio_transport"]);
    let mut first = FirstProcess::new().mount("devtmpfs", "dev");
    let mut files = Initramfs::default().folder("dev").folder("modules");
    for module in modules {
        let place = format!("modules/{}", module.name);
        files = files.file(&place, &module.contents);
        first = first.load_module(&place);
    }
    first = first.listen(GUESTS).ask_host(BEFORE, QUESTION).hang_up().say("going to sleep\n").sleep(3).say("awake\n");
    first = first.say_file("dev/vda", ON_THE_DISK.len() as u64).read("dev/hwrng", 16);
    first = first.answer_host(REPLY).hang_up().ask_host(AFTER, QUESTION);
    files.file("init", &first.reset().program()).bytes()
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    File::open(file.path()).unwrap()
}

fn devices(doors: Vec<Door>, caller: UnixStream) -> Vec<Box<dyn Device>> {
    let mut sector = [0; 512];
    sector[..ON_THE_DISK.len()].copy_from_slice(ON_THE_DISK.as_bytes());
    let disk = Block::new(file(&sector)).unwrap();
    let mut wire = Vsock::new(3, None, doors).unwrap();
    wire.admit(caller).unwrap();
    vec![Box::new(Entropy), Box::new(disk), Box::new(wire)]
}

/// Calls the guest when it is told to, or at once: as early as can be, before the guest has run.
fn call(at: Option<Receiver<()>>) -> (UnixStream, JoinHandle<()>) {
    let (mut host, stream) = UnixStream::pair().unwrap();
    if at.is_none() {
        host.write_all(format!("CONNECT {GUESTS}\n").as_bytes()).unwrap();
    }
    let calls = std::thread::spawn(move || {
        if let Some(at) = at {
            at.recv().unwrap();
            host.write_all(format!("CONNECT {GUESTS}\n").as_bytes()).unwrap();
        }
        let mut heard = String::new();
        // Where this fails, what the guest said tells more.
        if host.write_all(CALL.as_bytes()).is_ok() {
            _ = host.read_to_string(&mut heard);
        }
        assert!(heard.starts_with("OK ") && heard.ends_with(REPLY), "{heard:?}");
    });
    (stream, calls)
}

/// Answers the guest there, and waits until it has hung up.
fn answer(port: u32) -> (Door, JoinHandle<()>) {
    let (mut host, stream) = UnixStream::pair().unwrap();
    let answers = std::thread::spawn(move || {
        let mut heard = [0; QUESTION.len()];
        // Where this fails, the guest is gone, and what it said tells more.
        if host.read_exact(&mut heard).is_ok() && host.write_all(ANSWER.as_bytes()).is_ok() {
            _ = host.read_to_end(&mut Vec::new());
        }
    });
    (Door { port, stream }, answers)
}

fn check_that_it_went_on(who: &str, stopped: Stopped) {
    let Ran { ending, log } = stopped.ended().unwrap();
    let said = String::from_utf8_lossy(&log.bytes()).into_owned();
    assert_eq!(ending, Ending::Reset, "{who}: {said}");
    for words in ["awake", ON_THE_DISK, CALL, ANSWER] {
        assert!(said.contains(words), "{who} has not said `{words}`, but:\n{said}");
    }
    for words in ["stuck for", "rcu: INFO", "unstable", "WARNING", "BUG:"] {
        assert!(!said.contains(words), "{who} has noticed something:\n{said}");
    }
}

fn check_that_it_takes_little_to_wait(hypervisor: &Hypervisor, frozen: &Frozen) {
    const CLONES: u64 = 8;
    const MOST_KIB: u64 = 5 << 10;
    let before = private_kib();
    let clones =
        (0..CLONES).map(|_| frozen.prepare_with(hypervisor, devices(Vec::new(), UnixStream::pair().unwrap().0)));
    let clones: Vec<Prepared> = clones.collect();
    let each = private_kib().saturating_sub(before) / CLONES;
    println!("of its own, each of {} clones has {each} KiB while it waits", clones.len());
    assert!(each < MOST_KIB, "{each} KiB");
}

fn check(test: &str, cpus: u8) {
    let _alone = alone();
    let Some(hypervisor) = kit::hypervisor_at_speed(test) else { return };
    let Some(debian) = Debian::find(test) else { return };
    let settings = Settings { memory: MemorySize::mib(256).unwrap(), cpus };
    let mut machine = Machine::new(&hypervisor, settings).unwrap();
    let (before, first_answer) = answer(BEFORE);
    let (after, last_answer) = answer(AFTER);
    let (late, at) = channel();
    let (caller, calls) = call(Some(at));
    devices(vec![before, after], caller).into_iter().for_each(|device| _ = machine.add_virtio(device).unwrap());
    let kernel = file(&unpack(&debian.kernel).unwrap());
    let linux = Linux { kernel, command_line: COMMAND_LINE, initramfs: Some(file(&initramfs(&debian))) };
    let start = machine.load_linux(linux).unwrap();
    let pauser: Pauser = machine.pauser();
    let asks = std::thread::spawn(move || {
        first_answer.join().unwrap();
        pauser.pause();
    });
    let original = paused(machine.run(&start, PLENTY).unwrap());
    asks.join().unwrap();

    let begun = Instant::now();
    let frozen = Frozen::of(&hypervisor, &original);
    println!("freezing took {:?}; its state has {} bytes", begun.elapsed(), frozen.bytes.len());
    check_that_it_takes_little_to_wait(&hypervisor, &frozen);
    // Longer than anybody in there sleeps: what they wait for is not in the past when they go on.
    std::thread::sleep(Duration::from_secs(4));
    for clone in ["the first clone", "the second clone"] {
        let ((door, answers), (caller, calls)) = (answer(AFTER), call(None));
        let begun = Instant::now();
        let prepared = frozen.prepare_with(&hypervisor, devices(vec![door], caller));
        let took = begun.elapsed();
        let begun = Instant::now();
        check_that_it_went_on(clone, prepared.go(PLENTY).unwrap());
        println!("{clone}: preparing took {took:?}, and it went on for {:?}", begun.elapsed());
        answers.join().unwrap();
        calls.join().unwrap();
    }
    late.send(()).unwrap();
    check_that_it_went_on("the original", original.resume(PLENTY).unwrap());
    last_answer.join().unwrap();
    calls.join().unwrap();
}

#[test]
fn debians_kernel_goes_on_in_clones() {
    check("debians_kernel_goes_on_in_clones", 1);
}

#[test]
fn debians_kernel_goes_on_in_clones_with_both_of_its_processors() {
    check("debians_kernel_goes_on_in_clones_with_both_of_its_processors", 2);
}
