//! What a compiler asks a C compiler for when it wants a program linked, put as a linker has it.
//!
//! The program beside this library (`main.rs`) stands in a cell under the name of the C compiler, in front of it. To link
//! is the one thing it does itself, and only when it understands every word of what it was asked; everything else, and
//! whatever did not work out, it hands to the real one, word for word. So whoever reads an error reads the words of the
//! tools they know, and this crate never needs to know what a linker says.
//!
//! ```text
//! main --read--> Request --on this System--> a linker's command line --> the linker's library --> done
//!   `----------- anything else ------------------------------------------------`---> the real one
//! ```
//!
//! The same program, called `driver`, does what the driver of a compiler does, by commands that the driver has said
//! beforehand ([`Chain`]): it has the file compiled and assembled, and links what comes of that, if it is what all linkers
//! make the same of ([`is_ordinary`]) and none has anything to say about ([`Warned`]).
//!
//! What a C compiler adds to a command line of its own (start files, directories, the loader) is looked up where every
//! C compiler looks it up, by reading directories: no compiler is run for it.

mod chain;
mod elf;
mod next;
mod object;
mod request;
mod system;
mod warned;

pub use chain::Chain;
pub use next::next_in_line;
pub use object::is_ordinary;
pub use request::{Form, Request};
pub use system::System;
pub use warned::Warned;
