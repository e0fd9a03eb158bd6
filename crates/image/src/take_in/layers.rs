//! All layers of an image, several at once.

use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bounds::Bounds;
use crate::digest::Digest;
use crate::layer::index::Index;
use crate::layer::tally::Tally;
use crate::layer::unpack::{Terms, UnpackError, prove, unpack};
use crate::several::several;
use crate::source::{Image, Source};
use crate::store::{Claimed, Draft, Kind, Store, at};
use crate::take_in::{Progress, TakeInError, fetch};
use crate::tree::{BLOCK, INODE, NUMBER};

#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    pub(super) store: &'a Store,
    pub(super) source: &'a dyn Source,
    pub(super) image: &'a Image,
    pub(super) bounds: &'a Bounds,
    pub(super) progress: &'a (dyn Fn(Progress) + Sync),
}

/// Room on the disk is asked for in steps of this size.
const STEP: u64 = 64 << 20;

impl Layers<'_> {
    /// Whether there are too many, or too much of them, before any is asked for.
    pub(super) fn check_sizes(&self) -> Result<(), TakeInError> {
        let (found, most) = (self.image.layers.len(), self.bounds.layers);
        if most < found {
            return Err(TakeInError::Layers { found, most });
        }
        let (transferred, most) = (self.image.transferred(), self.bounds.transferred);
        if most < transferred { Err(TakeInError::Transferred { transferred, most }) } else { Ok(()) }
    }

    /// Transfers and unpacks them, and returns what each holds.
    pub(super) fn take_in(&self, parallel: usize) -> Result<Vec<Index>, TakeInError> {
        let tally = Tally::new(self.bounds.clone());
        several(self.image.layers.len(), parallel, |layer, stop| self.one(layer, &tally, stop))
    }

    fn one(&self, layer: usize, tally: &Tally, stop: &AtomicBool) -> Result<Index, TakeInError> {
        let (descriptor, archive) = (&self.image.layers[layer], self.image.config.archives[layer]);
        let mut on_bytes = |bytes| {
            (self.progress)(Progress::Transferred { layer, bytes });
            if stop.load(Ordering::Relaxed) { Err(TakeInError::Stopped) } else { Ok(()) }
        };
        fetch::fetch(self.store, self.source, descriptor, &mut on_bytes)?;
        (self.progress)(Progress::Unpacking { layer, bytes: descriptor.size });
        let index = match self.store.claim(Kind::Layer, archive)? {
            Claimed::Draft(draft) => {
                let index = self.unpack(layer, archive, draft, tally, stop)?;
                self.store.write_proof(&descriptor.digest, &archive)?;
                index
            }
            Claimed::There => {
                self.prove(layer, archive, tally, stop)?;
                let index = self.store.layer_index(&archive)?;
                let counted = tally.add_index(&index);
                counted.map_err(|exceeded| TakeInError::Unpack { layer: layer + 1, source: exceeded.into() })?;
                index
            }
        };
        (self.progress)(Progress::Ready { layer });
        Ok(index)
    }

    /// A layer may be used only by whoever has its bytes: a configuration can name the archive of any image that is
    /// here, and so get at what is in it.
    fn prove(&self, layer: usize, archive: Digest, tally: &Tally, stop: &AtomicBool) -> Result<(), TakeInError> {
        let blob = self.image.layers[layer].digest;
        if self.store.is_proven(&blob, &archive) {
            return Ok(());
        }
        prove(self.open_blob(layer)?, archive, tally, stop).map_err(|source| match source {
            UnpackError::Stopped => TakeInError::Stopped,
            source => TakeInError::Unpack { layer: layer + 1, source },
        })?;
        Ok(self.store.write_proof(&blob, &archive)?)
    }

    pub(super) fn open_blob(&self, layer: usize) -> Result<BufReader<File>, TakeInError> {
        let blob = self.store.place(Kind::Blob, &self.image.layers[layer].digest);
        Ok(BufReader::with_capacity(256 << 10, File::open(&blob).map_err(at("open", &blob))?))
    }

    fn unpack(
        &self,
        layer: usize,
        expected: Digest,
        draft: Draft<'_>,
        tally: &Tally,
        stop: &AtomicBool,
    ) -> Result<Index, TakeInError> {
        let blob = self.open_blob(layer)?;
        let path = draft.path().join("files");
        DirBuilder::new().mode(0o700).create(&path).map_err(at("make", &path))?;
        let files = File::open(&path).map_err(at("open", &path))?;
        // To begin with, two directories and two files of our own.
        let (mut needed, mut reserved, mut refused) = (4 * (BLOCK + INODE), 0, None);
        let mut room = |bytes: u64| {
            // As much as it takes: whole blocks, an inode, and its name.
            let blocks = bytes.div_ceil(BLOCK).saturating_mul(BLOCK);
            needed = needed.saturating_add(blocks).saturating_add(INODE + NUMBER);
            if reserved < needed {
                reserved = needed.div_ceil(STEP).saturating_mul(STEP);
                // Where there is no room for a whole step there may be for what is needed.
                let reserving = draft.reserve(reserved).or_else(|_| {
                    reserved = needed;
                    draft.reserve(needed)
                });
                reserving.map_err(|error| {
                    refused = Some(error);
                    io::Error::from(io::ErrorKind::QuotaExceeded)
                })?;
            }
            Ok(())
        };
        let unpacked = unpack(blob, files.as_fd(), Terms { expected, tally, stop, room: &mut room });
        let index = unpacked.map_err(|source| match (refused.take(), source) {
            (Some(refused), _) => TakeInError::Store(refused),
            (None, UnpackError::Stopped) => TakeInError::Stopped,
            (None, UnpackError::Write(error)) => TakeInError::Store(at("write below", &path)(error)),
            (None, source) => TakeInError::Unpack { layer: layer + 1, source },
        })?;
        let (index_path, bytes) = (draft.path().join("index"), index.encode());
        let needed = needed.saturating_add(bytes.len() as u64);
        draft.reserve(needed)?;
        File::create_new(&index_path).and_then(|mut file| file.write_all(&bytes)).map_err(at("write", &index_path))?;
        draft.commit(needed)?;
        Ok(index)
    }
}
