//! The serial port: what a guest's kernel says, into a ring that keeps the end of it.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use vm_superio::Serial;
use vm_superio::serial::NoEvents;

use crate::bus::{BusDevice, Go};
use crate::interrupt::Line;

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
struct Writer(Arc<Mutex<LogRing>>);

impl io::Write for Writer {
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
pub(crate) struct SerialPort(Serial<Line, NoEvents, Writer>);

impl SerialPort {
    pub(crate) fn new(line: Line, log: Arc<Mutex<LogRing>>) -> SerialPort {
        SerialPort(Serial::new(line, Writer(log)))
    }
}

impl BusDevice for SerialPort {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        // Its registers are bytes. Wider accesses are to nobody.
        match (data, u8::try_from(offset)) {
            ([byte], Ok(offset)) => *byte = self.0.read(offset),
            (data, _) => data.fill(0xFF),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Go {
        if let ([byte], Ok(offset)) = (data, u8::try_from(offset)) {
            // Neither the ring nor the line ever fails.
            _ = self.0.write(offset, *byte);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
