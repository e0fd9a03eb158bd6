//! The commands that make a program out of one file, as a compiler's driver has said them: compile, assemble, link.
//!
//! Given as words: the variables that the driver sets for the linker, each of the commands, and the driver's own. In front of
//! each but the last is the number of its words.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The commands that make a program out of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Writes assembly language to its standard output.
    pub compiler: Vec<OsString>,
    /// Reads it from its standard input.
    pub assembler: Vec<OsString>,
    /// The linker of the system.
    pub linker: Vec<OsString>,
    /// What it finds in its environment besides.
    pub variables: Vec<(OsString, OsString)>,
    /// The same for ours, a name for itself first.
    pub ours: Vec<String>,
    /// What the assembler makes.
    pub object: PathBuf,
    /// What the linker makes.
    pub program: PathBuf,
    /// What does all of it, and says what is to be said.
    pub driver: Vec<OsString>,
}

impl Chain {
    /// Reads the words; nothing when they are no such commands.
    pub fn read(words: &[OsString]) -> Option<Chain> {
        let (variables, rest) = counted(words)?;
        let (compiler, rest) = counted(rest)?;
        let (assembler, rest) = counted(rest)?;
        let (linker, driver) = counted(rest)?;
        let object = made_by(assembler)?;
        let variables: Option<Vec<_>> = variables.iter().map(variable).collect();
        let ours: Option<Vec<String>> = linker.iter().map(|word| word.to_str().map(str::to_owned)).collect();
        let ours = without_plugins(ours?)?;
        let program = PathBuf::from(after_o(ours.iter().map(OsStr::new))?);
        let links_once = ours.iter().filter(|word| OsStr::new(word.as_str()) == object).count() == 1;
        if made_by(compiler)? != "-" || !links_once || driver.is_empty() {
            return None;
        }
        Some(Chain {
            compiler: compiler.to_vec(),
            assembler: assembler.to_vec(),
            object: object.into(),
            program,
            linker: linker.to_vec(),
            variables: variables?,
            ours,
            driver: driver.to_vec(),
        })
    }
}

/// Some words, with the number of them in front; and what follows them.
fn counted(words: &[OsString]) -> Option<(&[OsString], &[OsString])> {
    let (count, rest) = words.split_first()?;
    let count: usize = count.to_str()?.parse().ok()?;
    rest.split_at_checked(count)
}

fn variable(word: &OsString) -> Option<(OsString, OsString)> {
    let (name, value) = word.to_str()?.split_once('=')?;
    Some((name.into(), value.into()))
}

fn made_by(command: &[OsString]) -> Option<&OsStr> {
    after_o(command.iter().map(OsString::as_os_str))
}

/// What is made, if that is said once.
fn after_o<'a>(mut words: impl Iterator<Item = &'a OsStr>) -> Option<&'a OsStr> {
    words.find(|word| *word == "-o")?;
    let made = words.next()?;
    (made != "-o" && words.all(|word| word != "-o")).then_some(made)
}

/// Plugins are for object code of another kind, which is not linked here.
fn without_plugins(line: Vec<String>) -> Option<Vec<String>> {
    let mut kept = Vec::new();
    let mut words = line.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-plugin" => drop(words.next()?),
            _ if word.starts_with("-plugin-opt") => {}
            _ => kept.push(word),
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Chain> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Chain::read(&words)
    }

    const LINE: &str =
        "1 A=b 4 cc1 main.c -o - 4 as --64 -o /tmp/x.o 8 ld -plugin p -plugin-opt=q -o runbin /tmp/x.o -lc gcc main.c";

    #[test]
    fn three_commands_and_the_one_that_does_it_all() {
        let chain = read(LINE).unwrap();
        assert_eq!(chain.compiler, ["cc1", "main.c", "-o", "-"]);
        assert_eq!(chain.assembler, ["as", "--64", "-o", "/tmp/x.o"]);
        assert_eq!(chain.linker, ["ld", "-plugin", "p", "-plugin-opt=q", "-o", "runbin", "/tmp/x.o", "-lc"]);
        assert_eq!(chain.variables, [("A".into(), "b".into())]);
        assert_eq!(chain.ours, ["ld", "-o", "runbin", "/tmp/x.o", "-lc"]);
        assert_eq!(chain.driver, ["gcc", "main.c"]);
        assert_eq!((chain.object.to_str(), chain.program.to_str()), (Some("/tmp/x.o"), Some("runbin")));
    }

    #[test]
    fn other_commands_are_not_understood() {
        for (from, to) in [
            ("A=b", "A"),
            ("1 A=b", "0 A=b"),
            ("4 cc1", "5 cc1"),
            ("4 cc1", "0 cc1"),
            ("4 cc1", "x cc1"),
            ("-o - ", "-o a.s "),
            ("--64 -o", "-o -o"),
            ("runbin /tmp/x.o", "runbin /tmp/y.o"),
            ("/tmp/x.o -lc", "/tmp/x.o /tmp/x.o"),
            ("8 ld", "80 ld"),
            (
                "8 ld -plugin p -plugin-opt=q -o runbin /tmp/x.o -lc gcc main.c",
                "7 ld -plugin p -plugin-opt=q -o runbin /tmp/x.o",
            ),
        ] {
            assert!(LINE.contains(from), "{from}");
            assert_eq!(read(&LINE.replacen(from, to, 1)), None, "{from} -> {to}");
        }
    }
}
