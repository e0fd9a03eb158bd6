//! A snapshot on its way out of a bucket.
//!
//! ```text
//! name --> state: one that this host knows? --> list of chunks --> for each chunk: in the draft already, in another snapshot here, or fetched; several at
//! once --> verified --> kept
//! ```
//!
//! Whoever is stopped before the end leaves a draft, and goes on with it the next time: which of its chunks are there is found out by reading them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::digest::Digest;
use crate::remote::Bucket;
use crate::remote::snapshots::chunks::{Chunks, Stretch, count, stretch};
use crate::remote::snapshots::named::Named;
use crate::remote::snapshots::{SnapshotProgress, TellOfSnapshot, TravelError, VerifySnapshot, local};
use crate::several::several;
use crate::snapshot::{MEMORY, ReadySnapshot, SnapshotDraft, SnapshotName, SnapshotRecord, Snapshots};
use crate::store::{StoreError, at};

/// What a snapshot may take of which nobody said how large it may be.
const SIZE: u64 = 8 << 30;

/// What fetching a snapshot came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What is here now.
    pub record: SnapshotRecord,
    /// Of how many parts the snapshot consists, beside its name and the list of them.
    pub parts: usize,
    /// How many of them were not here.
    pub fetched: usize,
    /// How many bytes came for those.
    pub bytes: u64,
}

impl Bucket {
    /// Fetches a snapshot, and has its name stand for it here. `size` is how many bytes it may take on the disk; if nobody says so, what the bucket says that
    /// it takes, unless that is very much.
    pub fn download_snapshot(
        &self,
        snapshots: &Snapshots,
        name: &SnapshotName,
        size: Option<u64>,
        verify: VerifySnapshot<'_>,
        tell: TellOfSnapshot<'_>,
    ) -> Result<Fetched, TravelError> {
        let named = self.named_snapshot(name)?;
        let (needed, allowed) = (named.bytes + named.record.state.bytes, size.unwrap_or(SIZE));
        if allowed < needed {
            return Err(TravelError::Size { place: self.place.clone(), name: name.clone(), needed, allowed });
        }
        tell(SnapshotProgress::Reading);
        // Whoever else fetches the same has made it when this returns.
        let draft = snapshots.go_on_with(&named.record.digest())?;
        let chunks = self.chunks_of(&named)?;
        let parts = unique(&chunks).len() + 1;
        if is_here(snapshots, &named.record, verify)? {
            draft.discard()?;
            return Ok(Fetched { record: named.record, parts, fetched: 0, bytes: 0 });
        }
        let fetching = Fetching { bucket: self, named: &named, chunks: &chunks, draft: &draft, came: Came::default() };
        let whole = fetching.state(verify).and_then(|()| fetching.memory(snapshots, tell)).and_then(|()| {
            tell(SnapshotProgress::Verifying);
            fetching.verify(verify, Some(draft.memory()))
        });
        let (fetched, bytes) = fetching.came.in_all();
        match whole {
            Ok(()) => drop(draft.keep(named.record.frozen.clone())?),
            // All of it has its digests, so to fetch it again would bring the same. And whoever has to make room is not to look for what nobody sees.
            Err(error) if matches!(error, TravelError::Unsound { .. }) || is_full(&error) => {
                draft.discard()?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        Ok(Fetched { record: named.record, parts, fetched, bytes })
    }
}

/// Whether it is here already, and sound.
fn is_here(snapshots: &Snapshots, record: &SnapshotRecord, verify: VerifySnapshot<'_>) -> Result<bool, StoreError> {
    match snapshots.ready(&record.frozen.name) {
        Ok(ready) => {
            Ok(ready.is_some_and(|ready| ready.record == *record && verify(&ready.state, Some(&ready.memory)).is_ok()))
        }
        // This is how it is brought back.
        Err(StoreError::DamagedSnapshot { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_full(error: &TravelError) -> bool {
    let TravelError::Store(StoreError::Io { source, .. }) = error else { return false };
    matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Where each chunk is that is not zero.
fn unique(chunks: &Chunks) -> BTreeMap<Digest, Vec<Stretch>> {
    let mut places: BTreeMap<Digest, Vec<Stretch>> = BTreeMap::new();
    for (stretch, digest) in chunks.all() {
        if let Some(digest) = digest {
            places.entry(digest).or_default().push(stretch);
        }
    }
    places
}

struct Fetching<'a> {
    bucket: &'a Bucket,
    named: &'a Named,
    chunks: &'a Chunks,
    draft: &'a SnapshotDraft,
    came: Came,
}

/// What came from the bucket.
#[derive(Default)]
struct Came {
    parts: AtomicUsize,
    bytes: AtomicU64,
}

impl Came {
    fn in_all(&self) -> (usize, u64) {
        (self.parts.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// A chunk that is here in some memory.
struct Here<'m> {
    memory: &'m File,
    stretch: Stretch,
}

impl Fetching<'_> {
    /// Fetches the state. Where this host can make nothing of it, the memory need not be fetched.
    fn state(&self, verify: VerifySnapshot<'_>) -> Result<(), TravelError> {
        let state = &self.named.record.state;
        let content = self.part(&state.digest, state.bytes)?;
        self.draft.write_state(&content)?;
        self.verify(verify, None)
    }

    fn verify(&self, verify: VerifySnapshot<'_>, memory: Option<&File>) -> Result<(), TravelError> {
        verify(self.draft.state(), memory).map_err(|source| TravelError::Unsound {
            place: self.bucket.place.clone(),
            name: self.named.record.frozen.name.clone(),
            source,
        })
    }

    /// A part of just this length.
    fn part(&self, digest: &Digest, bytes: u64) -> Result<Vec<u8>, TravelError> {
        let (content, packed) = self.bucket.fetch_part(digest, bytes)?;
        self.came.parts.fetch_add(1, Ordering::Relaxed);
        self.came.bytes.fetch_add(packed, Ordering::Relaxed);
        if content.len() as u64 == bytes { Ok(content) } else { Err(self.damaged(digest)) }
    }

    fn memory(&self, snapshots: &Snapshots, tell: TellOfSnapshot<'_>) -> Result<(), TravelError> {
        let record = &self.named.record;
        let memory = self.draft.memory();
        memory.set_len(record.frozen.machine_bytes).map_err(self.at("make room for", MEMORY))?;
        let lacking = self.lacking()?;
        let others = if lacking.is_empty() { Vec::new() } else { others(snapshots, record)? };
        let here = self.here(&others, &lacking)?;
        let lacking: Vec<(Digest, Vec<Stretch>)> = lacking.into_iter().collect();

        let of = self.chunks.bytes();
        let bytes_of = |places: &[Stretch]| places.iter().map(|stretch| stretch.bytes).sum::<u64>();
        let missing: u64 = lacking.iter().map(|(_, places)| bytes_of(places)).sum();
        let moved = AtomicU64::new(of - missing);
        tell(SnapshotProgress::Moving { bytes: of - missing, of });
        several(lacking.len(), self.bucket.parallel, |number, _| {
            let (digest, places) = &lacking[number];
            let bytes = places.first().map_or(0, |stretch| stretch.bytes);
            let content = match here.get(digest).and_then(|here| here.read(digest)) {
                Some(content) => content,
                None => self.part(digest, bytes)?,
            };
            // The last may be shorter than the others, and a digest says nothing of where it belongs.
            if places.iter().any(|stretch| stretch.bytes != content.len() as u64) {
                return Err(self.damaged(digest));
            }
            for stretch in places {
                local::write(memory, *stretch, &content).map_err(self.at("write", MEMORY))?;
            }
            let all = moved.fetch_add(bytes_of(places), Ordering::Relaxed) + bytes_of(places);
            tell(SnapshotProgress::Moving { bytes: all, of });
            Ok(())
        })
        .map(drop)
    }

    /// What is not in the draft yet. Where nothing should be, nothing is, when this returns.
    fn lacking(&self) -> Result<BTreeMap<Digest, Vec<Stretch>>, TravelError> {
        let memory = self.draft.memory();
        let length = self.named.record.frozen.machine_bytes;
        let lacking = several(count(length), self.bucket.parallel, |number, _| {
            let (stretch, wanted) = self.chunks.get(number);
            let found = local::digest(memory, stretch)?;
            match wanted {
                None => local::clear(memory, stretch).map(|()| None),
                Some(wanted) => Ok((found != Some(wanted)).then_some((wanted, stretch))),
            }
        });
        let mut places: BTreeMap<Digest, Vec<Stretch>> = BTreeMap::new();
        for (digest, stretch) in lacking.map_err(self.at("read", MEMORY))?.into_iter().flatten() {
            places.entry(digest).or_default().push(stretch);
        }
        Ok(places)
    }

    /// Which of these chunks are in other memories, or elsewhere in this one.
    fn here<'m>(
        &'m self,
        others: &'m [ReadySnapshot],
        lacking: &BTreeMap<Digest, Vec<Stretch>>,
    ) -> Result<BTreeMap<Digest, Here<'m>>, TravelError> {
        let mut here = BTreeMap::new();
        for (stretch, digest) in self.chunks.all() {
            // Where it lacks there it is not there.
            let is_here =
                digest.and_then(|digest| lacking.get(&digest)).is_some_and(|places| !places.contains(&stretch));
            if let (true, Some(digest)) = (is_here, digest) {
                here.insert(digest, Here { memory: self.draft.memory(), stretch });
            }
        }
        for other in others {
            let length = other.record.frozen.machine_bytes;
            let digests = several(count(length), self.bucket.parallel, |number, _| {
                let stretch = stretch(length, number);
                local::digest(&other.memory, stretch).map(|digest| Some((digest?, stretch)))
            });
            // What cannot be read there is fetched.
            for (digest, stretch) in digests.unwrap_or_default().into_iter().flatten() {
                if lacking.contains_key(&digest) {
                    here.entry(digest).or_insert(Here { memory: &other.memory, stretch });
                }
            }
        }
        Ok(here)
    }

    fn damaged(&self, digest: &Digest) -> TravelError {
        TravelError::Damaged { place: self.bucket.place.clone(), digest: *digest }
    }

    fn at(&self, what: &'static str, name: &str) -> impl Fn(std::io::Error) -> TravelError + use<> {
        let path: PathBuf = self.draft.path().join(name);
        move |error| at(what, &path)(error).into()
    }
}

impl Here<'_> {
    /// None where it has become another.
    fn read(&self, digest: &Digest) -> Option<Vec<u8>> {
        let content = local::read(self.memory, self.stretch).ok().flatten()?;
        (Digest::of(&content) == *digest).then_some(content)
    }
}

/// Other snapshots of the same language, which may have much in common with it.
fn others(snapshots: &Snapshots, record: &SnapshotRecord) -> Result<Vec<ReadySnapshot>, StoreError> {
    let names = snapshots.names()?.into_iter().filter(|name| name.language() == record.frozen.name.language());
    // One that is damaged is of no use here, and is told of when it is asked for.
    Ok(names.filter_map(|name| snapshots.ready(&name).ok().flatten()).collect())
}
