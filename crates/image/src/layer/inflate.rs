//! Layers as they were before they were compressed.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

/// Reads what was compressed by whichever way it was. The bytes say so themselves; media types do not always.
pub(crate) fn inflate<'a>(mut input: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let start = input.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(input))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        // Takes at most the 128 MiB of memory that the format lets a reader refuse to exceed.
        Box::new(zstd::Decoder::with_buffer(input)?)
    } else if start.starts_with(b"BZh") || start.starts_with(b"\xfd7zXZ") {
        let what = "it is compressed by bzip2 or xz, which images are not: gzip, zstd and none are known";
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    } else {
        Box::new(input)
    })
}

/// How much goes from one thread to the other at a time, and how often before the first waits.
const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 8;

/// Has another thread read ahead, so that one core inflates while another hashes and writes.
pub(crate) fn read_ahead<'scope>(scope: &'scope Scope<'scope, '_>, input: impl Read + Send + 'scope) -> ReadAhead {
    let (full, chunks) = sync_channel(CHUNKS);
    let (used, empty) = channel();
    scope.spawn(move || feed(input, &full, &empty));
    ReadAhead { chunks, used, chunk: Vec::new(), at: 0, ended: false }
}

/// Ends when there is nothing more to read, or nobody to read it. An empty chunk says that all was read.
fn feed(mut input: impl Read, full: &SyncSender<io::Result<Vec<u8>>>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        // Chunks come back as long as they went, all but the last.
        chunk.resize(CHUNK, 0);
        let read = fill(&mut input, &mut chunk);
        let is_last = !matches!(read, Ok(1..));
        let told = full.send(read.map(|read| {
            chunk.truncate(read);
            chunk
        }));
        if is_last || told.is_err() {
            return;
        }
    }
}

/// Reads until there is no room or nothing more. How much that is.
pub(super) fn fill(input: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match input.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The reading side.
pub(crate) struct ReadAhead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    used: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.ended {
            // Whoever reads ahead is gone only after an empty chunk or an error.
            let next = self.chunks.recv().unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into()));
            let used = std::mem::replace(&mut self.chunk, next.inspect_err(|_| self.ended = true)?);
            // Nobody wants it back any more once everything was read.
            let _ = self.used.send(used);
            self.at = 0;
            self.ended = self.chunk.is_empty();
        }
        let read = (self.chunk.len() - self.at).min(buffer.len());
        buffer[..read].copy_from_slice(&self.chunk[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn inflated(bytes: &[u8]) -> io::Result<Vec<u8>> {
        std::thread::scope(|scope| {
            let mut all = Vec::new();
            read_ahead(scope, inflate(bytes)?).read_to_end(&mut all).map(|_| all)
        })
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_way_of_compressing_gives_the_same() {
        let plain: Vec<u8> = (0..3_000_000u32).map(|number| (number / 7) as u8).collect();
        let zstd = zstd::encode_all(&plain[..], 1).unwrap();
        let in_two = [gzip(&plain[..1000]), gzip(&plain[1000..])].concat();
        for bytes in [&plain, &gzip(&plain), &in_two, &zstd] {
            assert_eq!(inflated(bytes).unwrap(), plain);
        }
        assert_eq!(inflated(b"").unwrap(), b"");
    }

    #[test]
    fn what_was_cut_is_an_error_and_not_an_end() {
        let plain = vec![1; 1_000_000];
        for whole in [gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
            assert!(inflated(&whole[..whole.len() - 5]).is_err());
        }
        assert_eq!(inflated(b"BZh9").unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_reader_that_stops_early_stops_the_one_who_reads_ahead() {
        std::thread::scope(|scope| {
            let mut ahead = read_ahead(scope, io::repeat(1));
            ahead.read_exact(&mut [0; 10]).unwrap();
        });
    }
}
