//! An image on its way into a bucket.
//!
//! ```text
//! look whether the bucket is there --> for each blob, several at once: there already, or sent --> the name
//! ```
//!
//! A large blob is sent in pieces ([`upload`](super::upload)).

use std::fs::File;
use std::io::Read;
use std::path::{Path as HostPath, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::digest::Digest;
use crate::record::Record;
use crate::remote::journal::Journal;
use crate::remote::upload::{PIECE, Upload};
use crate::remote::{Bucket, BucketError, place_of_blob, place_of_name};
use crate::several::several;
use crate::store::{ImageName, Kind, Store, StoreError, at};
use crate::take_in::Progress;

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
pub(super) struct Parcel {
    pub(super) digest: Digest,
    pub(super) size: u64,
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
        let sending = Sending { bucket: self, store, anew, progress };
        let sent = several(parcels.len(), self.parallel, |number, stop| {
            let parcel = &parcels[number];
            let sent = sending.one(parcel, stop)?;
            sending.tell(parcel, |layer| Progress::Ready { layer });
            Ok::<_, BucketError>(sent)
        })?;
        let encoded = record.encode();
        if anew || written.as_deref() != Some(&encoded) {
            let object = place_of_name(&self.base, name);
            let put = self.objects.put(&object, encoded.into());
            self.handle().block_on(put).map_err(self.wrong(&format!("write the name `{name}`")))?;
        }
        let sent: Vec<u64> = sent.into_iter().flatten().collect();
        Ok(Some(Sent { objects: parcels.len(), sent: sent.len(), bytes: sent.iter().sum() }))
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
}

impl Sending<'_> {
    fn tell(&self, parcel: &Parcel, progress: impl FnOnce(usize) -> Progress) {
        if let Some(layer) = parcel.layer {
            (self.progress)(progress(layer));
        }
    }

    /// How many bytes it has, unless it was there.
    fn one(&self, parcel: &Parcel, stop: &AtomicBool) -> Result<Option<u64>, BucketError> {
        let object = place_of_blob(&self.bucket.base, &parcel.digest);
        let there = self.bucket.length(&object, &format!("look for `{}`", parcel.digest))?;
        let is_there = there == Some(parcel.size);
        let path = self.store.place(Kind::Blob, &parcel.digest);
        let upload = Upload { bucket: self.bucket, parcel, object: &object, is_there, path: &path };
        let journal = self.journal(&object);
        let is_large = PIECE < parcel.size;
        let begun = if is_large { Journal::open(&journal) } else { None };
        // What somebody began to send anew is not what is there.
        let anew = self.anew || begun.as_ref().is_some_and(|begun| begun.upload.anew);
        if is_there && !anew {
            begun.into_iter().for_each(|begun| upload.give_up(begun));
            self.tell(parcel, |layer| Progress::Transferred { layer, bytes: parcel.size });
            return Ok(None);
        }
        let on_bytes = |bytes| {
            self.tell(parcel, |layer| Progress::Transferred { layer, bytes });
            if stop.load(Ordering::Relaxed) { Err(BucketError::Stopped) } else { Ok(()) }
        };
        if is_large {
            upload.send(begun, &journal, anew, &on_bytes)?;
        } else {
            self.whole(parcel, &object, &path)?;
        }
        on_bytes(parcel.size).map(|()| Some(parcel.size))
    }

    /// Where it is written down how far an object has come.
    fn journal(&self, object: &Path) -> PathBuf {
        self.store.journal(&Digest::of(format!("{}\n{object}", self.bucket.place).as_bytes()))
    }

    fn whole(&self, parcel: &Parcel, object: &Path, path: &HostPath) -> Result<(), BucketError> {
        let file = File::open(path).map_err(at("open", path))?;
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
}

pub(super) fn sending(parcel: &Parcel) -> String {
    format!("send `{}`", parcel.digest)
}
