//! Where images come from: a registry, a bucket, or what tools write to the disk.

mod archive;
mod docker;
mod layout;
#[cfg(any(test, fuzzing))]
pub(crate) mod memory;

use std::io::{self, Read};
use std::path::PathBuf;

pub use docker::DockerArchive;
pub use layout::OciLayout;

use crate::bounds::Bounds;
use crate::digest::Digest;
use crate::document::{Config, Descriptor, Document, DocumentError, Manifest, Platform, choose};

/// A place that has an image, and nobody's word for it: whatever it gives is checked by whoever asks.
pub trait Source: Sync {
    /// What stands behind the reference that this source is for: the bytes of an index or a manifest. At most `most`
    /// bytes; what is longer is an error.
    fn root(&self, most: u64) -> Result<Vec<u8>, SourceError>;

    /// An index or a manifest by its digest.
    fn document(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, SourceError>;

    /// A configuration or a layer from a byte on.
    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError>;
}

/// Why a source does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It has no such thing.
    #[error("`{place}` has no {what}")]
    Missing {
        /// The source.
        place: String,
        /// What is missing.
        what: String,
    },
    /// It has several images and nobody said which.
    #[error("`{place}` has several images: say which by `:` and one of {tags}")]
    Several {
        /// The source.
        place: String,
        /// What they are called.
        tags: String,
    },
    /// It is longer than it may be.
    #[error("the {what} is longer than {most} bytes")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it may be.
        most: u64,
    },
    /// It is not what its name says.
    #[error("the {what} `{expected}` has another content: its digest is {found}")]
    Digest {
        /// What.
        what: &'static str,
        /// What it should have been.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// It is no document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An archive that is none.
    #[error("`{}` is no archive of images", .path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::layer::tar::ArchiveError,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] crate::remote::BucketError),
}

/// An image, found and checked as far as it goes without its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) manifest: Digest,
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) config: Config,
    pub(crate) config_digest: Digest,
    pub(crate) config_bytes: Vec<u8>,
    /// As many as the configuration has archives.
    pub(crate) layers: Vec<Descriptor>,
}

impl Image {
    /// Bytes of all layers as they are transferred.
    pub(crate) fn transferred(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

/// How often a configuration may break off.
const TRIES: u32 = 4;
/// How often an index may lead to another: a directory's to an image's to nothing.
const NESTED: usize = 3;

/// Finds the image for a platform.
pub(crate) fn find(source: &dyn Source, platform: &Platform, bounds: &Bounds) -> Result<Image, SourceError> {
    let mut bytes = source.root(bounds.document)?;
    for _ in 0..=NESTED {
        match Document::parse(&bytes)? {
            Document::Manifest(manifest) => return whole(source, manifest, bytes, bounds),
            Document::Index(entries) => {
                let descriptor = &choose(&entries, platform)?.descriptor;
                bytes = checked("manifest", descriptor, source.document(descriptor, bounds.document)?)?;
            }
        }
    }
    Err(DocumentError::Nested.into())
}

fn whole(source: &dyn Source, manifest: Manifest, bytes: Vec<u8>, bounds: &Bounds) -> Result<Image, SourceError> {
    let Manifest { config: descriptor, layers } = manifest;
    let config_bytes = read_again(TRIES, "configuration", bounds.document, || source.blob(&descriptor, 0))?;
    let config_bytes = checked("configuration", &descriptor, config_bytes)?;
    let config = Config::parse(&config_bytes)?;
    if layers.len() != config.archives.len() {
        return Err(DocumentError::Layers { manifest: layers.len(), config: config.archives.len() }.into());
    }
    Ok(Image {
        manifest: Digest::of(&bytes),
        manifest_bytes: bytes,
        config,
        config_digest: descriptor.digest,
        config_bytes,
        layers,
    })
}

pub(crate) fn checked(what: &'static str, descriptor: &Descriptor, bytes: Vec<u8>) -> Result<Vec<u8>, SourceError> {
    let (expected, found) = (descriptor.digest, Digest::of(&bytes));
    if found == expected { Ok(bytes) } else { Err(SourceError::Digest { what, expected, found }) }
}

/// Reads to the end, if that is not too far.
pub(crate) fn read_bounded(reader: impl Read, what: &'static str, most: u64) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let read = reader.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|source| SourceError::File { path: PathBuf::from(what), source })?;
    if most < bytes.len() as u64 { Err(SourceError::TooLong { what, most }) } else { Ok(bytes) }
}

/// Asks for something short, and again from its beginning where that breaks off.
pub(crate) fn read_again<R: Read>(
    most_tries: u32,
    what: &'static str,
    most: u64,
    ask: impl Fn() -> Result<R, SourceError>,
) -> Result<Vec<u8>, SourceError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match read_bounded(ask()?, what, most) {
            Err(SourceError::File { .. }) if tries < most_tries => {}
            read => return read,
        }
    }
}
