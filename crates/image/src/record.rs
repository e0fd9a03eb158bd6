//! What a name stands for: an image and what was made of it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::store::Kind;

/// An image that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it came from, as the user said it.
    pub source: String,
    /// Its manifest.
    pub manifest: Digest,
    /// Its configuration.
    pub config: Digest,
    /// From the lowest to the highest.
    pub layers: Vec<LayerRecord>,
    /// Its root filesystem.
    pub tree: Digest,
    /// Bytes that its files take, and entries that its root filesystem has.
    pub bytes: u64,
    /// How many files, directories and links.
    pub entries: u64,
    /// `os/architecture`, and its variant if it has one.
    pub platform: String,
    /// `NAME=value`, as the image wants it.
    pub environment: Vec<String>,
}

/// A layer of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRecord {
    /// As it was transferred.
    pub blob: Digest,
    /// Its archive, which is what it is unpacked under.
    pub archive: Digest,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: String,
    manifest: String,
    config: String,
    layers: Vec<(String, String)>,
    tree: String,
    bytes: u64,
    entries: u64,
    platform: String,
    environment: Vec<String>,
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Record { source, manifest, config, layers, tree, bytes, entries, platform, environment } = self.clone();
        let written = Written {
            source,
            manifest: manifest.to_string(),
            config: config.to_string(),
            layers: layers.iter().map(|layer| (layer.blob.to_string(), layer.archive.to_string())).collect(),
            tree: tree.to_string(),
            bytes,
            entries,
            platform,
            environment,
        };
        let mut text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Record> {
        let Written { source, manifest, config, layers, tree, bytes, entries, platform, environment } =
            serde_json::from_slice(bytes).ok()?;
        let digest = |text: &str| Digest::from_str(text).ok();
        let layer =
            |(blob, archive): &(String, String)| Some(LayerRecord { blob: digest(blob)?, archive: digest(archive)? });
        Some(Record {
            source,
            manifest: digest(&manifest)?,
            config: digest(&config)?,
            layers: layers.iter().map(layer).collect::<Option<_>>()?,
            tree: digest(&tree)?,
            bytes,
            entries,
            platform,
            environment,
        })
    }

    /// Everything in the store that it needs. Its filesystem image is there only if somebody asked for one.
    pub(crate) fn things(&self) -> impl Iterator<Item = (Kind, Digest)> {
        let own =
            [(Kind::Blob, self.manifest), (Kind::Blob, self.config), (Kind::Tree, self.tree), (Kind::Disk, self.tree)];
        let layers = self.layers.iter().flat_map(|layer| [(Kind::Blob, layer.blob), (Kind::Layer, layer.archive)]);
        own.into_iter().chain(layers)
    }
}
