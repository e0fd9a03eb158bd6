//! What a fuzzer is let in by.

use crate::kernel::debian::{packages, release};

/// Where a mirror is asked next, whichever of its documents these bytes are.
pub(in crate::kernel) fn places(bytes: &[u8]) -> Vec<String> {
    let said = release::unchecked(bytes).ok();
    let list = said.and_then(|said| release::list_of_packages(&said).ok());
    let package = packages::find(bytes, "linux-image-cloud-amd64").ok();
    list.into_iter().chain(package).map(|(place, _)| place).collect()
}
