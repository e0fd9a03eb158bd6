//! The double: an agent's end of a stream in the wrong hands.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use firebox_wire::{HEADER_BYTES, Header, Order};

use super::play::{Move, Told};

/// The agent's end. Ends with the engine's, or with the course at the latest.
pub(super) struct Double {
    pub(super) stream: UnixStream,
    /// Hung up when the course is over.
    pub(super) over: Receiver<()>,
}

impl Double {
    /// Makes one move after the other until the engine is gone, and then nothing.
    pub(super) fn play(mut self, moves: &[Move]) {
        for one in moves {
            if self.make(one).is_err() {
                return;
            }
        }
        let _ = self.make(&Move::Silence);
    }

    fn make(&mut self, one: &Move) -> io::Result<()> {
        match one {
            Move::Say(bytes) => self.stream.write_all(bytes),
            Move::Trickle(bytes) => bytes.iter().try_for_each(|byte| self.stream.write_all(&[*byte])),
            Move::Flood(bytes) => loop {
                self.stream.write_all(bytes)?;
            },
            Move::Await(told) => {
                while self.hear()? != *told {}
                Ok(())
            }
            Move::Pause(time) => {
                // Cut short by the end of the course.
                let _ = self.over.recv_timeout(*time);
                Ok(())
            }
            Move::Silence => loop {
                self.hear()?;
            },
            Move::Dawdle => loop {
                self.stream.read_exact(&mut [0])?;
                self.make(&Move::Pause(Duration::from_micros(100)))?;
            },
            Move::Deafness => {
                let _ = self.over.recv();
                Err(io::ErrorKind::NotConnected.into())
            }
            Move::Close => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The next order.
    fn hear(&mut self) -> io::Result<Told> {
        let mut header = [0; HEADER_BYTES];
        self.stream.read_exact(&mut header)?;
        let header = Header::parse(header).expect("the engine sends frames");
        let mut payload = vec![0; header.length()];
        self.stream.read_exact(&mut payload)?;
        Ok(Order::decode(header, &payload).expect("the engine sends orders").into())
    }
}
