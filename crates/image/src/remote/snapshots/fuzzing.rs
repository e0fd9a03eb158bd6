//! What a fuzzer is let in by.

use crate::remote::snapshots::chunks::{CHUNK, Chunks, most};
use crate::remote::snapshots::named::Named;

/// What is under a name: read as it was written, and no more than there can be.
pub(crate) fn named(bytes: &[u8]) {
    let Some(named) = Named::decode(bytes) else { return };
    let frozen = &named.record.frozen;
    assert!(named.bytes <= frozen.machine_bytes && frozen.machine_bytes <= crate::Frozen::MOST_MACHINE_BYTES);
    assert!(!frozen.name.to_string().contains('/') && !frozen.name.to_string().starts_with('.'), "{named:?}");
    assert_eq!(Named::decode(&named.encode()).as_ref(), Some(&named));
}

/// A list of the chunks of a memory that has three of them and a bit.
pub(crate) fn chunks(bytes: &[u8]) {
    const LENGTH: u64 = 3 * CHUNK + 4096;
    let Some(chunks) = Chunks::decode(bytes, LENGTH) else { return };
    assert!(bytes.len() as u64 <= most(LENGTH) && chunks.bytes() <= LENGTH);
    assert_eq!(chunks.all().map(|(stretch, _)| stretch.bytes).sum::<u64>(), LENGTH);
    assert!(chunks.encode() == bytes, "a list is not read as it was written");
}
