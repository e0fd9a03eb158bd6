//! An image on its way into a bucket.
//!
//! ```text
//! look whether the bucket is there --> for each blob, several at once: there already, or sent --> the name
//! ```
//!
//! A large blob is sent in pieces, which become an object by a last word that is said only if all of them together have the
//! digest that the object is to be named by. Whoever is stopped before that leaves no object.

use std::fs::File;
use std::io::Read;
use std::path::Path as HostPath;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use crate::digest::{Digest, Digesting};
use crate::record::Record;
use crate::remote::{Bucket, BucketError, place_of_blob, place_of_name};
use crate::store::{ImageName, Kind, Store, StoreError, at};
use crate::take_in::Progress;

/// How long a piece is at least. S3 takes none below 5 MiB but the last.
const PIECE: u64 = 8 << 20;
/// Of how many pieces an object of S3 can be.
const PIECES: u64 = 10_000;
/// How long those that are on their way have to end, before what they were to become is given up.
const END: Duration = Duration::from_secs(60);

/// What sending an image came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Of how many objects the image consists, beside its name.
    pub objects: usize,
    /// How many of them were not there.
    pub sent: usize,
    /// How many bytes those have.
    pub bytes: u64,
}

/// A blob that is to be there in the end.
struct Parcel {
    digest: Digest,
    size: u64,
    /// Which layer it is. None of the two documents, of which nobody is told how far they are.
    layer: Option<usize>,
}

impl Bucket {
    /// Sends an image, and then has the name stand for it there. None where the store has no such image. With `anew`, also
    /// what is there already is sent.
    pub fn upload(
        &self,
        store: &Store,
        name: &ImageName,
        anew: bool,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Option<Sent>, BucketError> {
        let _entered = store.enter()?;
        let Some(record) = store.record(name)? else { return Ok(None) };
        // Whether the bucket is there, and ours to look into, is known by this.
        let written = self.written(name)?;
        let parcels = parcels(store, &record)?;
        let layers = || parcels.iter().filter(|parcel| parcel.layer.is_some());
        progress(Progress::Found { layers: layers().count(), bytes: layers().map(|parcel| parcel.size).sum() });
        let sending =
            Sending { bucket: self, store, anew, progress, sent: Default::default(), bytes: Default::default() };
        sending.all(&parcels)?;
        let encoded = record.encode();
        if anew || written.as_deref() != Some(&encoded) {
            let object = place_of_name(&self.base, name);
            let put = self.objects.put(&object, encoded.into());
            self.handle().block_on(put).map_err(self.wrong(&format!("write the name `{name}`")))?;
        }
        let (sent, bytes) = (sending.sent.into_inner(), sending.bytes.into_inner());
        Ok(Some(Sent { objects: parcels.len(), sent, bytes }))
    }
}

/// Everything that travels, each once.
fn parcels(store: &Store, record: &Record) -> Result<Vec<Parcel>, StoreError> {
    let mut parcels: Vec<Parcel> = Vec::new();
    let mut layers = 0..;
    let documents = [record.manifest, record.config].map(|digest| (digest, false));
    for (digest, is_layer) in documents.into_iter().chain(record.layers.iter().map(|layer| (layer.blob, true))) {
        if parcels.iter().all(|parcel| parcel.digest != digest) {
            let path = store.place(Kind::Blob, &digest);
            let size = std::fs::metadata(&path).map_err(at("look at", &path))?.len();
            let layer = if is_layer { layers.next() } else { None };
            parcels.push(Parcel { digest, size, layer });
        }
    }
    Ok(parcels)
}

struct Sending<'a> {
    bucket: &'a Bucket,
    store: &'a Store,
    anew: bool,
    progress: &'a (dyn Fn(Progress) + Sync),
    sent: AtomicUsize,
    bytes: AtomicU64,
}

impl Sending<'_> {
    /// The first that fails stops the others.
    fn all(&self, parcels: &[Parcel]) -> Result<(), BucketError> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure: Mutex<Option<BucketError>> = Mutex::new(None);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(parcel) = parcels.get(number).filter(|_| !stop.load(Ordering::Relaxed)) else { return };
                match self.one(parcel, &stop) {
                    Ok(()) => self.tell(parcel, |layer| Progress::Ready { layer }),
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        // What stopped because of another is not the reason.
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.bucket.parallel.clamp(1, parcels.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn tell(&self, parcel: &Parcel, progress: impl FnOnce(usize) -> Progress) {
        if let Some(layer) = parcel.layer {
            (self.progress)(progress(layer));
        }
    }

    fn one(&self, parcel: &Parcel, stop: &AtomicBool) -> Result<(), BucketError> {
        let object = place_of_blob(&self.bucket.base, &parcel.digest);
        let there = self.bucket.length(&object, &format!("look for `{}`", parcel.digest))?;
        if there == Some(parcel.size) && !self.anew {
            self.tell(parcel, |layer| Progress::Transferred { layer, bytes: parcel.size });
            return Ok(());
        }
        let path = self.store.place(Kind::Blob, &parcel.digest);
        let file = File::open(&path).map_err(at("open", &path))?;
        let on_bytes = |bytes| {
            self.tell(parcel, |layer| Progress::Transferred { layer, bytes });
            if stop.load(Ordering::Relaxed) { Err(BucketError::Stopped) } else { Ok(()) }
        };
        if parcel.size <= PIECE {
            self.whole(parcel, &object, file, &path)?;
        } else {
            self.in_pieces(parcel, &object, file, &path, &on_bytes)?;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(parcel.size, Ordering::Relaxed);
        on_bytes(parcel.size)
    }

    fn whole(&self, parcel: &Parcel, object: &Path, file: File, path: &HostPath) -> Result<(), BucketError> {
        let mut bytes = Vec::new();
        file.take(parcel.size + 1).read_to_end(&mut bytes).map_err(at("read", path))?;
        if Digest::of(&bytes) != parcel.digest {
            return Err(StoreError::Damaged(path.to_owned()).into());
        }
        let bucket = self.bucket;
        let put = async {
            let _permit = bucket.gate.acquire().await;
            bucket.objects.put(object, bytes.into()).await
        };
        bucket.handle().block_on(put).map_err(bucket.wrong(&sending(parcel))).map(drop)
    }

    fn in_pieces(
        &self,
        parcel: &Parcel,
        object: &Path,
        file: File,
        path: &HostPath,
        on_bytes: &dyn Fn(u64) -> Result<(), BucketError>,
    ) -> Result<(), BucketError> {
        let bucket = self.bucket;
        let begun = bucket.handle().block_on(bucket.objects.put_multipart(object));
        let mut upload = begun.map_err(bucket.wrong(&sending(parcel)))?;
        let mut pieces = Pieces { bucket, tasks: JoinSet::new() };
        let sent = pieces.send(&mut *upload, parcel, file, path, on_bytes);
        let done = sent.and_then(|()| match bucket.handle().block_on(upload.complete()) {
            Ok(_) => Ok(()),
            // The last word may have been heard, and the answer to it lost.
            Err(_) if matches!(bucket.length(object, ""), Ok(Some(there)) if there == parcel.size) => Ok(()),
            Err(error) => Err(bucket.wrong(&sending(parcel))(error)),
        });
        if done.is_err() {
            let give_up = async {
                let all = async { while pieces.tasks.join_next().await.is_some() {} };
                let _ = tokio::time::timeout(END, all).await;
                upload.abort().await
            };
            // What cannot be taken back has no name, and is removed by the rule that buckets have for such things.
            let _ = bucket.handle().block_on(give_up);
        }
        done
    }
}

fn sending(parcel: &Parcel) -> String {
    format!("send `{}`", parcel.digest)
}

/// What of a blob is on its way.
struct Pieces<'a> {
    bucket: &'a Bucket,
    tasks: JoinSet<object_store::Result<()>>,
}

impl Pieces<'_> {
    fn send(
        &mut self,
        upload: &mut dyn MultipartUpload,
        parcel: &Parcel,
        mut file: File,
        path: &HostPath,
        on_bytes: &dyn Fn(u64) -> Result<(), BucketError>,
    ) -> Result<(), BucketError> {
        // All but the last are of one length: some of those who speak as S3 does insist.
        let piece = PIECE.max(parcel.size.div_ceil(PIECES).next_multiple_of(1 << 20));
        let (mut digesting, mut read) = (Digesting::default(), 0);
        while read < parcel.size {
            let permit = self.bucket.handle().block_on(self.bucket.gate.clone().acquire_owned());
            let mut bytes = vec![0; piece.min(parcel.size - read) as usize];
            file.read_exact(&mut bytes).map_err(at("read", path))?;
            digesting.update(&bytes);
            read += bytes.len() as u64;
            let part = upload.put_part(PutPayload::from(bytes));
            let task = async move {
                let done = part.await;
                drop(permit);
                done
            };
            self.tasks.spawn_on(task, self.bucket.handle());
            while let Some(done) = self.tasks.try_join_next() {
                self.one(parcel, done)?;
            }
            on_bytes(read)?;
        }
        while let Some(done) = self.bucket.handle().block_on(self.tasks.join_next()) {
            self.one(parcel, done)?;
        }
        if digesting.finish() == parcel.digest { Ok(()) } else { Err(StoreError::Damaged(path.to_owned()).into()) }
    }

    fn one(
        &self,
        parcel: &Parcel,
        done: Result<object_store::Result<()>, tokio::task::JoinError>,
    ) -> Result<(), BucketError> {
        done.unwrap_or_else(|error| Err(error.into())).map_err(self.bucket.wrong(&sending(parcel)))
    }
}
