//! What makes a clone of a frozen machine a machine of its own: the time, and randomness that no other clone has.
//!
//! A clone goes on with the clock and the randomness that the machine had when it was frozen, and so do all the others. So before anything of a job is in
//! it, its host calls, and says what time it is, and bytes that it has drawn for this clone alone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SocketFlags, accept_with};
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::host::FAILED;
use crate::relay::now;
use crate::sys::{mix_in, reseed};

/// What a clone is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// What time it is, from the beginning of 1970 on.
    pub time: Duration,
    /// Drawn for this clone.
    pub randomness: [u8; RANDOMNESS_BYTES],
}

/// As much as the kernel's generator has inside, twice.
pub const RANDOMNESS_BYTES: usize = 64;
/// Seconds, nanoseconds, randomness.
const BYTES: usize = 8 + 4 + RANDOMNESS_BYTES;
/// What the host hears when it is done; else [`FAILED`], and why, in words, to the end.
pub const RENEWED: u8 = 1;
/// Where the kernel's generator is asked.
const GENERATOR: &str = "/dev/random";

impl Renewal {
    /// Its bytes; numbers with the least first.
    pub fn encode(&self) -> [u8; BYTES] {
        let Renewal { time, randomness } = self;
        let mut bytes = [0; BYTES];
        let (seconds, rest) = bytes.split_at_mut(8);
        let (nanoseconds, rest) = rest.split_at_mut(4);
        seconds.copy_from_slice(&time.as_secs().to_le_bytes());
        nanoseconds.copy_from_slice(&time.subsec_nanos().to_le_bytes());
        rest.copy_from_slice(randomness);
        bytes
    }

    /// Reads one.
    pub fn read(mut from: impl Read) -> io::Result<Renewal> {
        let (mut seconds, mut nanoseconds, mut randomness) = ([0; 8], [0; 4], [0; RANDOMNESS_BYTES]);
        from.read_exact(&mut seconds)?;
        from.read_exact(&mut nanoseconds)?;
        from.read_exact(&mut randomness)?;
        let (seconds, nanoseconds) = (u64::from_le_bytes(seconds), u32::from_le_bytes(nanoseconds));
        let time = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanoseconds.into()));
        let time = time.filter(|_| nanoseconds < 1_000_000_000).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Renewal { time, randomness })
    }

    /// The randomness first: what is drawn from now on is this clone's own.
    fn carry_out(&self) -> io::Result<()> {
        let generator = File::options().write(true).open(GENERATOR)?;
        mix_in(&generator, &self.randomness)?;
        reseed(&generator)?;
        let seconds = i64::try_from(self.time.as_secs()).map_err(|_| io::ErrorKind::InvalidData)?;
        let time = Timespec { tv_sec: seconds, tv_nsec: self.time.subsec_nanos().into() };
        Ok(clock_settime(ClockId::Realtime, time)?)
    }
}

/// Waits for calls at this listener, for as long as the machine lives, and does what each says.
pub(crate) fn listen(listener: &OwnedFd) -> io::Result<()> {
    loop {
        poll(&mut [PollFd::new(listener, PollFlags::IN)], None)?;
        // Who has called may have gone again.
        let Some(caller) = now(accept_with(listener, SocketFlags::CLOEXEC))? else { continue };
        let mut caller = File::from(caller);
        let done = Renewal::read(&caller).and_then(|renewal| renewal.carry_out());
        let answer = done.map_or_else(|error| [&[FAILED], error.to_string().as_bytes()].concat(), |()| vec![RENEWED]);
        // Whoever does not wait for the answer does not use the clone.
        let _ = caller.write_all(&answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_as_it_was_sent_and_half_of_it_is_none() {
        let renewal =
            Renewal { time: Duration::new(1_800_000_000, 999_999_999), randomness: std::array::from_fn(|at| at as u8) };
        let bytes = renewal.encode();
        assert_eq!(Renewal::read(bytes.as_slice()).unwrap(), renewal);
        for length in 0..bytes.len() {
            assert!(Renewal::read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        let mut bytes = Renewal { time: Duration::ZERO, randomness: [0; _] }.encode();
        bytes[8..12].copy_from_slice(&1_000_000_000_u32.to_le_bytes());
        assert!(Renewal::read(bytes.as_slice()).is_err());
        bytes[..8].fill(0xFF);
        assert!(Renewal::read(bytes.as_slice()).is_err());
        let far = Renewal { time: Duration::from_secs(u64::MAX), randomness: [0; _] };
        assert!(
            Renewal::read(far.encode().as_slice()).is_ok_and(|renewal| i64::try_from(renewal.time.as_secs()).is_err())
        );
    }
}
