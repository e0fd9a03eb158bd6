//! Whose jobs share what is kept.

/// Whose jobs share what is kept: with each other, and with nobody else. Whoever looks from another partition cannot even
/// tell by the time it takes that the same code was built before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(Box<str>);

impl Partition {
    /// The partition of this name: who serves clients gives each of their keys one of its own.
    pub fn named(name: &str) -> Partition {
        Partition(name.into())
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }
}
