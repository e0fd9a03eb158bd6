//! Guests of a few instructions on KVM that drive virtio devices: registers through real exits, interrupts through real chips.

mod kit;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};

use firebox_vmm::virtio::{Block, Device, Entropy, Vsock};
use firebox_vmm::{Bytes, Ending, GuestAddress, Machine, Ran, layout};
use kit::{Assembler, PLENTY};

const TABLE: u64 = 0x1_0000;
const AVAILABLE: u64 = 0x1_1000;
const USED: u64 = 0x1_2000;
const HEADER: u64 = 0x2_0000;
const ANSWER: u64 = 0x2_0100;
const DATA: u64 = 0x2_1000;

/// Where the guest notes why it was interrupted.
const NOTE: u64 = 0x3_0000;
const INTERRUPT_TABLE: u64 = 0x3_1000;
const INTERRUPT_TABLE_REGISTER: u64 = 0x3_2000;
const HANDLER: u64 = layout::PROGRAM + 0x1000;
const VECTOR: u8 = 0x30;

const LOCAL_APIC: u64 = 0xFEE0_0000;
const IO_APIC: u64 = 0xFEC0_0000;

/// The whole way from a reset to a device that works.
fn set_up(window: u64) -> Assembler {
    let registers = [
        (0x70, 0),
        (0x70, 1),
        (0x70, 3),
        (0x24, 1),
        (0x20, 1),
        (0x70, 0xB),
        (0x30, 0),
        (0x38, 8),
        (0x80, TABLE as u32),
        (0x90, AVAILABLE as u32),
        (0xA0, USED as u32),
        (0x44, 1),
        (0x70, 0xF),
    ];
    registers.into_iter().fold(Assembler::new(), |code, (register, value)| code.store32(window + register, value))
}

/// Lets the first device's interrupt come, at `VECTOR`, and from one chip: the two old controllers hear of it as well, and are told to
/// keep silent, as every kernel does.
fn hear_interrupts(code: Assembler) -> Assembler {
    let entry = 0x10 + 2 * layout::VIRTIO_INTERRUPT;
    code.load_interrupt_table(INTERRUPT_TABLE_REGISTER)
        .out8(0x21, 0xFF)
        .out8(0xA1, 0xFF)
        .store32(LOCAL_APIC + 0xF0, 0x1FF)
        .store32(IO_APIC, entry)
        .store32(IO_APIC + 0x10, VECTOR.into())
        .store32(IO_APIC, entry + 1)
        .store32(IO_APIC + 0x10, 0)
}

/// A machine with one device, its handler of interrupts, and one request in its queue.
fn machine(test: &str, device: Box<dyn Device>, request: &[(u64, u32, u16)], program: &Assembler) -> Option<Machine> {
    let hypervisor = kit::hypervisor(test)?;
    let mut machine = kit::machine(&hypervisor, 1, program);
    assert_eq!(machine.add_virtio(device).unwrap(), layout::VIRTIO);
    let handler = Assembler::new()
        .copy32(layout::VIRTIO + 0x60, NOTE)
        .store32(layout::VIRTIO + 0x64, 1)
        .store32(LOCAL_APIC + 0xB0, 0)
        .return_from_interrupt();
    machine.load(HANDLER, handler.code()).unwrap();
    let [a, b, c, d, ..] = HANDLER.to_le_bytes();
    let gate = [a, b, 0x10, 0, 0, 0x8E, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    machine.load(INTERRUPT_TABLE + 16 * u64::from(VECTOR), &gate).unwrap();
    let register = [0xFFF_u16.to_le_bytes().as_slice(), &INTERRUPT_TABLE.to_le_bytes()].concat();
    machine.load(INTERRUPT_TABLE_REGISTER, &register).unwrap();
    for (place, (address, length, flags)) in (0..).zip(request) {
        let next: u16 = place + 1;
        let flags = flags | u16::from(usize::from(next) < request.len());
        let mut bytes = [address.to_le_bytes().as_slice(), &length.to_le_bytes()].concat();
        bytes.extend([flags.to_le_bytes(), next.to_le_bytes()].concat());
        machine.load(TABLE + u64::from(place) * 16, &bytes).unwrap();
    }
    machine.load(AVAILABLE + 2, &1_u16.to_le_bytes()).unwrap();
    Some(machine)
}

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
