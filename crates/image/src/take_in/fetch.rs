//! A blob on its way into the store, from where it broke off the last time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::digest::{Digest, DigestingBehind};
use crate::document::Descriptor;
use crate::source::{Source, SourceError};
use crate::store::{Claimed, Draft, Kind, Store, StoreError, at};
use crate::strokes;
use crate::sys::begin_to_write_out;
use crate::take_in::TakeInError;

/// How often a transfer may break off without anything to speak of having come in between.
const TRIES: u32 = 4;
/// What is something to speak of. Whoever breaks off after each byte would else be asked for ever.
const WORTH: u64 = 64 << 10;
/// How long a chunk is filled, at most: whoever gives in small parts is written and hashed in large ones, but what comes
/// slowly does not wait to be kept.
const FILLING: Duration = Duration::from_millis(20);
/// How much comes before the disk begins with it: so it is done soon after the last byte has come.
const STRETCH: u64 = 8 << 20;

/// Keeps bytes that are in hand.
pub(super) fn keep(store: &Store, bytes: &[u8]) -> Result<(), StoreError> {
    let Claimed::Draft(draft) = store.claim(Kind::Blob, Digest::of(bytes))? else { return Ok(()) };
    draft.reserve(bytes.len() as u64)?;
    let mut file = draft.blob()?;
    let written = file.set_len(0).and_then(|()| file.write_all(bytes));
    if let Err(error) = written {
        let wrong = at("write", draft.path())(error);
        draft.discard()?;
        return Err(wrong);
    }
    draft.commit(bytes.len() as u64)
}

/// Transfers a blob, unless it is here. `on_bytes` hears how much of it is.
pub(super) fn fetch(
    store: &Store,
    source: &dyn Source,
    descriptor: &Descriptor,
    on_bytes: &mut dyn FnMut(u64) -> Result<(), TakeInError>,
) -> Result<(), TakeInError> {
    let Claimed::Draft(draft) = store.claim(Kind::Blob, descriptor.digest)? else { return Ok(()) };
    draft.reserve(descriptor.size)?;
    let mut fetched = once(&draft, source, descriptor, on_bytes);
    if let Ok(Fetched { kept: 1.., found }) = fetched
        && found != descriptor.digest
    {
        // Whoever gave the part that was kept may have been wrong, and not who gave the rest.
        draft.blob()?.set_len(0).map_err(at("begin anew with", draft.path()))?;
        fetched = once(&draft, source, descriptor, on_bytes);
    }
    match fetched {
        Ok(Fetched { found, .. }) if found == descriptor.digest => Ok(draft.commit(descriptor.size)?),
        Ok(Fetched { found, .. }) => {
            draft.discard()?;
            Err(SourceError::Digest { what: "layer", expected: descriptor.digest, found }.into())
        }
        Err(error) => {
            // What broke off is gone on with the next time; what was wrong, or fills the disk, is not.
            let keeps = matches!(error, TakeInError::Broken { .. } | TakeInError::Source(_) | TakeInError::Stopped);
            if !keeps {
                draft.discard()?;
            }
            Err(error)
        }
    }
}

/// All bytes of a blob, as many as it is to have.
struct Fetched {
    /// How many of them were here before.
    kept: u64,
    found: Digest,
}

/// Reads what is here, and transfers the rest.
fn once(
    draft: &Draft<'_>,
    source: &dyn Source,
    descriptor: &Descriptor,
    on_bytes: &mut dyn FnMut(u64) -> Result<(), TakeInError>,
) -> Result<Fetched, TakeInError> {
    let file = draft.blob()?;
    std::thread::scope(|scope| {
        let digesting = DigestingBehind::start(scope);
        let mut fetching = Fetching { draft, file, descriptor, at: 0, begun: 0, digesting };
        let kept = fetching.read_what_is_here();
        let fetched = kept.and_then(|kept| fetching.go_on(source, on_bytes).map(|()| kept));
        let found = fetching.digesting.finish();
        fetched.map(|kept| Fetched { kept, found })
    })
}

struct Fetching<'a, 'scope> {
    draft: &'a Draft<'a>,
    file: File,
    descriptor: &'a Descriptor,
    at: u64,
    /// Up to where the disk has begun.
    begun: u64,
    digesting: DigestingBehind<'scope>,
}

impl Fetching<'_, '_> {
    /// How much it is.
    fn read_what_is_here(&mut self) -> Result<u64, TakeInError> {
        let wrong = |error| TakeInError::from(at("read", self.draft.path())(error));
        if self.descriptor.size < self.file.metadata().map_err(wrong)?.len() {
            self.file.set_len(0).map_err(wrong)?;
        }
        self.file.seek(SeekFrom::Start(0)).map_err(wrong)?;
        loop {
            let mut chunk = self.digesting.chunk();
            match self.file.read(&mut chunk).map_err(wrong)? {
                0 => return Ok(self.at),
                read => {
                    self.digesting.put(chunk, read);
                    self.at += read as u64;
                }
            }
        }
    }

    fn go_on(
        &mut self,
        source: &dyn Source,
        on_bytes: &mut dyn FnMut(u64) -> Result<(), TakeInError>,
    ) -> Result<(), TakeInError> {
        let mut failures = 0;
        while self.at < self.descriptor.size {
            let before = self.at;
            let mut reader = source.blob(self.descriptor, before)?;
            let Err(error) = self.copy(&mut reader, on_bytes)? else { return Ok(()) };
            failures = if before + WORTH <= self.at { 0 } else { failures + 1 };
            if failures == TRIES {
                return Err(TakeInError::Broken { digest: self.descriptor.digest, at: self.at, source: error });
            }
        }
        Ok(())
    }

    /// Copies until the end, or until it breaks off: that is the inner error.
    fn copy(
        &mut self,
        reader: &mut dyn Read,
        on_bytes: &mut dyn FnMut(u64) -> Result<(), TakeInError>,
    ) -> Result<Result<(), io::Error>, TakeInError> {
        let size = self.descriptor.size;
        loop {
            let mut chunk = self.digesting.chunk();
            let Filled { read, then } = fill(reader, &mut chunk);
            if size - self.at < read as u64 {
                return Err(TakeInError::Length { digest: self.descriptor.digest, size, found: "longer" });
            }
            if read != 0 {
                strokes::write_all(&mut self.file, &chunk[..read]).map_err(at("write", self.draft.path()))?;
                self.digesting.put(chunk, read);
                self.at += read as u64;
                self.begin_to_write_out();
                on_bytes(self.at)?;
            }
            match then {
                Then::More => {}
                Then::End if self.at == size => return Ok(Ok(())),
                Then::End => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
                Then::Error(error) => return Ok(Err(error)),
            }
        }
    }

    /// In stretches, since each is a question to the disk.
    fn begin_to_write_out(&mut self) {
        if self.begun + STRETCH <= self.at {
            begin_to_write_out(self.file.as_fd(), self.begun, self.at - self.begun);
            self.begun = self.at;
        }
    }
}

/// How much of a chunk is full, and what comes then.
struct Filled {
    read: usize,
    then: Then,
}

enum Then {
    More,
    End,
    Error(io::Error),
}

fn fill(reader: &mut dyn Read, chunk: &mut [u8]) -> Filled {
    let begun = Instant::now();
    let mut read = 0;
    let then = loop {
        match reader.read(&mut chunk[read..]) {
            Ok(0) => break Then::End,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Then::Error(error),
        }
        if read == chunk.len() || FILLING <= begun.elapsed() {
            break Then::More;
        }
    };
    Filled { read, then }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time after so long, and breaks off in the end.
    struct Parts(usize, Duration, usize);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.1);
            self.2 = self.2.checked_sub(1).ok_or(io::ErrorKind::ConnectionReset)?;
            buffer[..self.0].fill(7);
            Ok(self.0)
        }
    }

    #[test]
    fn a_chunk_is_filled_by_many_small_parts_and_kept_when_they_break_off() {
        let mut chunk = vec![0; 1000];
        let Filled { read, then } = fill(&mut Parts(10, Duration::ZERO, 1000), &mut chunk);
        assert!(read % 10 == 0 && 0 < read && matches!(then, Then::More), "{read}");
        let Filled { read, then } = fill(&mut Parts(10, Duration::ZERO, 2), &mut chunk);
        assert!(read == 20 && matches!(then, Then::Error(_)), "{read}");
        let Filled { read, then } = fill(&mut &b"abc"[..], &mut chunk);
        assert!(read == 3 && matches!(then, Then::End), "{read}");
    }

    #[test]
    fn what_comes_slowly_does_not_wait_for_a_full_chunk() {
        let Filled { read, then } = fill(&mut Parts(1, FILLING, 1000), &mut [0; 1000]);
        assert!(read == 1 && matches!(then, Then::More), "{read}");
    }
}
