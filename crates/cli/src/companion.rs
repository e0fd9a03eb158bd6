//! A file that goes along with the program: `PATH`, or `NAME=PATH`.
//!
//! Looks at names and at whether there is a file of that name; opens nothing.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use firebox_job::{SourcePath, SourcePathError};

use crate::failure::Failure;

/// A file that goes along with the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Companion {
    /// What the program is to find it under, when the user says so.
    pub(crate) name: Option<SourcePath>,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// A text that names no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompanionError {
    /// The name is unusable inside a cell.
    #[error(transparent)]
    Name(#[from] SourcePathError),
    /// The name is no text.
    #[error("the name in `--file` {given:?} is not UTF-8")]
    NotText { given: OsString },
    /// There is nothing to read.
    #[error("`--file` {given:?} has no path; write `PATH` or `NAME=PATH`")]
    NoPath { given: OsString },
}

impl From<CompanionError> for Failure {
    fn from(error: CompanionError) -> Failure {
        Failure::request(error)
    }
}

impl Companion {
    /// Makes sense of what was typed. A text that names a file as a whole is that file, whatever characters it has.
    pub(crate) fn find(given: &OsStr) -> Result<Companion, CompanionError> {
        let bytes = given.as_bytes();
        let equals = bytes.iter().position(|&byte| byte == b'=').filter(|_| !Path::new(given).exists());
        let (name, path) = match equals {
            Some(at) => {
                let name = std::str::from_utf8(&bytes[..at])
                    .map_err(|_| CompanionError::NotText { given: given.to_owned() })?;
                (Some(source_path(name)?), OsStr::from_bytes(&bytes[at + 1..]))
            }
            None => (None, given),
        };
        if path.is_empty() {
            return Err(CompanionError::NoPath { given: given.to_owned() });
        }
        Ok(Companion { name, path: PathBuf::from(path) })
    }
}

/// A name among a job's files, as people write it: `./main.py` is `main.py`.
pub(crate) fn source_path(text: &str) -> Result<SourcePath, SourcePathError> {
    let parts: Vec<&str> = text.split('/').filter(|part| *part != ".").collect();
    SourcePath::new(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(text: impl AsRef<OsStr>) -> Result<(Option<String>, PathBuf), String> {
        let found = Companion::find(text.as_ref()).map_err(|error| error.to_string())?;
        Ok((found.name.map(|name| name.to_string()), found.path))
    }

    #[test]
    fn a_name_before_the_equals_sign_is_what_the_program_sees() {
        assert_eq!(found("lib/a.py=/srv/b.py"), Ok((Some("lib/a.py".into()), "/srv/b.py".into())));
        assert_eq!(found("./lib/./a.py=./b.py"), Ok((Some("lib/a.py".into()), "./b.py".into())));
        assert_eq!(found("a.py"), Ok((None, "a.py".into())));
    }

    #[test]
    fn a_text_that_names_a_file_as_a_whole_is_that_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a=b.py");
        assert!(found(&path).is_err(), "an absolute name, as long as there is no such file");
        fs::write(&path, "").unwrap();
        assert_eq!(found(&path), Ok((None, path)));
    }

    #[test]
    fn a_path_may_be_any_bytes_and_a_name_is_text() {
        let path = OsStr::from_bytes(b"a.py=\xff.py");
        assert_eq!(found(path), Ok((Some("a.py".into()), OsStr::from_bytes(b"\xff.py").into())));
        assert!(found(OsStr::from_bytes(b"\xff=a.py")).unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn a_name_that_could_leave_the_work_directory_is_refused() {
        for text in ["/etc/x=a", "../x=a", "=a", "a=", "", "a//b=c", ".=a", "./=a", "/./x=a"] {
            assert!(found(text).is_err(), "{text}");
        }
    }
}
