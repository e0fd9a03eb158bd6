//! Names in libraries that a linker has something to say about when a program has them, and that ours is silent on: a
//! program with one of these is for the system's linker.
//!
//! A library asks for a warning by a section `.gnu.warning.NAME` which holds what is to be said: of `gets`, `tmpnam` and
//! their like. And variables of threads, such as `errno` without its header, must not be taken for ordinary ones.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::elf::{Elf, OF_THREADS, OFFERED};

const SECTION: &str = ".gnu.warning.";

/// More than any of the files has. An allocator takes so much from the kernel by itself and gives it back at once, so nothing
/// of it stays with a process that waits; and what is not read into is no memory.
const ROOM: usize = 33 << 20;

/// Files that stand for others, one in the other, at most.
const DEPTH: u32 = 4;

/// Names in libraries that a linker has something to say about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warned(BTreeSet<String>);

/// Where a linker's command line has it look for libraries.
struct Search<'a> {
    directories: Vec<&'a Path>,
    warned: Warned,
    /// Where files are read into, one after the other.
    room: Vec<u8>,
}

impl Warned {
    /// The names of all files and libraries on a linker's command line; nothing where one of them cannot be found or not be
    /// understood. `own` is a file that is not there yet.
    pub fn by(line: &[String], own: &str) -> Option<Warned> {
        let directories = line.iter().filter_map(|word| word.strip_prefix("-L")).map(Path::new).collect();
        let mut search = Search { directories, warned: Warned::default(), room: Vec::with_capacity(ROOM) };
        let mut words = line.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "-o" | "-m" | "-dynamic-linker" => drop(words.next()?),
                word if word == own => {}
                word if word.starts_with("-l") => search.look_into(&search.find(word)?, DEPTH)?,
                word if word.starts_with('-') => {}
                word => search.look_into(Path::new(word), DEPTH)?,
            }
        }
        Some(search.warned)
    }

    /// Whether this is one of them.
    pub fn of(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl Search<'_> {
    /// Where a library is, or a file that a linker's script calls by its name alone.
    fn find(&self, word: &str) -> Option<PathBuf> {
        let names = match word.strip_prefix("-l") {
            Some(library) => vec![format!("lib{library}.so"), format!("lib{library}.a")],
            None => vec![word.to_owned()],
        };
        let mut places = self.directories.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
        places.find(|place| place.exists())
    }

    fn look_into(&mut self, file: &Path, depth: u32) -> Option<()> {
        self.room.clear();
        File::open(file).and_then(|mut file| file.read_to_end(&mut self.room)).ok()?;
        let bytes = self.room.as_slice();
        if let Some(elf) = Elf::read(bytes) {
            let names = elf.sections().iter().filter_map(|section| section.name.strip_prefix(SECTION));
            self.warned.0.extend(names.map(str::to_owned));
            for section in elf.sections().iter().filter(|section| section.kind == OFFERED) {
                let of_threads = elf.symbols(section)?.into_iter().filter(|symbol| symbol.kind == OF_THREADS);
                self.warned.0.extend(of_threads.map(|symbol| symbol.name.to_owned()));
            }
            return Some(());
        }
        if bytes.starts_with(b"!<arch>\n") {
            // What is in one is only looked at by a linker that needs it.
            // By what stands between two dots of it, of which there are few.
            let asks = bytes.split(|byte| *byte == b'.').any(|part| part == b"warning");
            return (!asks).then_some(());
        }
        // A text that stands for files.
        let depth = depth.checked_sub(1)?;
        for word in words_of_script(std::str::from_utf8(bytes).ok()?)? {
            let found = if word.starts_with('/') { Some(PathBuf::from(&word)) } else { self.find(&word) };
            self.look_into(&found?, depth)?;
        }
        Some(())
    }
}

/// The files that a linker's script names. Scripts that do more than that are not understood.
fn words_of_script(text: &str) -> Option<Vec<String>> {
    let mut rest = text;
    let mut bare = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        bare.push_str(before);
        bare.push(' ');
        rest = comment.split_once("*/")?.1;
    }
    bare.push_str(rest);
    let spaced = bare.replace('(', " ( ").replace(')', " ) ").replace(',', " ");
    let mut words = spaced.split_whitespace();
    let mut files = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "OUTPUT_FORMAT" => while words.next()? != ")" {},
            "GROUP" | "INPUT" | "AS_NEEDED" | "(" | ")" => {}
            word if word.contains(['{', '}', '=', ';', '"', '*']) => return None,
            word => files.push(word.to_owned()),
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_script_stands_for_the_files_that_it_names() {
        let text =
            "/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/libc.so.6 libx.a  AS_NEEDED ( -ly ) )\n";
        assert_eq!(words_of_script(text).unwrap(), ["/lib/libc.so.6", "libx.a", "-ly"]);
        for other in ["SECTIONS { .text : { *(.text) } }", "end = 5;", "/* open", "OUTPUT_FORMAT(elf"] {
            assert_eq!(words_of_script(other), None, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_found_or_understood_leaves_nothing_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for (name, content) in [
            ("plain.a", "!<arch>\n"),
            ("warns.a", "!<arch>\n .gnu.warning.f"),
            ("libtext.so", "INPUT(plain.a)"),
            ("libround.so", "INPUT(-lround)"),
            ("libgone.so", "INPUT(gone.a)"),
        ] {
            fs::write(path(name), content).unwrap();
        }
        let by = |words: &[String]| Warned::by(&[&[format!("-L{}", folder.path().display())], words].concat(), "own.o");
        let library = |name: &str| by(&[format!("-l{name}")]);

        assert_eq!(by(&[path("plain.a"), "own.o".to_owned()]), Some(Warned::default()));
        assert_eq!(library("text"), Some(Warned::default()));
        assert_eq!(by(&[path("warns.a")]), None, "an archive that warns, of what is not looked up");
        assert_eq!(by(&[path("missing.o")]), None);
        assert_eq!(library("missing"), None);
        assert_eq!(library("round"), None);
        assert_eq!(library("gone"), None);
    }
}
