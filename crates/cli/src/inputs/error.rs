//! Why a job's files cannot be read.

use std::io;
use std::path::PathBuf;

use firebox_job::{ByteSize, SourcePath, SourcePathError, Sources, SourcesError};

use crate::failure::Failure;
use crate::whereabouts::looked_for;

/// Why a job's files cannot be read. Paths as typed are shown as typed; names that were found in a folder are quoted,
/// since whoever chose them may have chosen an escape sequence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// The kernel does not let us.
    #[error("cannot read `{}`", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Stdin { source: io::Error },
    /// Something else stands where a file is meant.
    #[error("`{}` is a {kind}, not a file", .path.display())]
    NoFile { path: PathBuf, kind: &'static str },
    /// A name that is no text, or has no last part, cannot be given to a file in a cell.
    #[error("the name of {path:?} cannot be used in a cell")]
    NoName { path: PathBuf, of: Named },
    /// A name is refused for what it is.
    #[error(transparent)]
    Name(#[from] SourcePathError),
    /// The files do not go together.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The file that the language starts from is not there, and no other was named.
    #[error("folder `{}` holds no `{entry}`", .path.display())]
    NoStart { path: PathBuf, entry: SourcePath },
    /// A folder brings nothing, and nothing else goes along.
    #[error("folder `{}` holds no files", .path.display())]
    EmptyFolder { path: PathBuf },
    /// There is no program.
    #[error("`{name}` is empty")]
    Empty { name: String },
    /// More than is taken.
    #[error("{what} brings code and files to {total}, the limit is {limit}")]
    TooLarge { what: String, total: String, limit: ByteSize },
    /// A folder holds more files than a job.
    #[error("folder `{}` holds more than {} files", .path.display(), Sources::MAX_FILES)]
    TooManyFiles { path: PathBuf },
    /// Something in a folder cannot go along, and leaving it out silently would be worse.
    #[error("{name:?} in folder `{}` {why}", .folder.display())]
    Inside { folder: PathBuf, name: String, why: &'static str },
    /// Something in a folder cannot be read.
    #[error("cannot read {name:?} in folder `{}`", .folder.display())]
    UnreadableInside { folder: PathBuf, name: String, source: io::Error },
}

/// Whose name cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// The program's.
    Program,
    /// That of a file that goes along.
    Companion,
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Failure {
        let help = error.help();
        Failure::request(error).with_help_if(help)
    }
}

impl InputError {
    /// What to do about it, where the message does not say so itself.
    fn help(&self) -> Option<String> {
        let help = match self {
            InputError::Unreadable { path, source } => return looked_for(path, source),
            InputError::NoFile { kind: "pipe", .. } => "use `-` to take the code from standard input",
            InputError::NoFile { kind: "directory", .. } => {
                "name a file; only the program itself can be a whole folder"
            }
            InputError::Sources(SourcesError::NoSuchEntry { .. }) => "`--entry` names the file to start from",
            InputError::NoStart { .. } => "name the file to start from with `--entry`",
            InputError::EmptyFolder { .. } => "put the program's files into it, or name another folder",
            InputError::NoName { of: Named::Program, .. } => "give the file a name that is UTF-8",
            InputError::NoName { of: Named::Companion, .. } => "say what to call it with `--file NAME=PATH`",
            InputError::Empty { .. } => "give the program's text; has the file been saved?",
            InputError::TooLarge { .. } => "`--input` raises the limit, up to 64 MiB",
            InputError::TooManyFiles { .. } => "name the program's files one by one with `--file`",
            InputError::Inside { .. } => "move it out of the folder, or name the files one by one with `--file`",
            InputError::NoFile { .. }
            | InputError::UnreadableInside { .. }
            | InputError::Stdin { .. }
            | InputError::Name(_)
            | InputError::Sources(_) => return None,
        };
        Some(help.to_owned())
    }
}
