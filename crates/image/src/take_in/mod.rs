//! An image on its way into the store: found, transferred, unpacked, merged, named.
//!
//! ```text
//! find --> for each layer, several at once: transfer --> unpack --> all of them: merge --> assemble --> name
//! ```
//!
//! Every step leaves something whole in the store or nothing at all, so an image that is taken in again goes on where
//! it was left, and shares with others what it has in common with them. Only the last step makes it an image.

mod fetch;
mod layers;
mod survey;

use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;

use crate::bounds::Bounds;
use crate::digest::{Digest, Digesting};
use crate::disk::DiskError;
use crate::document::Platform;
use crate::layer::index::Index;
use crate::layer::unpack::UnpackError;
use crate::record::{LayerRecord, Record};
use crate::source::{Image, Source, SourceError, find};
use crate::store::{Claimed, HeldDisk, ImageName, Kind, Store, StoreError, at};
use crate::tree::assemble::{AssembleError, assemble};
use crate::tree::{Extent, MergeError, Tree, merge};
use layers::Layers;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it is to be called.
    pub name: ImageName,
    /// Where it comes from, as the user said it; only written down.
    pub from: String,
    /// For which machine.
    pub platform: Platform,
    /// Bytes that its root filesystem may take.
    pub size: u64,
    /// How many layers are transferred at once.
    pub parallel: usize,
}

/// How far it is. Layers are counted from 0, the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many layers, and so many bytes to transfer if none of them is here.
    Found {
        /// How many.
        layers: usize,
        /// How much.
        bytes: u64,
    },
    /// A layer is being transferred.
    Transferred {
        /// Which.
        layer: usize,
        /// Bytes of it that are here.
        bytes: u64,
    },
    /// A layer is here and being unpacked.
    Unpacking {
        /// Which.
        layer: usize,
        /// Bytes of it as it is transferred.
        bytes: u64,
    },
    /// A layer is done with.
    Ready {
        /// Which.
        layer: usize,
    },
    /// All layers are; the root filesystem is being laid out.
    Assembling,
    /// It is far too large; what it would need is being found out.
    Surveying,
}

/// Why an image was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum TakeInError {
    /// It cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// More layers than an image has.
    #[error("the image has {found} layers, and {most} are the most")]
    Layers {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// It is large before anything of it is unpacked.
    #[error("its layers take {} MiB to transfer, and an image of the size that is allowed at most {} MiB", .transferred.div_ceil(1 << 20), .most >> 20)]
    Transferred {
        /// Bytes that the manifest names.
        transferred: u64,
        /// Bytes that there may be.
        most: u64,
    },
    /// A layer is not as long as was said.
    #[error("`{digest}` is {found} than the {size} bytes that the manifest says")]
    Length {
        /// Which blob.
        digest: Digest,
        /// What was said.
        size: u64,
        /// `longer` or `shorter`.
        found: &'static str,
    },
    /// A transfer broke off, again and again.
    #[error(
        "the transfer of `{digest}` broke off at byte {at}; what is here is kept, so trying again goes on from there"
    )]
    Broken {
        /// Which blob.
        digest: Digest,
        /// How far it came.
        at: u64,
        /// Why.
        source: std::io::Error,
    },
    /// A layer cannot be unpacked.
    #[error("layer {layer}")]
    Unpack {
        /// Counted from 1, the lowest.
        layer: usize,
        /// Why not.
        source: UnpackError,
    },
    /// The layers make no root filesystem.
    #[error("the layers do not fit together")]
    Merge(#[from] MergeError),
    /// The root filesystem cannot be laid out.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// It is too large.
    #[error("the image needs {} MiB, and {} MiB is the most it may take", .needed.div_ceil(1 << 20), .allowed >> 20)]
    Size {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that it may take.
        allowed: u64,
    },
    /// Another layer failed first.
    #[error("another layer could not be taken in")]
    Stopped,
}

/// Takes an image in, and gives it its name.
pub fn take_in(
    store: &Store,
    source: &dyn Source,
    request: &Request,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Record, TakeInError> {
    let _entered = store.enter()?;
    let bounds = Bounds::for_size(request.size);
    let image = find(source, &request.platform, &bounds)?;
    let layers = Layers { store, source, image: &image, bounds: &bounds, progress };
    let gathered = gather(&layers, request.parallel);
    let tree = merge(&gathered.map_err(|error| layers.told_what_it_needs(error, request))?)?;
    let extent = tree.extent();
    if request.size < extent.bytes {
        return Err(TakeInError::Size { needed: extent.bytes, allowed: request.size });
    }
    progress(Progress::Assembling);
    let record = record_of(image, request, extent);
    keep_tree(store, &record, &tree, extent)?;
    store.write_name(&request.name, &record.encode())?;
    Ok(record)
}

/// Has everything here that the image consists of, and says what its layers hold.
fn gather(layers: &Layers<'_>, parallel: usize) -> Result<Vec<Index>, TakeInError> {
    layers.check_sizes()?;
    let Layers { store, image, progress, .. } = *layers;
    fetch::keep(store, &image.manifest_bytes)?;
    fetch::keep(store, &image.config_bytes)?;
    progress(Progress::Found { layers: image.layers.len(), bytes: image.transferred() });
    layers.take_in(parallel)
}

fn record_of(image: Image, request: &Request, extent: Extent) -> Record {
    let Image { manifest, config, config_digest, layers, .. } = image;
    let pairs = layers.iter().zip(&config.archives);
    Record {
        source: request.from.clone(),
        manifest,
        config: config_digest,
        layers: pairs.map(|(layer, archive)| LayerRecord { blob: layer.digest, archive: *archive }).collect(),
        tree: tree_digest(&config.archives),
        bytes: extent.bytes,
        entries: extent.entries,
        platform: config.platform.to_string(),
        environment: config.environment,
    }
}

/// What a tree is called: its layers, in their order, say everything about it.
fn tree_digest(archives: &[Digest]) -> Digest {
    let mut digesting = Digesting::default();
    // A number to be raised when the same layers are to make another tree.
    digesting.update(b"firebox tree 1\n");
    archives.iter().for_each(|archive| digesting.update(archive.bytes()));
    digesting.finish()
}

fn keep_tree(store: &Store, record: &Record, tree: &Tree, extent: Extent) -> Result<(), TakeInError> {
    let Claimed::Draft(draft) = store.claim(Kind::Tree, record.tree)? else { return Ok(()) };
    // Its files are the layers', but for copies.
    draft.reserve(extent.own)?;
    let path = draft.path().join("root");
    DirBuilder::new().mode(0o755).create(&path).map_err(at("make", &path))?;
    let root = File::open(&path).map_err(at("open", &path))?;
    // Whatever the caller's mask takes away, cells look into it with other rights than ours.
    let opened = rustix::fs::fchmod(&root, rustix::fs::Mode::from_raw_mode(0o755));
    opened.map_err(|errno| at("open to all", &path)(errno.into()))?;
    assemble(tree, &files_of(store, record)?, root.as_fd())?;
    Ok(draft.commit(extent.own)?)
}

fn files_of(store: &Store, record: &Record) -> Result<Vec<OwnedFd>, StoreError> {
    record.layers.iter().map(|layer| store.layer_files(&layer.archive)).collect()
}

impl Store {
    /// Holds the filesystem image of a name, for somebody to run on. The first time, it is made. `None` when there is
    /// no such name.
    pub fn filesystem_image(&self, name: &ImageName) -> Result<Option<HeldDisk>, DiskError> {
        let _entered = self.enter()?;
        let Some(record) = self.record(name)? else { return Ok(None) };
        let parts = || {
            let indexes = record.layers.iter().map(|layer| self.layer_index(&layer.archive));
            let indexes: Vec<Index> = indexes.collect::<Result<_, _>>()?;
            // They were merged once, when the image was taken in.
            let tree = merge(&indexes).map_err(|_| StoreError::Damaged(self.place(Kind::Tree, &record.tree)))?;
            Ok((tree, files_of(self, &record)?))
        };
        self.disk(record.tree, parts).map(Some)
    }
}

#[cfg(test)]
mod tests;
