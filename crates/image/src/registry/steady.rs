//! Whoever sends something is to go on sending it.
//!
//! That each byte comes in time is not enough: at one in half a minute, a server would hold us for years.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::registry::Patience;

/// A reader that fails where less comes within a while than has to.
pub(crate) struct Steady<R> {
    inner: R,
    patience: Patience,
    /// How long we have waited since it was last found to be enough: what we do between two reads is our own time.
    waited: Duration,
    /// Bytes that have come since then.
    come: u64,
}

impl<R: Read> Steady<R> {
    pub(crate) fn new(inner: R, patience: Patience) -> Steady<R> {
        Steady { inner, patience, waited: Duration::ZERO, come: 0 }
    }

    fn is_enough(&mut self) -> io::Result<()> {
        if self.waited < self.patience.silence {
            return Ok(());
        }
        let (waited, come) = (std::mem::take(&mut self.waited), std::mem::take(&mut self.come));
        if come as f64 / waited.as_secs_f64() < self.patience.rate as f64 {
            let (seconds, least) = (waited.as_secs(), self.patience.rate);
            let what = format!("{come} bytes came in {seconds} s, and {least} in a second are the least");
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        Ok(())
    }
}

impl<R: Read> Read for Steady<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let read = self.inner.read(buffer)?;
        self.waited += begun.elapsed();
        self.come += read as u64;
        // At its end there is nothing more to wait for.
        if read != 0 {
            self.is_enough()?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time, each time after a pause.
    struct Paced(Duration, usize);

    impl Read for Paced {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.0);
            buffer[..self.1].fill(7);
            Ok(self.1)
        }
    }

    fn patience(silence: Duration) -> Patience {
        Patience { silence, rate: 10_000, ..Patience::default() }
    }

    #[test]
    fn who_sends_a_byte_now_and_then_is_not_waited_for() {
        let mut steady =
            Steady::new(Paced(Duration::from_millis(20), 1).take(10_000), patience(Duration::from_millis(300)));
        let error = io::copy(&mut steady, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("10000 in a second are the least"), "{error}");
    }

    #[test]
    fn who_has_little_to_send_may_take_its_time() {
        let mut steady = Steady::new(Paced(Duration::from_millis(100), 1).take(2), patience(Duration::from_secs(60)));
        assert_eq!(io::copy(&mut steady, &mut io::sink()).unwrap(), 2);
    }

    #[test]
    fn what_we_take_ourselves_is_not_the_senders_time() {
        let mut steady = Steady::new(io::repeat(1), patience(Duration::from_secs(20)));
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(20));
            steady.read_exact(&mut [0]).unwrap();
        }
        assert!(steady.waited < Duration::from_millis(60), "{:?}", steady.waited);
    }
}
