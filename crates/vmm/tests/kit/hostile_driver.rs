//! A driver that does what bytes tell it: they are read as accesses to registers, changes of the guest's memory, and requests. Property
//! tests and the fuzzer make them up; what one of them found once is kept as a seed of the fuzz target `devices`.
//!
//! What must be true is asserted on the way. Everything else that could go wrong is a panic, or an end that does not come.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use firebox_vmm::virtio::{Block, Device, Door, Entropy, Transport, Vsock};
use firebox_vmm::{BusDevice, Bytes, GuestAddress, Interrupt, Memory, MemorySize};

/// Of a script's first byte: the wire's guest is called.
const CALLED: u8 = 0x80;

/// Nobody hears it.
struct Mute;

impl Interrupt for Mute {
    fn raise(&self) {}
}

/// What is left of the bytes; zeros when nothing is.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let (now, later) = self.0.split_at(N.min(self.0.len()));
        bytes[..now.len()].copy_from_slice(now);
        self.0 = later;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// Mostly in the memory of the tests, sometimes at its end, and sometimes anywhere.
    fn address(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => u64::from(self.word()) << 16 | u64::from(self.half()),
            1 => (2 << 20) - u64::from(self.byte()),
            _ => u64::from(self.word() % (2 << 20)),
        }
    }
}

/// Does what the bytes say.
pub(crate) fn drive(script: &[u8]) {
    let mut script = Script(script);
    let (mut host, door) = UnixStream::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    let kind = script.byte();
    // As a monitor's: somebody is there who calls the guest. They may say what they like, since their end may be taken.
    let (mut caller, admitted) = UnixStream::pair().unwrap();
    caller.set_nonblocking(true).unwrap();
    let host_does = if kind & CALLED == 0 { 4 } else { 8 };
    let device: Box<dyn Device> = match kind % CALLED % 3 {
        0 => Box::new(Block::new(disk()).unwrap()),
        1 => Box::new(Entropy),
        _ => {
            let mut wire = Vsock::new(GUEST, None, vec![Door { port: PORT, stream: door }]).unwrap();
            if kind & CALLED != 0 {
                wire.admit(admitted).unwrap();
            }
            Box::new(wire)
        }
    };
    let is_wire = device.kind() == 19;
    let queues = device.queues().len() as u32;
    // New each time, so that what a script does depends on nothing but the script.
    let memory = MemorySize::LEAST.map().unwrap();
    let mut transport = Transport::new(device, memory.clone(), Box::new(Mute));
    let mut announced = [0_u16; 4];
    while !script.0.is_empty() {
        let was_ready = transport.is_ready();
        match script.byte() % 10 {
            0 => set(&mut transport, u64::from(script.byte() % 0x60) * 4, script.word()),
            1 => {
                let mut bytes = [0; 8];
                let width = usize::from(script.byte() % 9);
                transport.read(script.half().into(), &mut bytes[..width]);
            }
            2 => {
                let (address, bytes) = (script.address(), script.bytes::<16>());
                _ = memory.write_slice(&bytes, GuestAddress(address));
            }
            3 => {
                set_up(&mut transport, queues);
                assert!(transport.is_ready(), "a driver that keeps to the rules is not served");
                announced = [0; 4];
                _ = memory.write_slice(&[0; 0x6000], GuestAddress(RINGS));
            }
            4 => {
                let queue = u64::from(u32::from(script.byte()) % queues);
                let header = if is_wire { packet(&mut script) } else { disk_request(&mut script) };
                request(&mut script, &memory, queue, &header, &mut announced);
                set(&mut transport, 0x50, queue as u32);
            }
            5 => set(&mut transport, 0x50, script.byte().into()),
            6 => set(&mut transport, 0x70, script.byte().into()),
            8 => transport.wake(),
            // The host's side of the wire is no friend either: it sends, takes what there is, or goes away.
            9 => match script.byte() % host_does {
                0 => _ = host.shutdown(std::net::Shutdown::Both),
                1 => _ = host.read(&mut [0; 4096]),
                4 => _ = caller.write(format!("CONNECT {}\n", script.byte()).as_bytes()),
                5 => _ = caller.write(&script.bytes::<16>()),
                6 => _ = caller.read(&mut [0; 4096]),
                7 => _ = caller.shutdown(std::net::Shutdown::Both),
                _ => _ = host.write(&[b'h'; 5000][..usize::from(script.half() % 5000)]),
            },
            _ => {
                let (offset, bytes, width) = (script.half(), script.bytes::<8>(), usize::from(script.byte() % 9));
                assert!(transport.write(offset.into(), &bytes[..width]).is_continue());
            }
        }
        let mut status = [0; 4];
        transport.read(0x70, &mut status);
        assert_eq!(status[1..], [0, 0, 0], "bits of the status that nobody knows");
        let is_ready = status[0] == 0xF;
        assert_eq!(transport.is_ready(), is_ready);
        assert!(
            !was_ready || is_ready || status[0] & 0x40 != 0 || status[0] & 0x80 != 0 || status[0] == 0,
            "{status:?}"
        );
    }
}

/// Each queue's table, then its ring of what is available, then that of what is used.
const RINGS: u64 = 0x1_0000;
const RING: u64 = 0x2000;
const LENGTH: u16 = 16;

fn set(transport: &mut Transport, register: u64, value: u32) {
    assert!(transport.write(register, &value.to_le_bytes()).is_continue());
}

fn set_up(transport: &mut Transport, queues: u32) {
    for (register, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 0xB)] {
        set(transport, register, value);
    }
    for queue in 0..queues {
        let table = RINGS as u32 + queue * RING as u32;
        let rings =
            [(0x30, queue), (0x38, LENGTH.into()), (0x80, table), (0x90, table + 0x800), (0xA0, table + 0x1000)];
        for (register, value) in rings.into_iter().chain([(0x44, 1)]) {
            set(transport, register, value);
        }
    }
    set(transport, 0x70, 0xF);
}

const GUEST: u32 = 3;
const PORT: u32 = 5;

/// What a disk is asked: the kind, and a sector that it may have.
fn disk_request(script: &mut Script<'_>) -> Vec<u8> {
    [script.bytes::<8>(), u64::from(script.byte()).to_le_bytes()].concat()
}

/// A packet for the wire, mostly with good addresses.
fn packet(script: &mut Script<'_>) -> Vec<u8> {
    let shape = script.byte();
    let from = if shape & 0xC0 == 0xC0 { script.word() } else { GUEST };
    let mut bytes = [u64::from(from).to_le_bytes(), 2_u64.to_le_bytes()].concat();
    let to_port = if shape & 0x30 == 0x30 { script.word() } else { PORT };
    bytes.extend([u32::from(shape & 1), to_port, u32::from(script.half())].map(u32::to_le_bytes).concat());
    let kind = if shape & 0xC == 0xC { script.half() } else { 1 };
    bytes.extend([kind, u16::from(script.byte() % 9)].map(u16::to_le_bytes).concat());
    bytes.extend([u32::from(script.byte()), script.word(), script.word()].map(u32::to_le_bytes).concat());
    bytes
}

/// A chain of a few descriptors, with flags and successors as they come, and the header of a request before it.
fn request(script: &mut Script<'_>, memory: &Memory, queue: u64, header: &[u8], announced: &mut [u16; 4]) {
    let table = RINGS + queue * RING;
    let count = u64::from(script.byte() % 6);
    _ = memory.write_slice(header, GuestAddress(0x8000));
    let announced = &mut announced[queue as usize];
    for place in 0..=count {
        let (mut address, mut length) = (script.address(), u32::from(script.half()));
        let shape = script.byte();
        if place == 0 && shape & 0x80 == 0 {
            (address, length) = (0x8000, header.len() as u32);
        }
        if shape & 0x40 != 0 {
            length = length.wrapping_mul(script.word());
        }
        // As it should be, unless the shape says otherwise.
        let mut flags = u16::from(place < count) | if place == 0 { 0 } else { 2 };
        if shape & 0x20 != 0 {
            flags = script.half() & 7;
        }
        let next = if shape & 0x10 != 0 { script.half() } else { place as u16 + 1 };
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend([flags.to_le_bytes(), next.to_le_bytes()].concat());
        _ = memory.write_slice(&bytes, GuestAddress(table + place * 16));
    }
    let head = if script.byte() & 0xF0 == 0xF0 { script.half() } else { 0 };
    _ = memory.write_slice(&head.to_le_bytes(), GuestAddress(table + 0x804 + u64::from(*announced % LENGTH) * 2));
    *announced = announced.wrapping_add(1);
    _ = memory.write_slice(&announced.to_le_bytes(), GuestAddress(table + 0x802));
}

/// 64 KiB and a sector, which nobody can write to.
fn disk() -> File {
    static DISK: OnceLock<File> = OnceLock::new();
    let disk = DISK.get_or_init(|| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[7; (64 << 10) + 512]).unwrap();
        File::open(file.path()).unwrap()
    });
    disk.try_clone().unwrap()
}
