//! The serial port: what a guest's kernel says, into a ring that keeps the end of it.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, SerialState};

use crate::bus::{BusDevice, Go};
use crate::interrupt::Line;
use crate::snapshot::{Nonsense, Piece, Reader, Writer};

/// What a guest said on its serial port: the last [`LogRing::CAPACITY`] bytes.
///
/// Whatever a guest says takes no more room than that, and no time but its own.
#[derive(Debug)]
pub struct LogRing {
    bytes: VecDeque<u8>,
    lost: u64,
}

impl LogRing {
    /// A kernel that says everything it can at its start says about half of that.
    pub const CAPACITY: usize = 128 << 10;

    /// Nothing yet; all of its memory is there from the start.
    pub fn new() -> LogRing {
        LogRing { bytes: VecDeque::with_capacity(LogRing::CAPACITY), lost: 0 }
    }

    fn push(&mut self, byte: u8) {
        if LogRing::CAPACITY <= self.bytes.len() {
            self.bytes.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.bytes.push_back(byte);
    }

    /// What was said last, as it was said: these bytes are the guest's.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }

    /// How many bytes were said before those, and are gone.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl Default for LogRing {
    fn default() -> LogRing {
        LogRing::new()
    }
}

/// A writer to a ring that others read.
struct Log(Arc<Mutex<LogRing>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.iter().for_each(|byte| ring.push(*byte));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A 16550, as `vm-superio` makes it.
pub(crate) struct SerialPort {
    serial: Serial<Line, NoEvents, Log>,
    line: Line,
    log: Arc<Mutex<LogRing>>,
}

impl SerialPort {
    pub(crate) fn new(line: Line, log: Arc<Mutex<LogRing>>) -> SerialPort {
        SerialPort { serial: Serial::new(line.clone(), Log(log.clone())), line, log }
    }

    /// Its registers. What was said stays with whoever has heard it.
    pub(crate) fn save(&self) -> PortState {
        PortState(self.serial.state())
    }

    /// Goes on where another one was, and raises the interrupts again that wait.
    pub(crate) fn restore(&mut self, PortState(state): &PortState) {
        // It holds no more than there is room for, and the line never fails.
        if let Ok(serial) = Serial::from_state(state, self.line.clone(), NoEvents, Log(self.log.clone())) {
            self.serial = serial;
        }
    }
}

/// The registers of a serial port.
pub(crate) struct PortState(SerialState);

/// As many as a 16550 has room for.
const MOST_WAITING: u32 = 64;

impl Piece for PortState {
    fn write(&self, to: &mut Writer) {
        let PortState(SerialState {
            baud_divisor_low,
            baud_divisor_high,
            interrupt_enable,
            interrupt_identification,
            line_control,
            line_status,
            modem_control,
            modem_status,
            scratch,
            in_buffer,
        }) = self;
        to.bytes(&[*baud_divisor_low, *baud_divisor_high, *interrupt_enable, *interrupt_identification]);
        to.bytes(&[*line_control, *line_status, *modem_control, *modem_status, *scratch]);
        to.all(in_buffer.iter(), |to, byte| to.u8(*byte));
    }

    fn read(from: &mut Reader<'_>) -> Result<PortState, Nonsense> {
        let [baud_divisor_low, baud_divisor_high, interrupt_enable, interrupt_identification] = from.take()?;
        let [line_control, line_status, modem_control, modem_status, scratch] = from.take()?;
        Ok(PortState(SerialState {
            baud_divisor_low,
            baud_divisor_high,
            interrupt_enable,
            interrupt_identification,
            line_control,
            line_status,
            modem_control,
            modem_status,
            scratch,
            in_buffer: from.all("bytes at a serial port", MOST_WAITING, Reader::u8)?,
        }))
    }
}

impl BusDevice for SerialPort {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        // Its registers are bytes. Wider accesses are to nobody.
        match (data, u8::try_from(offset)) {
            ([byte], Ok(offset)) => *byte = self.serial.read(offset),
            (data, _) => data.fill(0xFF),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Go {
        if let ([byte], Ok(offset)) = (data, u8::try_from(offset)) {
            // Neither the ring nor the line ever fails.
            _ = self.serial.write(offset, *byte);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// At which register, how wide, and what is written, if it is not read.
    type Access = (u64, usize, Option<[u8; 8]>);

    /// Mostly of bytes, and mostly where there is a register.
    fn accesses() -> impl Strategy<Value = Vec<Access>> {
        vec((0_u64..9, prop_oneof![9 => Just(1_usize), 1 => 2_usize..=8], any::<Option<[u8; 8]>>()), 0..200)
    }

    fn port() -> (SerialPort, Arc<Mutex<LogRing>>) {
        let log = Arc::default();
        (SerialPort::new(Line::connect(|_| Ok(())).unwrap(), Arc::clone(&log)), log)
    }

    /// What a guest reads there.
    fn read(port: &mut SerialPort, accesses: &[Access]) -> Vec<[u8; 8]> {
        let mut answers = Vec::new();
        for (offset, width, written) in accesses {
            match written {
                Some(bytes) => assert_eq!(port.write(*offset, &bytes[..*width]), ControlFlow::Continue(())),
                None => {
                    let mut answer = [0; 8];
                    port.read(*offset, &mut answer[..*width]);
                    answers.push(answer);
                }
            }
        }
        answers
    }

    proptest! {
        /// It may divide by nothing, hear itself until its buffer is full, and reach across registers.
        #[test]
        fn whatever_a_guest_did_to_it_goes_on_in_a_clone(before in accesses(), after in accesses()) {
            let (mut frozen, log) = port();
            read(&mut frozen, &before);
            let said = log.lock().unwrap().bytes();
            let mut written = Writer::default();
            frozen.save().write(&mut written);
            let written = written.written();
            let mut reader = Reader::new(&written);
            let state = PortState::read(&mut reader).unwrap();
            reader.end().unwrap();
            let (mut clone, of_clone) = port();
            clone.restore(&state);
            prop_assert_eq!(read(&mut clone, &after), read(&mut frozen, &after));
            prop_assert_eq!([said, of_clone.lock().unwrap().bytes()].concat(), log.lock().unwrap().bytes());
        }
    }

    #[test]
    fn the_ring_keeps_the_end_and_counts_what_is_gone() {
        let mut ring = LogRing::new();
        let room = ring.bytes.capacity();
        (0..LogRing::CAPACITY).for_each(|_| ring.push(b'a'));
        assert_eq!((ring.bytes().len(), ring.lost()), (LogRing::CAPACITY, 0));
        b"end".iter().for_each(|byte| ring.push(*byte));
        assert_eq!((ring.bytes().len(), ring.lost()), (LogRing::CAPACITY, 3));
        assert!(ring.bytes().ends_with(b"aend"));
        assert_eq!(ring.bytes.capacity(), room, "it has grown");
    }
}
