//! What looked like a program and was not taken, and why: the better half of a message about a missing one.

use std::io;
use std::path::PathBuf;

/// Something on the search path that has the right name and was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {reason}", .path.display())]
pub struct PassedOver {
    /// Where it is.
    pub path: PathBuf,
    /// Why it was not taken.
    pub reason: PassReason,
}

/// Why something on the search path was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassReason {
    /// A shell would pass it over, too.
    #[error("is not an executable file")]
    NotExecutable,
    /// It could not be looked at.
    #[error("cannot be read ({error})")]
    Unreadable {
        /// The kind of error.
        error: io::ErrorKind,
    },
    /// Neither a program nor a script.
    #[error("is no program of this system")]
    NotAProgram,
    /// Asdf, Nix and many others put scripts in front of programs; what those would run is theirs to know.
    #[error("is a script, perhaps a version manager's shim; put the directory of the real program on PATH")]
    Script,
    /// A program that picks another one when it runs.
    #[error("is `{manager}`, which stands for another program; put that one's directory on PATH")]
    StandIn {
        /// The name of the program that it really is.
        manager: String,
    },
    /// Rustup has nothing to stand for.
    #[error("belongs to rustup, which has no toolchain chosen; run `rustup default stable`")]
    NoRustupToolchain,
    /// What rustup was told to use is not there.
    #[error(
        "belongs to rustup, whose toolchain `{toolchain}` is not installed; run `rustup toolchain install {toolchain}`"
    )]
    RustupToolchainMissing {
        /// The toolchain chosen.
        toolchain: String,
    },
    /// What pyenv was told to use is not there.
    #[error("belongs to pyenv, which has no `{version}` with this program; run `pyenv install {version}`")]
    PyenvVersionMissing {
        /// The version chosen; several are separated by colons.
        version: String,
    },
    /// The toolchain is there, but this program is not in it.
    #[error("stands for {}, which is not there", .program.display())]
    NotInToolchain {
        /// What it stands for.
        program: PathBuf,
    },
    /// There is no telling what else a toolchain without a `bin` directory lies among.
    #[error("is not in a directory called `bin`, so what belongs to it cannot be told from what does not")]
    NotInBin,
    /// Mounting this would show the job what is none of its business.
    #[error("would show the job all of {}; install it into a directory of its own", .prefix.display())]
    PrefixTooWide {
        /// The directory that its toolchain would be.
        prefix: PathBuf,
    },
    /// Two toolchains cannot appear in one place.
    #[error("belongs to another toolchain than what appears at {} already", .at.display())]
    PlaceTaken {
        /// The place in the cell.
        at: PathBuf,
    },
    /// What its language's jobs need besides was not made.
    #[error("is there, and what jobs need besides was not made of it yet; run `firebox languages prepare {language}`")]
    NoGroundwork {
        /// The language.
        language: String,
    },
    /// The language's file has no place for it.
    #[error("is outside of the system's directories, and the language's file says no place for it")]
    NoPlace,
}

impl PassReason {
    /// Whether the language is there, and its version manager is only to be told which version to use: whoever hears
    /// that and "install the language" as well has been told two things, one of them wrong.
    pub(crate) fn is_cured_by_the_manager(&self) -> bool {
        match self {
            PassReason::NoRustupToolchain
            | PassReason::RustupToolchainMissing { .. }
            | PassReason::PyenvVersionMissing { .. }
            | PassReason::NoGroundwork { .. } => true,
            PassReason::NotExecutable
            | PassReason::Unreadable { .. }
            | PassReason::NotAProgram
            | PassReason::Script
            | PassReason::StandIn { .. }
            | PassReason::NotInToolchain { .. }
            | PassReason::NotInBin
            | PassReason::PrefixTooWide { .. }
            | PassReason::PlaceTaken { .. }
            | PassReason::NoPlace => false,
        }
    }
}
