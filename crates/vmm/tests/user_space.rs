//! Debian's kernel in a machine, up to user space: its first process loads the drivers of all devices, and uses each of them.
//!
//! Where KVM emulates a guest's kernel that would take minutes, if it got there at all: there it is skipped, and says so. The lab
//! (`cargo xtask lab`) is where it always runs.

#![expect(clippy::print_stdout, reason = "how long it took is told")]

mod kit;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use firebox_vmm::virtio::{Block, Door, Entropy, Vsock};
use firebox_vmm::{Ending, Hypervisor, Linux, Machine, MemorySize, Settings, Start, unpack};
use kit::PLENTY;
use kit::debian::Debian;
use kit::first_process::FirstProcess;
use kit::initramfs::Initramfs;

const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1";
const PORT: u32 = 5000;
const ON_THE_DISK: &str = "what is on the disk";
const QUESTION: &str = "is anybody there?";
const ANSWER: &str = "the host is here";

/// A machine with one device of each kind, and the host's end of its wire.
fn machine(hypervisor: &Hypervisor, cpus: u8) -> (Machine, UnixStream) {
    let settings = Settings { memory: MemorySize::mib(256).unwrap(), cpus };
    let mut machine = Machine::new(hypervisor, settings).unwrap();
    let (host, door) = UnixStream::pair().unwrap();
    let wire = Vsock::new(3, None, vec![Door { port: PORT, stream: door }]).unwrap();
    machine.add_virtio(Box::new(Entropy)).unwrap();
    machine.add_virtio(Box::new(disk())).unwrap();
    machine.add_virtio(Box::new(wire)).unwrap();
    (machine, host)
}

fn disk() -> Block {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut sector = [0; 512];
    sector[..ON_THE_DISK.len()].copy_from_slice(ON_THE_DISK.as_bytes());
    file.write_all(&sector).unwrap();
    Block::new(File::open(file.path()).unwrap()).unwrap()
}

/// What a kernel begins with: the modules that it needs to use the devices, and a process that does.
fn initramfs(debian: &Debian) -> Vec<u8> {
    let modules = debian.modules(&["virtio_mmio", "virtio_blk", "virtio_rng", "vmw_vsock_virtio_transport"]);
    let mut files = Initramfs::default().folder("dev").folder("sys");
    let mut first = FirstProcess::new().say("in user space\n").mount("devtmpfs", "dev").mount("sysfs", "sys");
    first = first.say("processors: ").say_file("sys/devices/system/cpu/online", 8);
    for module in modules {
        let place = format!("modules/{}", module.name);
        files = files.file(&place, &module.contents);
        first = first.load_module(&place);
    }
    first = first.say_file("dev/vda", ON_THE_DISK.len() as u64);
    first = first.read("dev/hwrng", 16).ask_host(PORT, QUESTION);
    files.file("init", &first.reset().program()).bytes()
}

fn load(machine: &mut Machine, debian: &Debian, initramfs: &[u8]) -> Start {
    let file = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let kernel = file(&unpack(&debian.kernel).unwrap());
    let linux = Linux { kernel, command_line: COMMAND_LINE, initramfs: Some(file(initramfs)) };
    machine.load_linux(linux).unwrap()
}

#[test]
fn debians_kernel_comes_to_user_space_and_drives_every_device() {
    const NAME: &str = "debians_kernel_comes_to_user_space_and_drives_every_device";
    check(NAME, 1, "processors: 0\r\n");
}

#[test]
fn debians_kernel_wakes_its_second_processor() {
    check("debians_kernel_wakes_its_second_processor", 2, "processors: 0-1\r\n");
}

#[test]
fn a_kernel_that_panics_ends_its_machine_and_says_why() {
    const NAME: &str = "a_kernel_that_panics_ends_its_machine_and_says_why";
    let Some(hypervisor) = kit::hypervisor_at_speed(NAME) else { return };
    let Some(debian) = Debian::find(NAME) else { return };
    let (mut machine, _host) = machine(&hypervisor, 1);
    // It ends, which a first process may not.
    let first = FirstProcess::new().say("in user space\n").read("not/there", 1).program();
    let start = load(&mut machine, &debian, &Initramfs::default().file("init", &first).bytes());
    let ran = machine.run(&start, PLENTY).unwrap().ended().unwrap();
    let said = String::from_utf8_lossy(&ran.log.bytes()).into_owned();
    assert_eq!(ran.ending, Ending::Reset, "{said}");
    for words in ["in user space", "Kernel panic - not syncing: Attempted to kill init! exitcode="] {
        assert!(said.contains(words), "it has not said `{words}`, but:\n{said}");
    }
}

fn check(test: &str, cpus: u8, processors: &str) {
    let Some(hypervisor) = kit::hypervisor_at_speed(test) else { return };
    let Some(debian) = Debian::find(test) else { return };
    let (mut machine, mut host) = machine(&hypervisor, cpus);
    let start = load(&mut machine, &debian, &initramfs(&debian));
    let answers = std::thread::spawn(move || {
        let mut heard = [0; QUESTION.len()];
        let heard = host.read_exact(&mut heard).map(|()| heard);
        // Where this fails, the guest is gone, and what it said tells more.
        _ = host.write_all(ANSWER.as_bytes());
        heard.ok()
    });
    let begun = Instant::now();

    let ran = machine.run(&start, PLENTY).unwrap().ended().unwrap();

    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&ran.log.bytes()).into_owned();
    assert_eq!(ran.ending, Ending::Reset, "{said}");
    for words in ["in user space", processors, ON_THE_DISK, ANSWER] {
        assert!(said.contains(words), "it has not said `{words}`, but:\n{said}");
    }
    assert_eq!(answers.join().unwrap().as_ref().map(<[u8; _]>::as_slice), Some(QUESTION.as_bytes()));
    println!("from its first instruction to its end, with {cpus}: {took:?}");
}
