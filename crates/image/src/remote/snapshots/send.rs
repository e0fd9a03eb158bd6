//! A snapshot on its way into a bucket.
//!
//! ```text
//! look whether the bucket is there --> verify what is here --> digests of all chunks --> for each part, several at once: there already, or sent --> the name
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path as HostPath;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::ObjectStoreExt;

use crate::digest::Digest;
use crate::remote::snapshots::chunks::{Chunks, Stretch, count, stretch};
use crate::remote::snapshots::named::Named;
use crate::remote::snapshots::{SnapshotProgress, TellOfSnapshot, TravelError, VerifySnapshot, local};
use crate::remote::{Bucket, Sent};
use crate::several::several;
use crate::snapshot::{MEMORY, ReadySnapshot, STATE, SnapshotDamage, SnapshotName, Snapshots};
use crate::store::{StoreError, at};

/// Where the content of a part is.
enum Content {
    State,
    Memory(Stretch),
    /// The list of chunks.
    List,
}

impl Bucket {
    /// Sends a snapshot, and then has its name stand for it there. None where this host has no such snapshot. With `anew`, also what is there already is
    /// sent. One that is not sound here is not sent.
    pub fn upload_snapshot(
        &self,
        snapshots: &Snapshots,
        name: &SnapshotName,
        anew: bool,
        verify: VerifySnapshot<'_>,
        tell: TellOfSnapshot<'_>,
    ) -> Result<Option<Sent>, TravelError> {
        let Some(ready) = snapshots.ready(name)? else { return Ok(None) };
        // Whether the bucket is there, and ours to look into, is known by this.
        let written = self.written_of_snapshot(name)?;
        tell(SnapshotProgress::Reading);
        let place = snapshots.place(&ready.record);
        verify(&ready.state, Some(&ready.memory)).map_err(|source| TravelError::Unsound {
            place: place.display().to_string(),
            name: name.clone(),
            source,
        })?;
        let sending = Sending::of(self, &ready, &place)?;
        let sent = sending.send(anew, tell)?;
        let encoded = sending.named.encode();
        if anew || written.as_deref() != Some(&encoded) {
            let object = self.place_of_snapshot(name);
            let put = self.objects.put(&object, encoded.into());
            self.handle().block_on(put).map_err(self.wrong(&format!("write the name `{name}`")))?;
        }
        Ok(Some(sent))
    }
}

struct Sending<'a> {
    bucket: &'a Bucket,
    ready: &'a ReadySnapshot,
    place: &'a HostPath,
    list: Vec<u8>,
    named: Named,
    /// Each once.
    parts: BTreeMap<Digest, Content>,
}

impl Sending<'_> {
    /// Finds out what it consists of.
    fn of<'a>(bucket: &'a Bucket, ready: &'a ReadySnapshot, place: &'a HostPath) -> Result<Sending<'a>, TravelError> {
        let record = ready.record.clone();
        let length = record.frozen.machine_bytes;
        let path = place.join(MEMORY);
        let digests = several(count(length), bucket.parallel, |number, _| {
            local::digest(&ready.memory, stretch(length, number)).map_err(at("read", &path))
        })?;
        let chunks = Chunks::new(length, digests);
        let list = chunks.encode();
        let memory = chunks.all().filter_map(|(stretch, digest)| Some((digest?, Content::Memory(stretch))));
        let others = [(record.state.digest, Content::State), (Digest::of(&list), Content::List)];
        let named = Named { record, chunks: Digest::of(&list), bytes: chunks.bytes() };
        Ok(Sending { bucket, ready, place, named, parts: memory.chain(others).collect(), list })
    }

    fn send(&self, anew: bool, tell: TellOfSnapshot<'_>) -> Result<Sent, TravelError> {
        let parts: Vec<(&Digest, &Content)> = self.parts.iter().collect();
        let of = parts.iter().map(|(_, content)| self.length(content)).sum();
        let moved = AtomicU64::new(0);
        tell(SnapshotProgress::Moving { bytes: 0, of });
        let sent = several(parts.len(), self.bucket.parallel, |number, _| {
            let (digest, content) = parts[number];
            let sent = self.one(digest, content, anew)?;
            let bytes = moved.fetch_add(self.length(content), Ordering::Relaxed) + self.length(content);
            tell(SnapshotProgress::Moving { bytes, of });
            Ok::<_, TravelError>(sent)
        })?;
        let sent: Vec<u64> = sent.into_iter().flatten().collect();
        Ok(Sent { objects: parts.len(), sent: sent.len(), bytes: sent.iter().sum() })
    }

    fn length(&self, content: &Content) -> u64 {
        match content {
            Content::State => self.named.record.state.bytes,
            Content::Memory(stretch) => stretch.bytes,
            Content::List => self.list.len() as u64,
        }
    }

    /// How many bytes were sent, unless it was there.
    fn one(&self, digest: &Digest, content: &Content, anew: bool) -> Result<Option<u64>, TravelError> {
        let bucket = self.bucket;
        if !anew && bucket.length(&bucket.place_of_part(digest), &format!("look for `{digest}`"))?.is_some() {
            return Ok(None);
        }
        let (bytes, name) = match content {
            Content::State => (self.read(&self.ready.state, 0, self.length(content), STATE)?, STATE),
            Content::Memory(Stretch { at, bytes }) => (self.read(&self.ready.memory, *at, *bytes, MEMORY)?, MEMORY),
            Content::List => return self.put(digest, &self.list),
        };
        if Digest::of(&bytes) != *digest {
            return Err(
                StoreError::DamagedSnapshot { path: self.place.join(name), damage: SnapshotDamage::Altered }.into()
            );
        }
        self.put(digest, &bytes)
    }

    fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<Option<u64>, TravelError> {
        Ok(self.bucket.send_part(digest, bytes).map(Some)?)
    }

    fn read(&self, file: &File, from: u64, bytes: u64, name: &str) -> Result<Vec<u8>, StoreError> {
        let mut content = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut content, from).map_err(at("read", &self.place.join(name)))?;
        Ok(content)
    }
}
