//! A large blob on its way into a bucket.
//!
//! Its pieces become an object by a last word that is said only if all of them together have the digest that the object is to be
//! named by. Whoever is stopped before that leaves no object, and goes on with the pieces that are there the next time.

use std::fs::File;
use std::io::Read;
use std::path::Path as HostPath;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use tokio::task::{JoinError, JoinSet};

use crate::digest::Digesting;
use crate::remote::journal::{Begun, Journal, Piece};
use crate::remote::pieces::Position;
use crate::remote::send::{Parcel, sending};
use crate::remote::{Bucket, BucketError};
use crate::store::{StoreError, at};

/// How long a piece is at least. S3 takes none below 5 MiB but the last.
pub(super) const PIECE: u64 = 8 << 20;
/// Of how many pieces an object of S3 can be.
const PIECES: u64 = 10_000;
/// How long those that are on their way have to end.
const END: Duration = Duration::from_secs(20);

/// How long all pieces but the last are: some of those who speak as S3 does insist on one length.
fn length_of_pieces(size: u64) -> u64 {
    PIECE.max(size.div_ceil(PIECES).next_multiple_of(1 << 20))
}

/// What is to be sent, and where to.
#[derive(Clone, Copy)]
pub(super) struct Upload<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) parcel: &'a Parcel,
    pub(super) object: &'a Path,
    /// Whether there is one that is as long as it should be.
    pub(super) is_there: bool,
    /// Where it is here.
    pub(super) path: &'a HostPath,
}

/// Hears how many bytes have been dealt with.
type OnBytes<'a> = dyn Fn(u64) -> Result<(), BucketError> + 'a;

impl Upload<'_> {
    /// Sends it, or the rest of it where that was begun and `anew` is not another wish than then.
    pub(super) fn send(
        self,
        begun: Option<Journal>,
        journal: &HostPath,
        anew: bool,
        on_bytes: &OnBytes<'_>,
    ) -> Result<(), BucketError> {
        let length = length_of_pieces(self.parcel.size);
        if let Some(begun) = begun.filter(|begun| begun.upload.anew == anew && begun.upload.length == length) {
            let sent = self.go_on(begun, on_bytes);
            // An upload is forgotten some day, and not by us.
            if !sent.as_ref().is_err_and(may_be_forgotten) {
                return sent;
            }
        }
        let id = self.bucket.handle().block_on(self.bucket.pieces.begin(self.object));
        let id = id.map_err(self.bucket.wrong(&sending(self.parcel)))?;
        // Only now: whoever is let in nowhere may be let in again, and go on.
        Journal::open(journal).into_iter().for_each(|forgotten| self.give_up(forgotten));
        self.go_on(Journal::begin(journal, Begun { id, length, anew }), on_bytes)
    }

    fn go_on(self, journal: Journal, on_bytes: &OnBytes<'_>) -> Result<(), BucketError> {
        let mut pieces = Pieces { upload: self, journal, tasks: JoinSet::new() };
        let sent = pieces.send(on_bytes).and_then(|()| pieces.complete());
        if sent.is_err() {
            pieces.wait();
        }
        match &sent {
            Ok(()) => pieces.journal.remove(),
            // What is here is not what it should be, and so may be what was sent of it.
            Err(BucketError::Store(StoreError::Damaged(_))) => self.give_up(pieces.journal),
            Err(_) if pieces.journal.is_worth_keeping() => {}
            Err(_) => self.give_up(pieces.journal),
        }
        sent
    }

    /// What cannot be taken back has no name, and is removed by the rule that buckets have for such things.
    pub(super) fn give_up(self, journal: Journal) {
        let _ = self.bucket.handle().block_on(self.bucket.pieces.give_up(self.object, &journal.upload.id));
        journal.remove();
    }
}

/// Whether this is what is said where there is no such upload any more, or not these pieces of it.
fn may_be_forgotten(error: &BucketError) -> bool {
    match error {
        BucketError::Refused { refusal, .. } => match refusal.status {
            400 => refusal.code.as_deref() != Some("RequestTimeout"),
            status => status == 404,
        },
        // Some look for whose an upload is before they look for it.
        BucketError::Denied { .. } => true,
        BucketError::Ask { source, .. } => {
            let system = source.downcast_ref::<std::io::Error>();
            system.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        }
        _ => false,
    }
}

/// What of a blob is there, and what is on its way.
struct Pieces<'a> {
    upload: Upload<'a>,
    journal: Journal,
    tasks: JoinSet<object_store::Result<Piece>>,
}

impl Pieces<'_> {
    fn send(&mut self, on_bytes: &OnBytes<'_>) -> Result<(), BucketError> {
        let Upload { bucket, parcel, path, .. } = self.upload;
        let mut file = File::open(path).map_err(at("open", path))?;
        let length = self.journal.upload.length;
        let (mut digesting, mut at_byte) = (Digesting::default(), 0);
        for number in 0.. {
            if parcel.size <= at_byte {
                break;
            }
            let permit = bucket.handle().block_on(bucket.gate.clone().acquire_owned());
            let mut bytes = vec![0; length.min(parcel.size - at_byte) as usize];
            file.read_exact(&mut bytes).map_err(at("read", path))?;
            digesting.update(&bytes);
            let hash = blake3::hash(&bytes).to_string();
            let (position, read) = (Position { number, at: at_byte }, bytes.len() as u64);
            if !self.journal.has(number, &hash) {
                let put = self.put(position, hash, bytes.into());
                let task = async move {
                    let done = put.await;
                    drop(permit);
                    done
                };
                self.tasks.spawn_on(task, bucket.handle());
            }
            at_byte += read;
            while let Some(done) = self.tasks.try_join_next() {
                self.take(done)?;
            }
            on_bytes(at_byte)?;
        }
        while let Some(done) = bucket.handle().block_on(self.tasks.join_next()) {
            self.take(done)?;
        }
        if digesting.finish() == parcel.digest { Ok(()) } else { Err(StoreError::Damaged(path.to_owned()).into()) }
    }

    fn put(
        &self,
        position: Position,
        hash: String,
        bytes: Bytes,
    ) -> impl Future<Output = object_store::Result<Piece>> + Send + use<> {
        let (pieces, object, upload) =
            (self.upload.bucket.pieces.clone(), self.upload.object.clone(), self.journal.upload.id.clone());
        async move {
            let id = pieces.put(&object, &upload, position, bytes).await?;
            Ok(Piece { number: position.number, hash, id })
        }
    }

    /// Notes a piece that is there.
    fn take(&mut self, done: Result<object_store::Result<Piece>, JoinError>) -> Result<(), BucketError> {
        let put = done.unwrap_or_else(|error| Err(error.into()));
        let piece = put.map_err(self.upload.bucket.wrong(&sending(self.upload.parcel)))?;
        self.journal.add(piece);
        Ok(())
    }

    /// Lets those end that are on their way: each that gets there need not be sent again.
    fn wait(&mut self) {
        let tasks = &mut self.tasks;
        let (handle, mut there) = (self.upload.bucket.handle(), Vec::new());
        let all = async {
            while let Some(done) = tasks.join_next().await {
                there.extend(done.ok().and_then(Result::ok));
            }
        };
        let _ = handle.block_on(async { tokio::time::timeout(END, all).await });
        there.into_iter().for_each(|piece| self.journal.add(piece));
    }

    fn complete(&self) -> Result<(), BucketError> {
        let Upload { bucket, parcel, object, is_there, .. } = self.upload;
        let complete = bucket.pieces.complete(object, &self.journal.upload.id, self.journal.ids());
        match bucket.handle().block_on(complete) {
            Ok(()) => Ok(()),
            // The last word may have been heard, and the answer to it lost.
            Err(_) if !is_there && matches!(bucket.length(object, ""), Ok(Some(there)) if there == parcel.size) => {
                Ok(())
            }
            Err(error) => Err(bucket.wrong(&sending(parcel))(error)),
        }
    }
}
