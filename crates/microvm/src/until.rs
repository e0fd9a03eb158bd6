//! A stream that is used until a moment, and no longer: who sends a byte now and then is not waited for anew each time.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A stream, until a moment.
#[derive(Debug)]
pub(crate) struct Until<'a> {
    stream: &'a UnixStream,
    moment: Instant,
}

impl Until<'_> {
    /// From now on for so long.
    pub(crate) fn within(stream: &UnixStream, time: Duration) -> Until<'_> {
        Until::moment(stream, Instant::now() + time)
    }

    pub(crate) fn moment(stream: &UnixStream, moment: Instant) -> Until<'_> {
        Until { stream, moment }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.moment.saturating_duration_since(Instant::now());
        // None of it would mean for ever.
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What the end of time is called.
pub(crate) fn in_time(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "its guest does not answer in time")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            io::Error::new(error.kind(), "its monitor was ended")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_sends_a_little_again_and_again_is_waited_for_no_longer_than_who_sends_nothing() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let drips = thread::spawn(move || {
            while theirs.write_all(b".").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let began = Instant::now();
        let error = Until::within(&ours, Duration::from_millis(200)).read_exact(&mut [0; 10_000]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        drop(ours);
        drips.join().unwrap();
    }

    #[test]
    fn nobody_who_hears_nothing_is_waited_for_either() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Until::within(&ours, Duration::from_millis(50)).write_all(&[0; 10_000_000]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
    }
}
