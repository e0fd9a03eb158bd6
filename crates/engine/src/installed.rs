//! A language that jobs can be in, here.

use std::io;

use firebox_lang::{Language, Sighting, Toolchain, Witness};

/// A language of this host, and what was found of it. Its place in the engine's list is its view's number.
#[derive(Debug)]
pub struct Installed {
    /// The language.
    pub language: Language,
    /// Its programs on this host, and what a cell sees of them.
    pub toolchain: Toolchain,
    /// Tells this toolchain from another one in its place.
    witness: Option<Witness>,
}

impl Installed {
    /// What was found, for as long as nobody changes it.
    pub fn new(language: Language, toolchain: Toolchain) -> Installed {
        Installed { language, toolchain, witness: None }
    }

    /// Takes hold of the toolchain: from here on, what is left of a job for later ones (a build, the start of a tool) goes out
    /// when the toolchain is changed. To be called with the rights that it was found with, and after the warden was split
    /// off, which has no use for it.
    pub fn take_hold(&mut self) -> io::Result<()> {
        self.witness = Some(self.toolchain.witness()?);
        Ok(())
    }

    /// What the toolchain looks like now; none where that cannot be told.
    pub(crate) fn look(&self) -> Option<Vec<Sighting>> {
        self.witness.as_ref()?.look().ok()
    }
}
