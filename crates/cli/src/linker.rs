//! The linker of cells, built and embedded by the build script.

use firebox_lang::Linker;

/// An executable of its own, rather than another entry of this one: a cell then holds nothing that it has no use for,
/// and nothing that tells where this binary was built.
pub(crate) static LINKER: Linker = Linker(include_bytes!(concat!(env!("OUT_DIR"), "/firebox-linker")));
