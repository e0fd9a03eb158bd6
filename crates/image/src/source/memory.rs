//! An image that is in memory: what is made up by tests, and by a fuzzer.

use std::collections::HashMap;
use std::io::Read;

use crate::digest::Digest;
use crate::document::{Descriptor, Platform};
use crate::source::{Source, SourceError};

/// An image for this host, of layers that are given.
#[derive(Default)]
pub(crate) struct InMemory {
    /// Its manifest.
    pub(crate) root: Vec<u8>,
    /// Its configuration and its layers as they are transferred.
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
}

impl InMemory {
    /// `pack` makes of an archive what is transferred.
    pub(crate) fn of<L: AsRef<[u8]>>(layers: &[L], pack: impl Fn(&[u8]) -> Vec<u8>) -> InMemory {
        let archives: Vec<String> = layers.iter().map(|layer| Digest::of(layer.as_ref()).to_string()).collect();
        let mut image = InMemory::default();
        let config = format!(
            r#"{{"os":"linux","architecture":"{}","config":{{"Env":["PATH=/bin"]}},"rootfs":{{"type":"layers","diff_ids":{archives:?}}}}}"#,
            Platform::of_this_host().architecture
        );
        let config = image.put(config.into_bytes());
        let blobs: Vec<String> = layers.iter().map(|layer| image.put(pack(layer.as_ref()))).collect();
        image.root = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, blobs.join(",")).into_bytes();
        image
    }

    /// What a manifest says of it.
    pub(crate) fn put(&mut self, blob: Vec<u8>) -> String {
        let digest = Digest::of(&blob);
        let described = format!(r#"{{"mediaType":"x","digest":"{digest}","size":{}}}"#, blob.len());
        self.blobs.insert(digest, blob);
        described
    }
}

impl Source for InMemory {
    fn root(&self, _: u64) -> Result<Vec<u8>, SourceError> {
        Ok(self.root.clone())
    }

    fn document(&self, descriptor: &Descriptor, _: u64) -> Result<Vec<u8>, SourceError> {
        Ok(self.found(descriptor)?.to_vec())
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let blob = self.found(descriptor)?;
        Ok(Box::new(&blob[(from as usize).min(blob.len())..]))
    }
}

impl InMemory {
    fn found(&self, descriptor: &Descriptor) -> Result<&[u8], SourceError> {
        let missing = || SourceError::Missing { place: "memory".to_owned(), what: descriptor.digest.to_string() };
        self.blobs.get(&descriptor.digest).map(Vec::as_slice).ok_or_else(missing)
    }
}
