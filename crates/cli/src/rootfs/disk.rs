//! The disk that microVMs have of an image.

use anyhow::Error;
use firebox_image::{HeldDisk, ImageName, Store};

use crate::failure::Failure;
use crate::line::{Line, Worth};

/// It, made if there is none yet. None where there is no such image.
pub(crate) fn disk(store: &Store, name: &ImageName) -> Result<Option<HeldDisk>, Failure> {
    store
        .filesystem_image(name)
        .map_err(|error| Failure::host(Error::new(error).context(format!("cannot make a disk of the image `{name}`"))))
}

/// Tells whoever watches that it is made, which may take some seconds.
pub(crate) fn making_it<T>(made: impl FnOnce() -> T) -> T {
    let line = Line::begin();
    line.show(Worth::AtOnce, || "making a disk of the image".to_owned());
    made()
}
