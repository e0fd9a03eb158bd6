//! An image on its way out of a bucket: the bucket as a source like any other.

use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use object_store::path::Path;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::digest::Digest;
use crate::document::{Descriptor, Platform};
use crate::record::Record;
use crate::remote::bucket::Question;
use crate::remote::error::is_missing;
use crate::remote::{Bucket, BucketError, place_of_blob};
use crate::source::{Source, SourceError, checked};
use crate::store::{ImageName, Store};
use crate::take_in::{Progress, Request, TakeInError, take_in};

/// How long a piece is that is asked for. Of those that wait to be read there are as many as may be asked for at once.
const PIECE: u64 = 4 << 20;
/// What an image may take of which nobody said how large it may be.
const SIZE: u64 = 8 << 30;

impl Bucket {
    /// Fetches an image, and has the name stand for it here. `size` is how many bytes it may take; if nobody says so, what
    /// the bucket says that it takes, unless that is very much.
    pub fn download(
        &self,
        store: &Store,
        name: &ImageName,
        size: Option<u64>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Record, TakeInError> {
        let record = self.record(name).map_err(SourceError::from)?;
        let (needed, allowed) = (record.bytes, size.unwrap_or(SIZE));
        if allowed < needed {
            let (place, name) = (self.place().to_owned(), name.clone());
            return Err(SourceError::from(BucketError::Size { place, name, needed, allowed }).into());
        }
        let request = Request {
            name: name.clone(),
            from: record.source,
            platform: Platform::of_this_host(),
            size: size.unwrap_or_else(|| needed.next_multiple_of(1 << 20)),
            parallel: self.parallel,
        };
        take_in(store, &RemoteImage { bucket: self, manifest: record.manifest }, &request, progress)
    }
}

/// An image in a bucket.
struct RemoteImage<'b> {
    bucket: &'b Bucket,
    manifest: Digest,
}

impl RemoteImage<'_> {
    fn lacks(&self, digest: Digest) -> BucketError {
        BucketError::Lacks { place: self.bucket.place.clone(), digest }
    }
}

impl Source for RemoteImage<'_> {
    fn root(&self, most: u64) -> Result<Vec<u8>, SourceError> {
        let descriptor = Descriptor { digest: self.manifest, size: 0 };
        checked("manifest", &descriptor, self.document(&descriptor, most)?)
    }

    fn document(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, SourceError> {
        let object = place_of_blob(&self.bucket.base, &descriptor.digest);
        let found = self.bucket.document(&object, &fetching(&descriptor.digest), most)?;
        Ok(found.ok_or_else(|| self.lacks(descriptor.digest))?.into())
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        if descriptor.size <= from {
            return Ok(Box::new(io::empty()));
        }
        let object = place_of_blob(&self.bucket.base, &descriptor.digest);
        let mut pieces = Pieces {
            bucket: self.bucket,
            object,
            digest: descriptor.digest,
            next: from,
            end: descriptor.size,
            ahead: VecDeque::new(),
            current: Bytes::new(),
        };
        // What is wrong with all of it is known with its first piece.
        pieces.turn().map_err(|error| match error {
            Turned::Missing => self.lacks(descriptor.digest),
            Turned::Wrong(error) => error,
        })?;
        Ok(Box::new(pieces))
    }
}

fn fetching(digest: &Digest) -> String {
    format!("fetch `{digest}`")
}

/// A blob as it comes, piece by piece, with some asked for ahead.
struct Pieces<'b> {
    bucket: &'b Bucket,
    object: Path,
    digest: Digest,
    /// Where the next piece begins that is to be asked for.
    next: u64,
    end: u64,
    ahead: VecDeque<JoinHandle<Piece>>,
    current: Bytes,
}

/// A piece and the length of the whole; counted as long as nobody took it.
type Piece = (object_store::Result<(Bytes, u64)>, Option<OwnedSemaphorePermit>);

/// Why there is no next piece.
enum Turned {
    Missing,
    Wrong(BucketError),
}

impl Pieces<'_> {
    /// Waits for the next piece. Nothing is left of the one before.
    fn turn(&mut self) -> Result<(), Turned> {
        while self.next < self.end {
            let gate = self.bucket.gate.clone();
            // Only who has nothing else on its way waits: so whatever is counted comes to be read, and none waits for ever.
            let permit = match self.ahead.is_empty() {
                true => self.bucket.handle().block_on(gate.acquire_owned()).ok(),
                false => match gate.try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_) => break,
                },
            };
            let range = self.next..self.end.min(self.next + PIECE);
            self.next = range.end;
            let question = Question { objects: self.bucket.objects.clone(), object: self.object.clone() };
            self.ahead.push_back(self.bucket.handle().spawn(async move { (question.piece(range).await, permit) }));
        }
        let Some(first) = self.ahead.pop_front() else { return Ok(()) };
        let (piece, _permit) = self.bucket.handle().block_on(first).unwrap_or_else(|error| (Err(error.into()), None));
        match piece {
            Ok((_, length)) if length != self.end => {
                let (place, digest) = (self.bucket.place.clone(), self.digest);
                Err(Turned::Wrong(BucketError::Length { place, digest, found: length, expected: self.end }))
            }
            Ok((bytes, _)) => {
                self.current = bytes;
                Ok(())
            }
            Err(error) if is_missing(&error) => Err(Turned::Missing),
            Err(error) => Err(Turned::Wrong(self.bucket.wrong(&fetching(&self.digest))(error))),
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            self.turn().map_err(|error| match error {
                Turned::Missing => io::ErrorKind::NotFound.into(),
                Turned::Wrong(error) => io::Error::other(error),
            })?;
        }
        let read = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

impl Drop for Pieces<'_> {
    fn drop(&mut self) {
        self.ahead.iter().for_each(JoinHandle::abort);
    }
}
