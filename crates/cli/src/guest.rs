//! The first process of a microVM, built and embedded by the build script.

/// A static executable, C library and all: there is nothing else where it begins.
pub(crate) static GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/firebox-guest"));
