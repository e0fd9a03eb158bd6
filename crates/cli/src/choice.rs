//! Which program was meant, and in which language it is.
//!
//! Looks at names and at what kind of thing they name; opens nothing. That comes later, when the process that makes
//! cells has been split off.

use std::io;
use std::path::{Path, PathBuf};

use firebox_job::SourcePath;
use firebox_lang::{Catalogue, Language, UnknownLanguage};
use rustix::fs::Access;

use crate::failure::Failure;
use crate::whereabouts::looked_for;

/// The program that was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// This text.
    Text(String),
    /// What comes from standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// All files of a folder.
    Folder(PathBuf),
}

/// Why it is not known which program, or which language, was meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChoiceError {
    /// There is nothing of that name, or it may not be looked at.
    #[error("cannot read `{}`", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Code without a name, and no language either.
    #[error("the language of {what} is not known")]
    NoLanguage { what: &'static str },
    /// A name that does not end in anything known.
    #[error("`{}` does not say which language it is in: {why}", .path.display())]
    NoExtension { path: PathBuf, why: String },
    /// A folder without a file to start from.
    #[error("folder `{}` holds none of {names}", .path.display())]
    NoEntry { path: PathBuf, names: String },
    /// A folder that several languages could start from.
    #[error("folder `{}` holds {names}; which one is meant?", .path.display())]
    SeveralEntries { path: PathBuf, names: String },
    /// No language has this name.
    #[error(transparent)]
    Unknown(#[from] UnknownLanguage),
}

impl ChoiceError {
    /// What to do about it, where the message does not say so itself.
    fn help(&self) -> Option<String> {
        let help = match self {
            ChoiceError::Unreadable { path, source } => return looked_for(path, source),
            ChoiceError::Unknown(_) => return None,
            ChoiceError::NoLanguage { .. } => "name it with `--lang`, such as `--lang python`",
            ChoiceError::NoExtension { .. } => "name the language with `--lang`; `firebox languages` lists all",
            ChoiceError::NoEntry { .. } => "name the file to start from with `--entry`",
            ChoiceError::SeveralEntries { .. } => "name the language with `--lang`, or the file with `--entry`",
        };
        Some(help.to_owned())
    }
}

impl From<ChoiceError> for Failure {
    fn from(error: ChoiceError) -> Failure {
        let help = error.help();
        Failure::request(error).with_help_if(help)
    }
}

impl Target {
    /// Tells a file from a folder by looking at it.
    pub(crate) fn find(path: PathBuf) -> Result<Target, ChoiceError> {
        if path.as_os_str() == "-" {
            return Ok(Target::Stdin);
        }
        // Asked before it is opened, so that a file which may not be read is told of before anything is made for it.
        match rustix::fs::access(&path, Access::READ_OK).map_err(io::Error::from).and_then(|()| path.metadata()) {
            Ok(metadata) if metadata.is_dir() => Ok(Target::Folder(path)),
            // What is neither is refused where it is opened, with what it is.
            Ok(_) => Ok(Target::File(path)),
            Err(source) => Err(ChoiceError::Unreadable { path, source }),
        }
    }
}

/// The language of a program: the one that was named, or else the one that the file to start from belongs to.
pub(crate) fn choose_language<'c>(
    catalogue: &'c Catalogue,
    target: &Target,
    named: Option<&str>,
    entry: Option<&SourcePath>,
) -> Result<&'c Language, ChoiceError> {
    if let Some(name) = named {
        return Ok(catalogue.find(name)?);
    }
    match (target, entry) {
        (Target::Text(_), None) => Err(ChoiceError::NoLanguage { what: "the code of `--code`" }),
        (Target::Stdin, None) => Err(ChoiceError::NoLanguage { what: "code from standard input" }),
        (_, Some(entry)) => by_extension(catalogue, Path::new(entry.as_str())),
        (Target::File(path), None) => by_extension(catalogue, path),
        (Target::Folder(path), None) => by_entry(catalogue, path),
    }
}

fn by_extension<'c>(catalogue: &'c Catalogue, path: &Path) -> Result<&'c Language, ChoiceError> {
    let refuse = |why| ChoiceError::NoExtension { path: path.to_owned(), why };
    let Some(extension) = path.extension() else {
        return Err(refuse("its name has no extension".to_owned()));
    };
    let found = extension.to_str().and_then(|extension| catalogue.by_extension(extension));
    found.ok_or_else(|| refuse(format!("no language's files end in `.{}`", extension.display())))
}

fn by_entry<'c>(catalogue: &'c Catalogue, folder: &Path) -> Result<&'c Language, ChoiceError> {
    let starts_here = |language: &&Language| folder.join(language.entry().as_str()).is_file();
    let found: Vec<&Language> = catalogue.languages().filter(starts_here).collect();
    let path = folder.to_owned();
    match found.as_slice() {
        [language] => Ok(language),
        [] => Err(ChoiceError::NoEntry { path, names: entries(catalogue.languages()) }),
        several => Err(ChoiceError::SeveralEntries { path, names: entries(several.iter().copied()) }),
    }
}

fn entries<'l>(languages: impl Iterator<Item = &'l Language>) -> String {
    let names: Vec<String> = languages.map(|language| format!("`{}`", language.entry())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The language's name, or the message.
    fn chosen(target: &Target, named: Option<&str>, entry: Option<&str>) -> Result<String, String> {
        let entry = entry.map(|entry| SourcePath::new(entry).unwrap());
        choose_language(&Catalogue::builtin(), target, named, entry.as_ref())
            .map(|language| language.name().to_owned())
            .map_err(|error| error.to_string())
    }

    fn file(name: &str) -> Target {
        Target::File(PathBuf::from(name))
    }

    #[test]
    fn the_language_is_the_one_named_or_that_of_the_file_to_start_from() {
        for (target, named, entry, language) in [
            (file("a/hello.rs"), None, None, "rust"),
            (file("hello.txt"), Some("python"), None, "python"),
            (file("hello.rs"), Some("python"), None, "python"),
            (file("hello.txt"), None, Some("app.py"), "python"),
            (Target::Text("x".to_owned()), Some("bash"), None, "bash"),
            (Target::Stdin, None, Some("main.py"), "python"),
        ] {
            assert_eq!(chosen(&target, named, entry).as_deref(), Ok(language), "{target:?}");
        }
    }

    #[test]
    fn a_language_that_is_not_known_is_asked_for() {
        for (target, words) in [
            (Target::Stdin, "standard input"),
            (Target::Text(String::new()), "--code"),
            (file("Makefile"), "no extension"),
            (file("a.xyz"), "`.xyz`"),
        ] {
            let error = chosen(&target, None, None).unwrap_err();
            assert!(error.contains(words), "{target:?}: {error}");
        }
    }

    #[test]
    fn a_folder_starts_from_the_entry_of_a_language() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::Folder(folder.path().to_owned());
        assert!(chosen(&target, None, None).unwrap_err().contains("`main.rs`"));
        fs::write(folder.path().join("main.rs"), "").unwrap();
        assert_eq!(chosen(&target, None, None).as_deref(), Ok("rust"));
        fs::write(folder.path().join("main.py"), "").unwrap();
        let error = chosen(&target, None, None).unwrap_err();
        assert!(error.contains("`main.py`") && error.contains("`main.rs`"), "{error}");
        assert_eq!(chosen(&target, None, Some("main.py")).as_deref(), Ok("python"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = Target::find(PathBuf::from("nowhere/x.rs")).unwrap_err();
        assert!(error.to_string().contains("nowhere/x.rs"), "{error}");
        assert_eq!(Target::find(PathBuf::from("-")).unwrap(), Target::Stdin);
    }
}
