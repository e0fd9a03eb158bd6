//! The wire between guest and host (virtio-vsock): streams of the guest's that end in Unix sockets of the host's.
//!
//! A guest can call the host at [`Door`]s alone: each is a number and one end of a pair of sockets, handed over before the machine runs, and good
//! for one connection. The host calls the guest over the machine's socket, or by one end of such a pair ([`caller`]). No path is opened, and nothing of the
//! network is in reach.
//!
//! ```text
//! guest --- queue 1 ---> hear --> connection --> host's socket
//!       <-- queue 0 ---- next <-- connection <-- host's socket, when it has something (`wake`)
//! ```

mod caller;
mod connection;
mod packet;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::epoll;

use super::{Broken, Chain, Device, Queues, Unrest};
use caller::{Caller, Said};
use connection::{Connection, Left, ROOM};
use packet::{Header, Op, STREAM};

/// Where a guest may call the host, once.
#[derive(Debug)]
pub struct Door {
    /// The port that it calls.
    pub port: u32,
    /// What it is connected to.
    pub stream: UnixStream,
}

/// The wire of one guest.
#[derive(Debug)]
pub struct Vsock {
    guest: u64,
    config: [u8; 8],
    listener: Option<UnixListener>,
    doors: BTreeMap<u32, UnixStream>,
    callers: BTreeMap<u32, Caller>,
    connections: BTreeMap<Ports, Connection>,
    /// What the guest is to be told of connections that are none.
    resets: VecDeque<Header>,
    /// What the guest has to hear before all else.
    news: News,
    /// Who was served last.
    last: Ports,
    next_number: u32,
    events: OwnedFd,
    buffer: Vec<u8>,
}

/// That all connections are gone, which is what a guest that was frozen has to be told where it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// There are none.
    None,
    /// The guest is to be told.
    Owed,
    /// It was told, and may still be about to end all connections that it finds. What it hears of in the meantime would be among
    /// them: so it hears of none, until it gives the buffer back in which it was told.
    Told,
}

/// The guest's port, and the host's.
type Ports = (u32, u32);

/// What the specification numbers it as.
const KIND: u32 = 19;
const LENGTH: u16 = 128;
const RECEIVE: usize = 0;
const SEND: usize = 1;
const EVENTS: usize = 2;
/// The one event there is: all connections are gone, and the guest's own number may be another.
const TRANSPORT_RESET: u32 = 0;

/// The host's address, everywhere.
const HOST: u64 = 2;
/// An agent needs one or two.
const MOST_CONNECTIONS: usize = 64;
/// Who have not said yet what they want.
const MOST_CALLERS: usize = 8;
/// When so much is owed to the guest, it is not heard until it has taken some of that.
const MOST_RESETS: usize = 128;
/// A guest that fills both queues while they are worked at is made to say so again.
const ROUNDS: usize = 4;
/// The port that is none. Descriptors of callers are known under it, and the listener is the last of those.
const NO_PORT: u32 = u32::MAX;
/// The host's ports of those who call the guest: from here on.
const CALLERS_PORTS: u32 = 1 << 31;

impl Vsock {
    /// A wire to the guest with this number, 3 or more; callers come through `listener`.
    pub fn new(guest: u32, listener: Option<UnixListener>, doors: Vec<Door>) -> io::Result<Vsock> {
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
            watch(&events, listener, (NO_PORT, NO_PORT))?;
        }
        for Door { port: _, stream } in &doors {
            stream.set_nonblocking(true)?;
        }
        Ok(Vsock {
            guest: guest.into(),
            config: u64::from(guest).to_le_bytes(),
            listener,
            doors: doors.into_iter().map(|Door { port, stream }| (port, stream)).collect(),
            callers: BTreeMap::new(),
            connections: BTreeMap::new(),
            resets: VecDeque::new(),
            news: News::None,
            last: (0, 0),
            next_number: 0,
            events,
            buffer: vec![0; usize::try_from(ROOM).unwrap_or(0)],
        })
    }

    /// Somebody who may call the guest and is here already, over one end of a pair of sockets: as by way of the listener, once they
    /// say whom they want.
    pub fn admit(&mut self, caller: UnixStream) -> io::Result<()> {
        caller.set_nonblocking(true)?;
        let number = self.next_caller();
        watch(&self.events, &caller, (NO_PORT, number))?;
        self.callers.insert(number, Caller::new(caller));
        Ok(())
    }

    /// What the guest has sent. Tells whether some of it waits until the guest has heard what it is owed.
    fn hear(&mut self, queues: &mut Queues<'_>) -> Result<bool, Broken> {
        for _ in 0..queues.length(SEND) {
            if MOST_RESETS <= self.resets.len() {
                return Ok(true);
            }
            let Some(mut chain) = queues.take(SEND)? else { break };
            self.hear_packet(&mut chain, queues)?;
            queues.give_back(SEND, &chain, 0)?;
        }
        Ok(false)
    }

    fn hear_packet(&mut self, chain: &mut Chain, queues: &Queues<'_>) -> Result<(), Broken> {
        let mut header = [0; Header::LENGTH];
        chain.readable.read(queues.memory(), &mut header)?;
        let header = Header::from_bytes(&header);
        let ports = (header.from_port, header.to_port);
        let is_ours = header.from == self.guest && header.to == HOST && header.kind == STREAM;
        let Some(op) = header.op().filter(|_| is_ours) else {
            self.resets.push_back(header.refused());
            return Ok(());
        };
        let Some(connection) = self.connections.get_mut(&ports) else {
            match op {
                Op::Request => self.answer(ports, &header),
                Op::Reset => {}
                _ => self.resets.push_back(header.refused()),
            }
            return Ok(());
        };
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let left = match self.buffer.get_mut(..length) {
            Some(bytes) => {
                chain.readable.read(queues.memory(), bytes)?;
                connection.hear(op, &header, bytes, ports.1)
            }
            // More than there could be room for.
            None => Left::Gone,
        };
        if left == Left::Gone {
            self.hang_up(ports);
            if op != Op::Reset {
                self.resets.push_back(header.refused());
            }
        }
        Ok(())
    }

    /// The guest calls.
    fn answer(&mut self, ports: Ports, request: &Header) {
        let (guest, host) = ports;
        let has_room = self.connections.len() < MOST_CONNECTIONS && guest != NO_PORT;
        let door = if has_room { self.doors.remove(&host) } else { None };
        match door.filter(|stream| watch(&self.events, stream, ports).is_ok()) {
            Some(stream) => _ = self.connections.insert(ports, Connection::answered(stream, request)),
            None => self.resets.push_back(request.refused()),
        }
    }

    /// What the guest is to hear, as far as it has room for it. Tells how much that was.
    fn tell(&mut self, queues: &mut Queues<'_>) -> Result<u16, Broken> {
        for told in 0..queues.length(RECEIVE) {
            let Some(mut chain) = queues.take(RECEIVE)? else { return Ok(told) };
            let room = chain.writable.left().checked_sub(Header::LENGTH as u64).ok_or(Broken::Short)?;
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(self.buffer.len());
            let Some((header, count)) = self.next(room) else {
                queues.put_back(RECEIVE);
                return Ok(told);
            };
            chain.writable.write(queues.memory(), &header.bytes())?;
            chain.writable.write(queues.memory(), self.buffer.get(..count).unwrap_or_default())?;
            queues.give_back(RECEIVE, &chain, chain.writable.done())?;
        }
        Ok(queues.length(RECEIVE))
    }

    /// Tells the guest that its connections are gone, if it has to be. Whether it has heard that, or has nothing to hear.
    fn tell_news(&mut self, queue: usize, queues: &mut Queues<'_>) -> Result<bool, Broken> {
        match self.news {
            News::None => {}
            // A driver that has no use for events has none for this one.
            News::Owed if !queues.is_set_up(EVENTS) => self.news = News::None,
            News::Owed => {
                if let Some(mut chain) = queues.take(EVENTS)? {
                    chain.writable.write(queues.memory(), &TRANSPORT_RESET.to_le_bytes())?;
                    queues.give_back(EVENTS, &chain, chain.writable.done())?;
                    self.news = News::Told;
                }
            }
            News::Told if queue == EVENTS => self.news = News::None,
            News::Told => {}
        }
        Ok(self.news == News::None)
    }

    /// The next packet: what is owed first, then of each connection in turn. Its bytes are in the buffer.
    fn next(&mut self, room: usize) -> Option<(Header, usize)> {
        if let Some(reset) = self.resets.pop_front() {
            return Some((reset, 0));
        }
        let Vsock { connections, buffer, .. } = self;
        let room = buffer.get_mut(..room)?;
        let (upto, after): (Vec<Ports>, Vec<Ports>) = connections.keys().partition(|ports| **ports <= self.last);
        for ports in after.into_iter().chain(upto) {
            let next = connections.get_mut(&ports).and_then(|connection| connection.next(room));
            if let Some((header, count)) = next {
                self.last = ports;
                let (to_port, from_port) = ports;
                let header = Header { from: HOST, to: self.guest, from_port, to_port, kind: STREAM, ..header };
                return Some((header, count));
            }
        }
        None
    }

    /// Somebody of the host's is at the socket.
    fn accept(&mut self) {
        // Whoever comes when there are too many is hung up on: left waiting, they would not be announced again.
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(UnixListener::accept) {
            let number = self.next_caller();
            let is_watched =
                stream.set_nonblocking(true).is_ok() && watch(&self.events, &stream, (NO_PORT, number)).is_ok();
            if is_watched && self.callers.len() < MOST_CALLERS {
                self.callers.insert(number, Caller::new(stream));
            }
        }
    }

    fn next_caller(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1).checked_rem(CALLERS_PORTS).unwrap_or(0);
        number
    }

    /// A caller says something.
    fn hear_caller(&mut self, number: u32) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        let said = caller.hear();
        if said == Said::Part {
            return;
        }
        let (Some(Caller { stream, .. }), Said::Port(guest)) = (self.callers.remove(&number), said) else { return };
        // The number of a caller is not given again before all others were, and there are far fewer connections.
        let ports = (guest, CALLERS_PORTS | number);
        let has_room = self.connections.len() < MOST_CONNECTIONS && guest != NO_PORT;
        if has_room && !self.connections.contains_key(&ports) && watch_as(&self.events, &stream, ports).is_ok() {
            self.connections.insert(ports, Connection::calling(stream));
        }
    }

    fn hang_up(&mut self, ports: Ports) {
        if let Some(connection) = self.connections.remove(&ports) {
            // Its socket may be open elsewhere, too, and would then be watched on.
            _ = epoll::delete(&self.events, connection.stream());
        }
    }

    fn wake_connection(&mut self, ports: Ports) {
        let Some(connection) = self.connections.get_mut(&ports) else { return };
        if connection.wake() == Left::Gone {
            let unheard = connection.is_unheard();
            self.hang_up(ports);
            if !unheard {
                let (to_port, from_port) = ports;
                let header =
                    Header { from: HOST, to: self.guest, from_port, to_port, kind: STREAM, ..Header::default() };
                self.resets.push_back(header.with_op(Op::Reset));
            }
        }
    }
}

impl Device for Vsock {
    fn kind(&self) -> u32 {
        KIND
    }

    fn queues(&self) -> &'static [u16] {
        // The third is for events.
        &[LENGTH, LENGTH, LENGTH]
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn serve(&mut self, queue: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        if !self.tell_news(queue, queues)? {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let waits = self.hear(queues)?;
            let told = self.tell(queues)?;
            if !waits || told == 0 {
                break;
            }
        }
        Ok(())
    }

    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        Some(self.events.as_fd())
    }

    fn wake(&mut self) {
        const AT_ONCE: usize = 32;
        let mut events = Vec::with_capacity(AT_ONCE);
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        // What does not fit in here is there the next time: the descriptor stays ready.
        if epoll::wait(&self.events, rustix::buffer::spare_capacity(&mut events), Some(&now)).is_err() {
            return;
        }
        for event in events {
            let token = event.data.u64();
            match ((token >> 32) as u32, token as u32) {
                (NO_PORT, NO_PORT) => self.accept(),
                (NO_PORT, number) => self.hear_caller(number),
                ports => self.wake_connection(ports),
            }
        }
    }

    /// Connections end with the driver that knew of them; calls that it has not heard of are for the next.
    fn reset(&mut self) {
        let heard = self.connections.iter().filter(|(_, connection)| !connection.is_unheard());
        for ports in heard.map(|(ports, _)| *ports).collect::<Vec<_>>() {
            self.hang_up(ports);
        }
        self.resets.clear();
        self.news = News::None;
    }

    fn rest(&self) -> Result<(), Unrest> {
        match self.connections.len() {
            0 => Ok(()),
            some => Err(Unrest::Connected(some)),
        }
    }

    fn take_over(&mut self) {
        self.news = News::Owed;
    }
}

/// Tells when there is something new, and only then: whoever has no room for it now is not told again and again.
const WHAT: epoll::EventFlags =
    epoll::EventFlags::IN.union(epoll::EventFlags::OUT).union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::ET);

fn token((guest, host): Ports) -> epoll::EventData {
    epoll::EventData::new_u64(u64::from(guest) << 32 | u64::from(host))
}

fn watch(events: &OwnedFd, what: impl AsFd, ports: Ports) -> io::Result<()> {
    Ok(epoll::add(events, what, token(ports), WHAT)?)
}

fn watch_as(events: &OwnedFd, what: impl AsFd, ports: Ports) -> io::Result<()> {
    Ok(epoll::modify(events, what, token(ports), WHAT)?)
}
