//! The wire between guest and host, from both ends: a guest made of its queues, and sockets.

mod kit;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use firebox_vmm::virtio::{Door, Transport, Vsock};
use firebox_vmm::{BusDevice, Bytes, GuestAddress, Memory, MemorySize};
use kit::driver::{Bell, NEXT, WRITE};

const GUEST: u32 = 3;
const DOOR: u32 = 5000;
const LENGTH: u16 = 16;

const REQUEST: u16 = 1;
const RESPONSE: u16 = 2;
const RESET: u16 = 3;
const SHUTDOWN: u16 = 4;
const DATA: u16 = 5;
const CREDIT: u16 = 6;
const CREDIT_ASKED: u16 = 7;

const RECEIVE: u64 = 0;
const SEND: u64 = 1;
/// Each queue's rings, and its buffers, one page for each.
const RINGS: u64 = 0x1_0000;
const BUFFERS: u64 = 0x4_0000;
const OF_QUEUE: u64 = 0x2_0000;

/// A packet, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packet {
    op: u16,
    ports: (u32, u32),
    flags: u32,
    room: u32,
    used_up: u32,
    bytes: Vec<u8>,
}

/// A packet of the guest's: its port, the host's.
fn packet(op: u16, ports: (u32, u32), bytes: &[u8]) -> Packet {
    Packet { op, ports, flags: 0, room: 1 << 16, used_up: 0, bytes: bytes.to_vec() }
}

struct Guest {
    transport: Transport,
    memory: Memory,
    put: [u16; 3],
    taken: [u16; 3],
}

impl Guest {
    fn new(listener: Option<UnixListener>, doors: Vec<Door>) -> Guest {
        let memory = MemorySize::LEAST.map().unwrap();
        let wire = Vsock::new(GUEST, listener, doors).unwrap();
        let transport = Transport::new(Box::new(wire), memory.clone(), Box::new(Bell::default()));
        Guest { transport, memory, put: [0; 3], taken: [0; 3] }
    }

    /// A guest whose driver is ready, and has buffers for what it receives.
    fn ready(listener: Option<UnixListener>, doors: Vec<Door>) -> Guest {
        let mut guest = Guest::new(listener, doors);
        guest.set_up();
        guest.give_buffers(LENGTH);
        guest
    }

    fn set(&mut self, register: u64, value: u32) {
        assert!(self.transport.write(register, &value.to_le_bytes()).is_continue());
    }

    fn set_up(&mut self) {
        for (register, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 0xB)] {
            self.set(register, value);
        }
        for queue in 0..3_u32 {
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
    fn put(&mut self, queue: u64, length: u32, flags: u16) {
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

    fn give_buffers(&mut self, count: u16) {
        (0..count).for_each(|_| self.put(RECEIVE, 0x1000, WRITE));
        self.set(0x50, RECEIVE as u32);
    }

    fn send_as(&mut self, from: u64, kind: u16, packet: &Packet) {
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

    fn send(&mut self, packet: &Packet) {
        self.send_as(GUEST.into(), 1, packet);
    }

    /// What has come, if anything; its buffer is given again.
    fn receive(&mut self) -> Option<Packet> {
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
    fn hear(&mut self, op: u16) -> Packet {
        let packet = self.receive().expect("nothing has come");
        assert_eq!(packet.op, op, "{packet:?}");
        packet
    }

    /// Lets the device see what happened at the sockets, until something comes of it.
    #[track_caller]
    fn wait(&mut self, op: u16) -> Packet {
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

fn door() -> (UnixStream, Vec<Door>) {
    let (host, stream) = UnixStream::pair().unwrap();
    host.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    (host, vec![Door { port: DOOR, stream }])
}

const PORTS: (u32, u32) = (7, DOOR);

/// A guest that has called, and the host's end.
fn connected() -> (Guest, UnixStream) {
    let (host, doors) = door();
    let mut guest = Guest::ready(None, doors);
    guest.send(&packet(REQUEST, PORTS, b""));
    let answer = guest.hear(RESPONSE);
    assert_eq!((answer.ports, answer.room), (PORTS, 64 << 10));
    (guest, host)
}

fn read(host: &mut UnixStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    host.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_guest_that_calls_at_a_door_speaks_with_the_host() {
    let (mut guest, mut host) = connected();
    guest.send(&packet(DATA, PORTS, b"from the guest"));
    assert_eq!(read(&mut host, 14), b"from the guest");
    host.write_all(b"from the host").unwrap();
    let heard = guest.wait(DATA);
    assert_eq!((heard.bytes.as_slice(), heard.used_up), (b"from the host".as_slice(), 14));
}

#[test]
fn a_door_is_good_for_one_connection_and_there_is_nothing_beside_it() {
    let (mut guest, _host) = connected();
    for ports in [(8, DOOR), (7, DOOR + 1), (7, 22), (u32::MAX, DOOR)] {
        guest.send(&packet(REQUEST, ports, b""));
        assert_eq!(guest.hear(RESET).ports, ports);
    }
    // Of a connection that there is not, nothing is heard either.
    guest.send(&packet(DATA, (9, 9), b"hello"));
    assert_eq!(guest.hear(RESET).ports, (9, 9));
    guest.send(&packet(RESET, (9, 9), b""));
    assert_eq!(guest.receive(), None);
}

#[test]
fn packets_of_others_and_of_other_kinds_are_refused() {
    let (mut guest, _host) = connected();
    for (from, kind, op) in [(4, 1, DATA), (u64::MAX, 1, DATA), (3, 2, DATA), (3, 1, 0), (3, 1, 8), (3, 1, 999)] {
        let wrong = packet(op, PORTS, b"");
        guest.send_as(from, kind, &wrong);
        // To whoever it came from; this guest's queue is the only way there is.
        let rings = RINGS;
        let taken = &mut guest.taken[0];
        *taken += 1;
        assert_eq!(guest.memory.read_obj::<u16>(GuestAddress(rings + 0x1002)).unwrap(), *taken, "{from} {kind} {op}");
    }
    guest.send(&packet(CREDIT_ASKED, PORTS, b""));
    let entries = guest.memory.read_obj::<u16>(GuestAddress(RINGS + 0x1002)).unwrap();
    assert_eq!(entries, guest.taken[0] + 1, "the connection is gone");
}

#[test]
fn a_guest_is_never_sent_more_than_it_has_room_for() {
    let (mut guest, mut host) = connected();
    guest.send(&Packet { room: 100, ..packet(CREDIT, PORTS, b"") });
    host.write_all(&[b'x'; 250]).unwrap();
    assert_eq!(guest.wait(DATA).bytes, [b'x'; 100]);
    guest.transport.wake();
    assert_eq!(guest.receive(), None, "more than it has room for");
    guest.send(&Packet { room: 100, used_up: 60, ..packet(CREDIT, PORTS, b"") });
    assert_eq!(guest.hear(DATA).bytes.len(), 60);
    // A guest that says it has used up more than it ever got gets no more for it than it says it has room for.
    guest.send(&Packet { room: 100, used_up: 5000, ..packet(CREDIT, PORTS, b"") });
    assert!(guest.receive().is_none_or(|packet| packet.bytes.len() <= 100));
}

#[test]
fn a_guest_that_sends_more_than_there_is_room_for_is_hung_up_on() {
    let (mut guest, host) = connected();
    // The host does not read: the socket takes some, we hold 64 KiB, and then it is over.
    let mut sent = 0;
    loop {
        guest.send(&packet(DATA, PORTS, &[b'x'; 0xF00]));
        sent += 0xF00;
        match guest.receive() {
            Some(packet) if packet.op == RESET => break,
            Some(packet) => assert_eq!(packet.op, CREDIT),
            None => {}
        }
        assert!(sent < 8 << 20, "{sent} bytes are held by somebody");
    }
    assert!(64 << 10 <= sent, "after {sent} bytes");
    drop(host);
}

#[test]
fn a_guest_is_told_when_there_is_room_again() {
    let (mut guest, mut host) = connected();
    for _ in 0..10 {
        guest.send(&packet(DATA, PORTS, &[b'x'; 0xF00]));
        read(&mut host, 0xF00);
    }
    let told = guest.hear(CREDIT);
    assert!((32 << 10..=0xF00 * 10).contains(&told.used_up), "{told:?}");
    guest.send(&packet(CREDIT_ASKED, PORTS, b""));
    assert_eq!(guest.hear(CREDIT).used_up, 0xF00 * 10);
}

#[test]
fn the_end_of_each_side_reaches_the_other() {
    let (mut guest, mut host) = connected();
    host.write_all(b"last").unwrap();
    host.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(guest.wait(DATA).bytes, b"last");
    assert_eq!(guest.wait(SHUTDOWN).flags, 2);
    guest.send(&packet(DATA, PORTS, b"still here"));
    assert_eq!(read(&mut host, 10), b"still here");
    guest.send(&Packet { flags: 3, ..packet(SHUTDOWN, PORTS, b"") });
    assert_eq!(guest.hear(RESET).ports, PORTS);
    assert_eq!(host.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_host_that_is_gone_is_told_to_a_guest_that_speaks_to_it() {
    let (mut guest, host) = connected();
    drop(host);
    guest.send(&packet(DATA, PORTS, b"anybody?"));
    assert_eq!(guest.hear(RESET).ports, PORTS);
}

fn socket() -> (tempfile::TempDir, UnixListener, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wire");
    (directory, UnixListener::bind(&path).unwrap(), path)
}

fn call(path: &std::path::Path, words: &str) -> UnixStream {
    let mut host = UnixStream::connect(path).unwrap();
    host.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    host.write_all(words.as_bytes()).unwrap();
    host
}

#[test]
fn a_host_calls_a_guest_by_the_machines_socket() {
    let (_directory, listener, path) = socket();
    let mut guest = Guest::ready(Some(listener), Vec::new());
    let mut host = call(&path, "CONNECT 52\nhello");
    let called = guest.wait(REQUEST);
    assert_eq!(called.ports.0, 52);
    guest.send(&packet(RESPONSE, called.ports, b""));
    assert_eq!(guest.hear(DATA).bytes, b"hello");
    let ok = format!("OK {}\n", called.ports.1);
    assert_eq!(read(&mut host, ok.len()), ok.as_bytes());
    guest.send(&packet(DATA, called.ports, b"hello yourself"));
    assert_eq!(read(&mut host, 14), b"hello yourself");
}

#[test]
fn a_host_that_was_admitted_calls_when_it_wants_to() {
    let memory = MemorySize::LEAST.map().unwrap();
    let mut wire = Vsock::new(GUEST, None, Vec::new()).unwrap();
    let (mut host, caller) = UnixStream::pair().unwrap();
    host.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    wire.admit(caller).unwrap();
    let transport = Transport::new(Box::new(wire), memory.clone(), Box::new(Bell::default()));
    let mut guest = Guest { transport, memory, put: [0; 3], taken: [0; 3] };
    guest.set_up();
    guest.give_buffers(LENGTH);
    (0..10).for_each(|_| guest.transport.wake());
    assert_eq!(guest.receive(), None, "nobody has called");
    host.write_all(b"CONNECT 52\nhello").unwrap();
    let called = guest.wait(REQUEST);
    assert_eq!(called.ports.0, 52);
    guest.send(&packet(RESPONSE, called.ports, b""));
    assert_eq!(guest.hear(DATA).bytes, b"hello");
}

#[test]
fn a_call_that_is_not_answered_with_yes_is_hung_up_on() {
    for answer in [RESET, DATA, SHUTDOWN, CREDIT, REQUEST] {
        let (_directory, listener, path) = socket();
        let mut guest = Guest::ready(Some(listener), Vec::new());
        let mut host = call(&path, "CONNECT 52\n");
        let called = guest.wait(REQUEST);
        guest.send(&packet(answer, called.ports, b""));
        assert_eq!(host.read(&mut [0]).unwrap(), 0, "{answer}");
        assert_eq!(guest.receive().map(|packet| packet.op), (answer != RESET).then_some(RESET), "{answer}");
    }
}

#[test]
fn callers_are_few_and_say_what_they_want_or_are_hung_up_on() {
    let (_directory, listener, path) = socket();
    let mut guest = Guest::ready(Some(listener), Vec::new());
    let is_hung_up = |host: &mut UnixStream| match host.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    let mut wrong = call(&path, "HELLO\n");
    // Accepted with one call of `wake`, heard with the next.
    (0..10).for_each(|_| guest.transport.wake());
    assert!(is_hung_up(&mut wrong));
    let mut silent: Vec<UnixStream> = (0..20).map(|_| call(&path, "CONN")).collect();
    (0..10).for_each(|_| guest.transport.wake());
    assert!(silent[8..].iter_mut().all(is_hung_up), "too many are listened to");
    silent[0].write_all(b"ECT 52\n").unwrap();
    assert_eq!(guest.wait(REQUEST).ports.0, 52);
}

#[test]
fn a_call_from_before_the_driver_was_there_is_not_lost() {
    let (_directory, listener, path) = socket();
    let mut guest = Guest::new(Some(listener), Vec::new());
    let _host = call(&path, "CONNECT 52\n");
    (0..10).for_each(|_| guest.transport.wake());
    guest.set_up();
    guest.give_buffers(LENGTH);
    assert_eq!(guest.wait(REQUEST).ports.0, 52);
}

#[test]
fn a_reset_ends_what_the_driver_knew_of() {
    let (mut guest, mut host) = connected();
    guest.set_up();
    assert_eq!(host.read(&mut [0]).unwrap(), 0);
    guest.give_buffers(LENGTH);
    guest.send(&packet(DATA, PORTS, b"as if nothing had happened"));
    assert_eq!(guest.hear(RESET).ports, PORTS);
}

#[test]
fn a_guest_that_takes_nothing_is_heard_no_more_until_it_does() {
    let mut guest = Guest::new(None, Vec::new());
    guest.set_up();
    for number in 0..1000 {
        guest.send(&packet(REQUEST, (number, 1), b""));
        if guest.put[1].wrapping_sub(heard(&guest)) == LENGTH {
            break;
        }
    }
    assert_eq!(heard(&guest), 128, "so much is owed to it at most");
    guest.give_buffers(LENGTH);
    assert!(128 < heard(&guest), "and it is heard again");
}

/// How many of the guest's packets have been taken.
fn heard(guest: &Guest) -> u16 {
    guest.memory.read_obj(GuestAddress(RINGS + 0x2000 + 0x1002)).unwrap()
}
