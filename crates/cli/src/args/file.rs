//! A file that goes along with the program: `PATH`, or `NAME=PATH`.

use std::path::PathBuf;
use std::str::FromStr;

use firebox_job::{SourcePath, SourcePathError};

/// A file that goes along with the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileArg {
    /// What the program is to find it under, when the user says so.
    pub(crate) name: Option<SourcePath>,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// A text that names no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileArgError {
    /// The name is unusable inside a cell.
    #[error(transparent)]
    Name(#[from] SourcePathError),
    /// There is nothing to read.
    #[error("there is no path; write `PATH` or `NAME=PATH`")]
    NoPath,
}

impl FromStr for FileArg {
    type Err = FileArgError;

    fn from_str(text: &str) -> Result<FileArg, FileArgError> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (Some(SourcePath::new(name)?), path),
            None => (None, text),
        };
        if path.is_empty() {
            return Err(FileArgError::NoPath);
        }
        Ok(FileArg { name, path: PathBuf::from(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_before_the_equals_sign_is_what_the_program_sees() {
        let file: FileArg = "lib/a.py=/srv/b.py".parse().unwrap();
        assert_eq!(file.name.unwrap().as_str(), "lib/a.py");
        assert_eq!(file.path, PathBuf::from("/srv/b.py"));
        assert_eq!("a.py".parse(), Ok(FileArg { name: None, path: PathBuf::from("a.py") }));
    }

    #[test]
    fn a_name_that_could_leave_the_work_directory_is_refused() {
        for text in ["/etc/x=a", "../x=a", "=a", "a="] {
            assert!(text.parse::<FileArg>().is_err(), "{text}");
        }
    }
}
