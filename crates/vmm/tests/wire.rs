//! The wire between guest and host, from both ends: a guest made of its queues, and sockets.

mod kit;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use firebox_vmm::virtio::{Door, Transport, Vsock};
use firebox_vmm::{Bytes, GuestAddress, MemorySize};
use kit::driver::Bell;
use kit::wire_guest::*;

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
