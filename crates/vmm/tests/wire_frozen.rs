//! The wire of a machine that was frozen: nobody may be on it then, and where the machine goes on, its guest is told so before all else.

mod kit;

use std::io::Write;
use std::os::unix::net::UnixStream;

use firebox_vmm::virtio::{Door, OtherDevice, Transport, Unrest, Vsock};
use firebox_vmm::{Bytes, GuestAddress};
use kit::driver::{Bell, WRITE};
use kit::wire_guest::*;

const EVENTS: u64 = 2;
const PORTS: (u32, u32) = (7, DOOR);

/// A door, and the host's end.
fn door() -> (UnixStream, Vec<Door>) {
    let (host, stream) = UnixStream::pair().unwrap();
    (host, vec![Door { port: DOOR, stream }])
}

impl Guest {
    /// The same guest on the wire of a clone, which somebody of the host calls by the first of these.
    fn frozen(mut self, doors: Vec<Door>, caller: Option<UnixStream>) -> Guest {
        let state = self.transport.save().unwrap();
        let mut wire = Vsock::new(GUEST, None, doors).unwrap();
        caller.into_iter().for_each(|caller| wire.admit(caller).unwrap());
        let bell = Box::new(Bell::default());
        self.transport = Transport::restore(Box::new(wire), self.memory.clone(), bell, &state).unwrap();
        self
    }

    fn give_event_buffer(&mut self) {
        self.put(EVENTS, 4, WRITE);
        self.set(0x50, EVENTS as u32);
    }

    /// How many events have come, and the bytes of the first.
    fn events(&self) -> (u16, u32) {
        let used = self.memory.read_obj(GuestAddress(RINGS + EVENTS * 0x2000 + 0x1002)).unwrap();
        (used, self.memory.read_obj(GuestAddress(BUFFERS + EVENTS * OF_QUEUE)).unwrap())
    }
}

#[test]
fn nobody_may_be_connected_when_it_is_frozen() {
    let (host, doors) = door();
    let mut guest = Guest::ready(None, doors);
    assert!(guest.transport.save().is_ok(), "a door is no connection");
    guest.send(&packet(REQUEST, PORTS, b""));
    guest.hear(RESPONSE);
    assert_eq!(guest.transport.save(), Err(Unrest::Connected(1)));
    drop(host);
    guest.wait(SHUTDOWN);
    guest.send(&packet(RESET, PORTS, b""));
    assert!(guest.transport.save().is_ok());
}

#[test]
fn a_guest_is_told_that_its_connections_are_gone_and_nothing_else_until_it_has_heard_that() {
    let (_host, doors) = door();
    let (mut host, caller) = UnixStream::pair().unwrap();
    let mut guest = Guest::ready(None, Vec::new());
    guest.give_event_buffer();
    guest.memory.write_obj(u32::MAX, GuestAddress(BUFFERS + EVENTS * OF_QUEUE)).unwrap();
    let mut guest = guest.frozen(doors, Some(caller));
    assert_eq!(guest.events(), (0, u32::MAX), "a clone that does not run yet writes nothing");
    host.write_all(b"CONNECT 9\n").unwrap();
    guest.transport.raise_again();
    guest.transport.speak_first();
    assert_eq!(guest.events(), (1, 0));
    // Neither what the guest says nor who calls it is heard now: it would end all that it finds.
    guest.send(&packet(REQUEST, PORTS, b""));
    guest.transport.wake();
    assert_eq!(guest.receive(), None);
    // The buffer comes back when the guest has done so.
    guest.give_event_buffer();
    assert_eq!((guest.wait(RESPONSE).ports, guest.wait(REQUEST).ports.0), (PORTS, 9));
    assert_eq!(guest.events().0, 1, "it was told twice");
}

#[test]
fn a_guest_that_has_no_use_for_events_is_served_at_once() {
    let (_host, doors) = door();
    let mut guest = Guest::new(None, Vec::new());
    guest.set_up_without(EVENTS as u32);
    guest.give_buffers(LENGTH);
    let mut guest = guest.frozen(doors, None);
    guest.transport.raise_again();
    guest.transport.speak_first();
    guest.send(&packet(REQUEST, PORTS, b""));
    guest.hear(RESPONSE);
}

#[test]
fn a_guest_without_room_for_the_event_is_told_when_it_has() {
    let (_host, doors) = door();
    let mut guest = Guest::ready(None, Vec::new()).frozen(doors, None);
    guest.transport.raise_again();
    guest.transport.speak_first();
    guest.send(&packet(REQUEST, PORTS, b""));
    assert_eq!((guest.receive(), guest.events().0), (None, 0));
    guest.give_event_buffer();
    assert_eq!((guest.receive(), guest.events().0), (None, 1));
    guest.give_event_buffer();
    guest.hear(RESPONSE);
}

#[test]
fn a_driver_that_begins_anew_has_nothing_to_hear() {
    let (_host, doors) = door();
    let mut guest = Guest::ready(None, Vec::new()).frozen(doors, None);
    guest.transport.raise_again();
    guest.transport.speak_first();
    guest.set_up();
    guest.give_buffers(LENGTH);
    guest.send(&packet(REQUEST, PORTS, b""));
    guest.hear(RESPONSE);
}

#[test]
fn another_number_of_the_guest_is_another_device() {
    let state = Guest::ready(None, Vec::new()).transport.save().unwrap();
    let wire = Box::new(Vsock::new(GUEST + 1, None, Vec::new()).unwrap());
    let memory = Guest::new(None, Vec::new()).memory;
    let other = Transport::restore(wire, memory, Box::new(Bell::default()), &state).err();
    assert_eq!(other, Some(OtherDevice::Config));
}
