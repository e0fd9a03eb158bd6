//! An image that is too large, and what it needs: its layers are gone through once more, and nothing of them is kept.
//!
//! Whoever guessed too small a size is to be told which is enough, and not to guess again. What the layers come to is known only
//! when all of them were read; those that are not here are read as they come. That is bounded like everything that an image asks
//! for, so of one that is larger yet, only that it is too large is told.

use std::io::{BufReader, Read};

use crate::bounds::Bounds;
use crate::layer::tally::{Exceeded, Tally};
use crate::layer::unpack::{UnpackError, survey};
use crate::several::several;
use crate::store::Kind;
use crate::take_in::layers::Layers;
use crate::take_in::{Progress, Request, TakeInError};
use crate::tree::merge;

impl Layers<'_> {
    /// What an error says to whoever has asked: where the image is too large, what it needs.
    pub(super) fn told_what_it_needs(&self, error: TakeInError, request: &Request) -> TakeInError {
        let bounds = Bounds::for_survey();
        // What is past more than would be looked through needs no look.
        if !is_about_size(&error) || bounds.unpacked <= self.bounds.unpacked {
            return error;
        }
        (self.progress)(Progress::Surveying);
        match (Layers { bounds: &bounds, ..*self }).needed(request.parallel) {
            Ok(needed) => TakeInError::Size { needed, allowed: request.size },
            // What is wrong with it beyond that is found out by whoever lets it in.
            Err(_) => error,
        }
    }

    /// The least size with which it is taken in.
    fn needed(&self, parallel: usize) -> Result<u64, TakeInError> {
        self.check_sizes()?;
        let tally = Tally::new(self.bounds.clone());
        let indexes = several(self.image.layers.len(), parallel, |layer, stop| {
            let index = survey(self.read(layer)?, &tally, stop);
            index.map_err(|source| TakeInError::Unpack { layer: layer + 1, source })
        })?;
        let extent = merge(&indexes)?.extent();
        Ok(extent.bytes.max(tally.least_size(self.image.transferred())))
    }

    /// A layer from here, or as it comes.
    fn read(&self, layer: usize) -> Result<BufReader<Box<dyn Read + Send + '_>>, TakeInError> {
        let descriptor = &self.image.layers[layer];
        let given: Box<dyn Read + Send> = match self.store.has(Kind::Blob, &descriptor.digest) {
            true => Box::new(self.open_blob(layer)?),
            false => Box::new(self.source.blob(descriptor, 0)?.take(descriptor.size)),
        };
        Ok(BufReader::with_capacity(256 << 10, given))
    }
}

fn is_about_size(error: &TakeInError) -> bool {
    use Exceeded::{Inflated, Unpacked};

    match error {
        TakeInError::Transferred { .. } => true,
        TakeInError::Unpack { source: UnpackError::Exceeded(bound), .. } => matches!(bound, Unpacked(_) | Inflated(_)),
        _ => false,
    }
}
