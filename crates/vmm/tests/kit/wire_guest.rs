//! A guest at the wire to its host, made of its queues.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use firebox_vmm::virtio::{Door, Transport, Vsock};
use firebox_vmm::{BusDevice, Bytes, GuestAddress, Memory, MemorySize};

use super::driver::{Bell, NEXT, WRITE};

pub(crate) const GUEST: u32 = 3;
pub(crate) const DOOR: u32 = 5000;
pub(crate) const LENGTH: u16 = 16;

pub(crate) const REQUEST: u16 = 1;
pub(crate) const RESPONSE: u16 = 2;
pub(crate) const RESET: u16 = 3;
pub(crate) const SHUTDOWN: u16 = 4;
pub(crate) const DATA: u16 = 5;
pub(crate) const CREDIT: u16 = 6;
pub(crate) const CREDIT_ASKED: u16 = 7;

pub(crate) const RECEIVE: u64 = 0;
pub(crate) const SEND: u64 = 1;
/// Each queue's rings, and its buffers, one page for each.
pub(crate) const RINGS: u64 = 0x1_0000;
pub(crate) const BUFFERS: u64 = 0x4_0000;
pub(crate) const OF_QUEUE: u64 = 0x2_0000;

/// A packet, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) op: u16,
    pub(crate) ports: (u32, u32),
    pub(crate) flags: u32,
    pub(crate) room: u32,
    pub(crate) used_up: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A packet of the guest's: its port, the host's.
pub(crate) fn packet(op: u16, ports: (u32, u32), bytes: &[u8]) -> Packet {
    Packet { op, ports, flags: 0, room: 1 << 16, used_up: 0, bytes: bytes.to_vec() }
}

pub(crate) struct Guest {
    pub(crate) transport: Transport,
    pub(crate) memory: Memory,
    pub(crate) put: [u16; 3],
    pub(crate) taken: [u16; 3],
}

impl Guest {
    pub(crate) fn new(listener: Option<UnixListener>, doors: Vec<Door>) -> Guest {
        let memory = MemorySize::LEAST.map().unwrap();
        let wire = Vsock::new(GUEST, listener, doors).unwrap();
        let transport = Transport::new(Box::new(wire), memory.clone(), Box::new(Bell::default()));
        Guest { transport, memory, put: [0; 3], taken: [0; 3] }
    }

    /// A guest whose driver is ready, and has buffers for what it receives.
    pub(crate) fn ready(listener: Option<UnixListener>, doors: Vec<Door>) -> Guest {
        let mut guest = Guest::new(listener, doors);
        guest.set_up();
        guest.give_buffers(LENGTH);
        guest
    }

    pub(crate) fn set(&mut self, register: u64, value: u32) {
        assert!(self.transport.write(register, &value.to_le_bytes()).is_continue());
    }

    pub(crate) fn set_up(&mut self) {
        self.set_up_without(u32::MAX);
    }

    /// Sets it up, but for that queue.
    pub(crate) fn set_up_without(&mut self, left_out: u32) {
        for (register, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 0xB)] {
            self.set(register, value);
        }
        for queue in (0..3_u32).filter(|queue| *queue != left_out) {
            let rings = RINGS as u32 + queue * 0x2000;
            for (register, value) in [
                (0x30, queue),
                (0x38, LENGTH.into()),
                (0x80, rings),
                (0x90, rings + 0x800),
                (0xA0, rings + 0x1000),
                (0x44, 1),
            ] {
                self.set(register, value);
            }
        }
        self.memory.write_slice(&[0; 0x6000], GuestAddress(RINGS)).unwrap();
        (self.put, self.taken) = ([0; 3], [0; 3]);
        self.set(0x70, 0xF);
        assert!(self.transport.is_ready());
    }

    /// Puts the buffer of the same number as its place into a queue.
    pub(crate) fn put(&mut self, queue: u64, length: u32, flags: u16) {
        let put = &mut self.put[queue as usize];
        let place = u64::from(*put % LENGTH);
        let rings = RINGS + queue * 0x2000;
        let address = BUFFERS + queue * OF_QUEUE + place * 0x1000;
        let mut descriptor = [address.to_le_bytes().as_slice(), &length.to_le_bytes()].concat();
        descriptor.extend([(flags & !NEXT).to_le_bytes(), [0; 2]].concat());
        self.memory.write_slice(&descriptor, GuestAddress(rings + place * 16)).unwrap();
        self.memory.write_obj(place as u16, GuestAddress(rings + 0x804 + place * 2)).unwrap();
        *put = put.wrapping_add(1);
        self.memory.write_obj(*put, GuestAddress(rings + 0x802)).unwrap();
    }

    pub(crate) fn give_buffers(&mut self, count: u16) {
        (0..count).for_each(|_| self.put(RECEIVE, 0x1000, WRITE));
        self.set(0x50, RECEIVE as u32);
    }

    pub(crate) fn send_as(&mut self, from: u64, kind: u16, packet: &Packet) {
        let Packet { op, ports, flags, room, used_up, bytes } = packet;
        let mut whole = [from.to_le_bytes(), 2_u64.to_le_bytes()].concat();
        whole.extend([ports.0, ports.1, bytes.len() as u32].map(u32::to_le_bytes).concat());
        whole.extend([kind, *op].map(u16::to_le_bytes).concat());
        whole.extend([*flags, *room, *used_up].map(u32::to_le_bytes).concat());
        whole.extend(bytes);
        let place = u64::from(self.put[SEND as usize] % LENGTH);
        self.memory.write_slice(&whole, GuestAddress(BUFFERS + SEND * OF_QUEUE + place * 0x1000)).unwrap();
        self.put(SEND, whole.len() as u32, 0);
        self.set(0x50, SEND as u32);
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        self.send_as(GUEST.into(), 1, packet);
    }

    /// What has come, if anything; its buffer is given again.
    pub(crate) fn receive(&mut self) -> Option<Packet> {
        let rings = RINGS + RECEIVE * 0x2000;
        let taken = &mut self.taken[RECEIVE as usize];
        if self.memory.read_obj::<u16>(GuestAddress(rings + 0x1002)).unwrap() == *taken {
            return None;
        }
        let entry = rings + 0x1004 + u64::from(*taken % LENGTH) * 8;
        *taken = taken.wrapping_add(1);
        let [place, length] = [0, 4].map(|at| self.memory.read_obj::<u32>(GuestAddress(entry + at)).unwrap());
        let address = BUFFERS + u64::from(place) * 0x1000;
        let word = |at| self.memory.read_obj::<u32>(GuestAddress(address + at)).unwrap();
        let half = |at| self.memory.read_obj::<u16>(GuestAddress(address + at)).unwrap();
        assert_eq!((word(0), word(8), half(28)), (2, GUEST, 1), "not from the host, or not to this guest");
        let mut bytes = vec![0; word(24) as usize];
        assert_eq!(length as usize, 44 + bytes.len());
        self.memory.read_slice(&mut bytes, GuestAddress(address + 44)).unwrap();
        // The guest's port first, as everywhere here.
        Some(Packet {
            op: half(30),
            ports: (word(20), word(16)),
            flags: word(32),
            room: word(36),
            used_up: word(40),
            bytes,
        })
    }

    /// The next to come, which there has to be.
    #[track_caller]
    pub(crate) fn hear(&mut self, op: u16) -> Packet {
        let packet = self.receive().expect("nothing has come");
        assert_eq!(packet.op, op, "{packet:?}");
        packet
    }

    /// Lets the device see what happened at the sockets, until something comes of it.
    #[track_caller]
    pub(crate) fn wait(&mut self, op: u16) -> Packet {
        let start = Instant::now();
        loop {
            self.transport.wake();
            if let Some(packet) = self.receive() {
                assert_eq!(packet.op, op, "{packet:?}");
                return packet;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "nothing has come");
        }
    }
}
