//! The program inside every cell, built and embedded by the build script.

/// A static executable. It travels inside this binary, so that there is one file to install and the two can never be
/// of different versions.
pub(crate) static AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/firebox-agent"));
