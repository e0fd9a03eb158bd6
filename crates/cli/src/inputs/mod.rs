//! The files of a job, and what its program reads: opened and read as whoever called us.
//!
//! This happens after the process that makes cells has been split off and before privileges are dropped. Nothing
//! that is read is looked into here; it is bounded, and carried on as bytes.

mod budget;
mod error;
mod file;
mod folder;
mod name;
mod stdin;

use std::path::PathBuf;

use firebox_engine::Stdin;
use firebox_job::{ByteSize, SourceFile, SourcePath, Sources};

use crate::choice::Target;
use crate::companion::Companion;

pub(crate) use error::InputError;
pub(crate) use stdin::StdinSource;

use budget::Budget;
use error::Named;
use name::Base;

/// What to read.
pub(crate) struct Wanted {
    /// The program.
    pub(crate) target: Target,
    /// Other files that go along.
    pub(crate) files: Vec<Companion>,
    /// The file to start from, when it was named.
    pub(crate) entry: Option<SourcePath>,
    /// The name that code without one gets: where its language starts from.
    pub(crate) nameless: SourcePath,
    /// Where the program's standard input comes from.
    pub(crate) stdin: StdinSource,
    /// The most that all files may hold together.
    pub(crate) limit: ByteSize,
}

/// What was read.
pub(crate) struct Inputs {
    /// The files of the job.
    pub(crate) sources: Sources,
    /// What its program reads.
    pub(crate) stdin: Stdin,
}

/// Reads all of it, or says what is in the way.
pub(crate) fn read(wanted: Wanted) -> Result<Inputs, InputError> {
    let Wanted { target, files, entry, nameless, stdin, limit } = wanted;
    let mut budget = Budget::new(limit);
    let base = Base::of(&target)?;
    let folder = match &target {
        Target::Folder(path) => Some(path.clone()),
        Target::Text(_) | Target::Stdin | Target::File(_) => None,
    };
    let (mut sources, start) = match target {
        Target::Text(text) => {
            budget.spend("the code of `--code`", text.len() as u64)?;
            (vec![SourceFile { path: nameless.clone(), content: text.into_bytes() }], nameless)
        }
        Target::Stdin => {
            let content = stdin::read_code(&mut budget)?;
            (vec![SourceFile { path: nameless.clone(), content }], nameless)
        }
        Target::File(path) => {
            let name = name::bare(&path, Named::Program)?;
            (vec![SourceFile { path: name.clone(), content: file::read(&path, &mut budget)? }], name)
        }
        Target::Folder(path) => (folder::read(&path, &mut budget)?, nameless),
    };
    for Companion { name, path } in files {
        let name = match name {
            Some(name) => name,
            None => base.name(&path)?,
        };
        sources.push(SourceFile { path: name, content: file::read(&path, &mut budget)? });
    }
    if let Some(path) = folder {
        refuse_a_folder_without_a_start(path, &sources, entry.is_none().then_some(&start))?;
    }
    let sources = Sources::new(sources, Some(entry.unwrap_or(start)))?;
    refuse_an_empty_start(&sources)?;
    Ok(Inputs { sources, stdin: stdin.open()? })
}

/// A folder from which nobody has named a file to start from must hold the one that its language starts from.
fn refuse_a_folder_without_a_start(
    path: PathBuf,
    sources: &[SourceFile],
    start: Option<&SourcePath>,
) -> Result<(), InputError> {
    match start {
        _ if sources.is_empty() => Err(InputError::EmptyFolder { path }),
        Some(start) if sources.iter().all(|file| file.path != *start) => {
            Err(InputError::NoStart { path, entry: start.clone() })
        }
        _ => Ok(()),
    }
}

/// An empty program is a mistake (a file not saved, a pipe not filled), whatever a language would make of it. Other
/// files may well be empty.
fn refuse_an_empty_start(sources: &Sources) -> Result<(), InputError> {
    match sources.files().iter().find(|file| file.path == *sources.entry()) {
        Some(file) if file.content.is_empty() => Err(InputError::Empty { name: file.path.to_string() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;
    use crate::failure::Failure;

    fn wanted(target: Target) -> Wanted {
        Wanted {
            target,
            files: Vec::new(),
            entry: None,
            nameless: SourcePath::new("main.rs").unwrap(),
            stdin: StdinSource::Empty,
            limit: ByteSize::mib(1),
        }
    }

    fn names(wanted: Wanted) -> Result<Vec<String>, String> {
        let sources = read(wanted).map_err(|error| error.to_string())?.sources;
        let names = sources.files().iter().map(|file| file.path.to_string());
        Ok(std::iter::once(format!("{} starts", sources.entry())).chain(names).collect())
    }

    /// A folder that holds these files, each with its own name as its content.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        folder
    }

    fn companion(path: &Path) -> Companion {
        Companion { name: None, path: path.to_owned() }
    }

    #[test]
    fn nameless_code_is_called_what_its_language_starts_from() {
        assert_eq!(names(wanted(Target::Text("x".to_owned()))).unwrap(), ["main.rs starts", "main.rs"]);
    }

    #[test]
    fn a_file_keeps_its_name() {
        let folder = folder(&["sub/hello.rs"]);
        let target = Target::File(folder.path().join("sub/hello.rs"));
        assert_eq!(names(wanted(target)).unwrap(), ["hello.rs starts", "hello.rs"]);
    }

    #[test]
    fn other_files_keep_their_place_below_the_first_and_else_their_bare_name() {
        let folder = folder(&["app/main.py", "app/lib/a.py", "shared/b.py", "shared/c.py"]);
        let at = |name: &str| folder.path().join(name);
        let named = Companion { name: Some(SourcePath::new("lib/c.py").unwrap()), path: at("shared/c.py") };
        let files = vec![companion(&at("app/lib/a.py")), companion(&at("app/../shared/b.py")), named];
        let names = names(Wanted { files, ..wanted(Target::File(at("app/main.py"))) }).unwrap();
        assert_eq!(names, ["main.py starts", "main.py", "lib/a.py", "b.py", "lib/c.py"]);
    }

    #[test]
    fn a_folder_brings_every_file_and_starts_from_the_languages_own() {
        let folder = folder(&["main.rs", ".hidden", "a/b/c.txt"]);
        let names = names(wanted(Target::Folder(folder.path().to_owned()))).unwrap();
        assert_eq!(names, ["main.rs starts", ".hidden", "a/b/c.txt", "main.rs"]);
    }

    #[test]
    fn a_folder_without_the_languages_own_file_is_refused_unless_it_is_brought_along() {
        let folder = folder(&["app/other.rs", "start.rs", "none/.keep"]);
        let at = |name: &str| folder.path().join(name);
        let app = || wanted(Target::Folder(at("app")));
        assert!(names(app()).unwrap_err().ends_with("app` holds no `main.rs`"));
        let brought = Companion { name: SourcePath::new("main.rs").ok(), path: at("start.rs") };
        assert_eq!(names(Wanted { files: vec![brought], ..app() }).unwrap()[0], "main.rs starts");
        fs::remove_file(at("none/.keep")).unwrap();
        let none = Wanted { entry: SourcePath::new("x.rs").ok(), ..wanted(Target::Folder(at("none"))) };
        assert!(names(none).unwrap_err().ends_with("none` holds no files"));
    }

    #[test]
    fn a_name_that_is_not_text_is_refused_with_what_helps() {
        let folder = folder(&["main.rs"]);
        let odd = folder.path().join(OsStr::from_bytes(b"\xff.rs"));
        fs::write(&odd, "x").unwrap();
        let help = |wanted| Failure::from(read(wanted).err().unwrap()).message().unwrap();
        let main = || wanted(Target::File(folder.path().join("main.rs")));
        let along =
            |name: Option<&str>| Companion { name: name.map(|n| SourcePath::new(n).unwrap()), path: odd.clone() };
        assert!(help(wanted(Target::File(odd.clone()))).contains("a name that is UTF-8"));
        assert!(help(Wanted { files: vec![along(None)], ..main() }).contains("`--file NAME=PATH`"));
        assert_eq!(names(Wanted { files: vec![along(Some("a.rs"))], ..main() }).unwrap()[2], "a.rs");
    }

    #[test]
    fn an_entry_that_was_named_is_where_it_starts() {
        let folder = folder(&["main.rs", "other.rs"]);
        let entry = Some(SourcePath::new("other.rs").unwrap());
        let names = names(Wanted { entry, ..wanted(Target::Folder(folder.path().to_owned())) }).unwrap();
        assert_eq!(names[0], "other.rs starts");
    }

    #[test]
    fn what_makes_no_program_is_refused_with_what_and_where() {
        let folder = folder(&["main.rs", "twice/main.rs", "big.rs"]);
        let at = |name: &str| folder.path().join(name);
        fs::write(at("empty.rs"), "").unwrap();
        fs::write(at("big.rs"), vec![b'x'; (1 << 20) + 1]).unwrap();
        let file = |name| wanted(Target::File(at(name)));
        let limit = ByteSize::bytes(10);
        for (wanted, words) in [
            (file("empty.rs"), vec!["`empty.rs` is empty"]),
            (wanted(Target::Text(String::new())), vec!["`main.rs` is empty"]),
            (file("missing.rs"), vec!["cannot read", "missing.rs"]),
            (file("twice"), vec!["twice", "is a directory, not a file"]),
            (file("big.rs"), vec!["1048577 bytes", "1 MiB"]),
            (Wanted { limit, ..wanted(Target::Text("x".repeat(11))) }, vec!["11 bytes", "10 bytes"]),
            (Wanted { files: vec![companion(&at("twice"))], ..file("main.rs") }, vec!["is a directory"]),
            (
                Wanted {
                    files: vec![Companion { name: SourcePath::new("main.rs").ok(), path: at("twice/main.rs") }],
                    ..file("main.rs")
                },
                vec!["two files are named \"main.rs\""],
            ),
            (Wanted { entry: SourcePath::new("no.rs").ok(), ..file("main.rs") }, vec!["\"no.rs\"", "main.rs"]),
            (Wanted { stdin: StdinSource::File(at("missing")), ..file("main.rs") }, vec!["cannot read", "missing"]),
            (Wanted { stdin: StdinSource::File(at("twice")), ..file("main.rs") }, vec!["is a directory"]),
            (file("/dev/null"), vec!["is a character device, not a file"]),
        ] {
            let error = names(wanted).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{error:?} does not say {word:?}");
            }
        }
    }

    #[test]
    fn files_together_are_held_to_the_limit() {
        let folder = folder(&["main.rs", "a", "b"]);
        let limit = ByteSize::bytes(8);
        let error = names(Wanted { limit, ..wanted(Target::Folder(folder.path().to_owned())) }).unwrap_err();
        assert!(error.contains("9 bytes") && error.contains("8 bytes"), "{error}");
    }
}
