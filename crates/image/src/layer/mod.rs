//! A layer: an archive of what it adds to the layers below it, and of what it takes away.
//!
//! [`unpack`](unpack::unpack) reads a layer once and writes each file of it under a number. No name of the image is
//! ever a name on the host at that point: names, links and owners go into an [`Index`](index::Index). What the layers
//! of an image come to together is worked out from their indexes alone, in `tree`.

pub(crate) mod attributes;
pub(crate) mod entry;
pub(crate) mod index;
pub(crate) mod inflate;
pub(crate) mod path;
pub(crate) mod tally;
pub(crate) mod tar;
pub(crate) mod unpack;
