//! The identifier of a machine's generation, as Microsoft's "Virtual Machine Generation ID" has it: 16 bytes in the guest's memory that no two machines have in common, and an interrupt
//! that says they are others now. By that a guest's kernel hears that it goes on in a clone, and has its generator of randomness begin anew.
//!
//! ```text
//! load_linux --> a first one, and ACPI says where it is and what tells of another
//! Prepared::go --> another one, and the interrupt, before the first instruction
//! ```
//!
//! It stands at a place of its own, which Linux is told is not to be used ([`layout::GENERATION`](crate::layout::GENERATION)). Whoever runs something else has the
//! whole memory to themselves, and no such thing.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};
use vm_memory::{Bytes, GuestAddress};

use crate::arch::layout;
use crate::interrupt::{Interrupt, Line, LineError};
use crate::memory::Memory;

/// What a guest's kernel is told of its generation by.
pub(crate) struct Generation {
    /// What tells it that there is another one.
    news: Line,
}

/// Why a machine's generation has no identifier.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// The host gives none.
    #[error("the host gives no randomness for a machine to be told from others by: {0}")]
    Randomness(io::Error),
    /// Its interrupt could not be connected.
    #[error(transparent)]
    Line(#[from] LineError),
    /// There is no memory where it belongs.
    #[error("there is no memory at {:#x}, where a machine is told from others", layout::GENERATION)]
    NoPlace,
}

/// As long as the specification has it.
const BYTES: usize = 16;

impl Generation {
    /// Whatever stands where the identifier belongs, is left there.
    pub(crate) fn new(news: Line) -> Generation {
        Generation { news }
    }

    /// Writes an identifier that no machine has had. Nobody in there hears of it: to be called before the guest has looked for one.
    pub(crate) fn begin(&self, memory: &Memory) -> Result<(), GenerationError> {
        memory.write_slice(&drawn()?, GuestAddress(layout::GENERATION)).map_err(|_| GenerationError::NoPlace)
    }

    /// Likewise, and the guest hears of it. To be called when the chips are as they are to be, and no processor runs.
    pub(crate) fn renew(&self, memory: &Memory) -> Result<(), GenerationError> {
        self.begin(memory)?;
        self.news.raise();
        Ok(())
    }
}

fn drawn() -> Result<[u8; BYTES], GenerationError> {
    let mut identifier = [0; BYTES];
    let given = getrandom(&mut identifier, GetRandomFlags::empty());
    let given = given.map_err(|error| GenerationError::Randomness(error.into()))?;
    // The kernel gives so few all at once, or fails.
    if given == BYTES { Ok(identifier) } else { Err(GenerationError::Randomness(io::ErrorKind::UnexpectedEof.into())) }
}
