//! Guests of a few instructions on KVM that drive virtio devices: registers through real exits, interrupts through real chips.

mod kit;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};

use firebox_vmm::virtio::{Block, Entropy, Vsock};
use firebox_vmm::{Bytes, Ending, GuestAddress, Ran, layout};
use kit::virtio_guest::{ANSWER, DATA, HEADER, NOTE, USED, hear_interrupts, machine, set_up};
use kit::{Assembler, PLENTY};

fn read(machine_memory: &firebox_vmm::Memory, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    machine_memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
    bytes
}

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.log.bytes()).into_owned()
}

fn disk() -> (tempfile::NamedTempFile, Block) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), (0..4_u8).flat_map(|number| [number + 1; 512]).collect::<Vec<u8>>()).unwrap();
    let block = Block::new(File::open(file.path()).unwrap()).unwrap();
    (file, block)
}

#[test]
fn a_guest_reads_a_disk_and_is_interrupted_when_it_has_been_read() {
    const NAME: &str = "a_guest_reads_a_disk_and_is_interrupted_when_it_has_been_read";
    let (_file, block) = disk();
    let program = hear_interrupts(set_up(layout::VIRTIO)).store32(layout::VIRTIO + 0x50, 0).wait_for_interrupt();
    let request = [(HEADER, 16, 0), (DATA, 512, 2), (ANSWER, 1, 2)];
    let Some(machine) = machine(NAME, Box::new(block), &request, &program.say("woken").reset()) else { return };
    machine.load(HEADER + 8, &2_u64.to_le_bytes()).unwrap();
    machine.load(ANSWER, &[0xEE]).unwrap();
    let memory = machine.memory().clone();
    let ran = kit::run(machine, PLENTY);
    assert_eq!((ran.ending, said(&ran).as_str()), (Ending::Reset, "woken"));
    assert_eq!(read(&memory, DATA, 512), [3; 512]);
    assert_eq!((read(&memory, ANSWER, 1), read(&memory, NOTE, 4)), (vec![0], vec![1, 0, 0, 0]));
    assert_eq!(read(&memory, USED + 2, 2), [1, 0]);
}

#[test]
fn a_guest_that_writes_to_its_disk_is_refused() {
    const NAME: &str = "a_guest_that_writes_to_its_disk_is_refused";
    let (file, block) = disk();
    let before = fs::read(file.path()).unwrap();
    let program = set_up(layout::VIRTIO).store32(layout::VIRTIO + 0x50, 0).reset();
    let Some(machine) = machine(NAME, Box::new(block), &[(HEADER, 16, 0), (DATA, 512, 0), (ANSWER, 1, 2)], &program)
    else {
        return;
    };
    machine.load(HEADER, &[1, 0, 0, 0]).unwrap();
    let memory = machine.memory().clone();
    assert_eq!(kit::run(machine, PLENTY).ending, Ending::Reset);
    assert_eq!(read(&memory, ANSWER, 1), [1]);
    assert_eq!(fs::read(file.path()).unwrap(), before);
}

#[test]
fn a_guest_gets_entropy() {
    const NAME: &str = "a_guest_gets_entropy";
    let program = set_up(layout::VIRTIO).store32(layout::VIRTIO + 0x50, 0).reset();
    let Some(machine) = machine(NAME, Box::new(Entropy), &[(DATA, 64, 2)], &program) else { return };
    let memory = machine.memory().clone();
    assert_eq!(kit::run(machine, PLENTY).ending, Ending::Reset);
    assert_ne!(read(&memory, DATA, 64), [0; 64]);
}

#[test]
fn a_guest_that_sleeps_is_woken_by_a_call_of_the_hosts() {
    const NAME: &str = "a_guest_that_sleeps_is_woken_by_a_call_of_the_hosts";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wire");
    let wire = Vsock::new(3, Some(UnixListener::bind(&path).unwrap()), Vec::new()).unwrap();
    // It says so when it has given its buffer, and sleeps.
    let program = hear_interrupts(set_up(layout::VIRTIO)).store32(layout::VIRTIO + 0x50, 0).wait_for_interrupt();
    let Some(machine) = machine(NAME, Box::new(wire), &[(DATA, 0x1000, 2)], &program.say("rung").reset()) else {
        return;
    };
    let memory = machine.memory().clone();
    let mut host = UnixStream::connect(&path).unwrap();
    let caller = std::thread::spawn(move || {
        // Late enough for the guest to sleep, mostly; it has to be woken however late that is.
        std::thread::sleep(std::time::Duration::from_millis(300));
        host.write_all(b"CONNECT 9\n").unwrap();
        host
    });
    let ran = kit::run(machine, PLENTY);
    drop(caller.join().unwrap());
    assert_eq!((ran.ending, said(&ran).as_str()), (Ending::Reset, "rung"));
    // From the host, to this guest, a request for its port.
    assert_eq!((read(&memory, DATA, 1), read(&memory, DATA + 8, 1)), (vec![2], vec![3]));
    assert_eq!((read(&memory, DATA + 20, 1), read(&memory, DATA + 30, 1)), (vec![9], vec![1]));
}

#[test]
fn a_guest_that_breaks_a_queue_loses_the_device_and_goes_on() {
    const NAME: &str = "a_guest_that_breaks_a_queue_loses_the_device_and_goes_on";
    let window = layout::VIRTIO;
    let program = set_up(window).store32(window + 0x50, 0).copy32(window + 0x70, NOTE).say("alive").reset();
    let Some(machine) = machine(NAME, Box::new(Entropy), &[(2 << 20, 1, 2)], &program) else { return };
    let memory = machine.memory().clone();
    let ran = kit::run(machine, PLENTY);
    assert_eq!((ran.ending, said(&ran).as_str()), (Ending::Reset, "alive"));
    assert_eq!(read(&memory, NOTE, 4), [0x4F, 0, 0, 0]);
}

#[test]
fn a_guest_that_looks_for_devices_finds_those_there_are() {
    const NAME: &str = "a_guest_that_looks_for_devices_finds_those_there_are";
    let window = |number: u64| layout::VIRTIO + number * layout::VIRTIO_WINDOW;
    let kinds = (0..3).fold(Assembler::new(), |code, number| code.copy32(window(number) + 8, NOTE + number * 4));
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let mut machine = kit::machine(&hypervisor, 1, &kinds.reset());
    assert_eq!(machine.add_virtio(Box::new(disk().1)).unwrap(), window(0));
    assert_eq!(machine.add_virtio(Box::new(Entropy)).unwrap(), window(1));
    let memory = machine.memory().clone();
    assert_eq!(kit::run(machine, PLENTY).ending, Ending::Reset);
    assert_eq!(read(&memory, NOTE, 12), [2, 0, 0, 0, 4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn a_machine_has_as_many_devices_as_it_has_interrupts() {
    const NAME: &str = "a_machine_has_as_many_devices_as_it_has_interrupts";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let mut machine = kit::machine(&hypervisor, 1, &Assembler::new());
    let count = (0..100).take_while(|_| machine.add_virtio(Box::new(Entropy)).is_ok()).count();
    assert_eq!(count, 24 - layout::VIRTIO_INTERRUPT as usize);
}
