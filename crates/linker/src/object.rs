//! Whether all linkers would make the same of a file of object code, and none would have anything to say about it.
//!
//! What compilers make of ordinary programs is known here. All else (common variables, indirect functions, sections of the
//! program's own, an executable stack) is for the system's linker, whose words and whose choices are then those that count.

use crate::Warned;
use crate::elf::{Elf, NOTHING, OF_THREADS, RELOCATIONS, SYMBOLS, Section, Symbol, relocations};

const WRITABLE: u64 = 1;
const LOADED: u64 = 2;
const EXECUTABLE: u64 = 4;

/// x86-64, by its number.
const MACHINE: u16 = 62;

/// Besides these three: what may be merged, is made of texts, says more in the field for it, is part of a group, and is of
/// threads.
const KNOWN: u64 = WRITABLE | LOADED | EXECUTABLE | 0x10 | 0x20 | 0x40 | 0x200 | 0x400;

/// What is in the file as it is loaded, what has addresses of functions to call, and what is a note.
const CONTENT: u32 = 1;
const NOTE: u32 = 7;
const FIRST_CALLS: u32 = 14;
const LAST_CALLS: u32 = 15;

/// What holds code and data, by how the names begin, and of what kind it is. A name of these goes on with a dot, or ends.
const ORDINARY: [(&str, u32); 11] = [
    (".text", CONTENT),
    (".data", CONTENT),
    (".bss", NOTHING),
    (".rodata", CONTENT),
    (".tdata", CONTENT),
    (".tbss", NOTHING),
    (".init_array", FIRST_CALLS),
    (".fini_array", LAST_CALLS),
    (".eh_frame", CONTENT),
    (".gcc_except_table", CONTENT),
    (".note.gnu.property", NOTE),
];
/// What is about these, or for nobody.
const ABOUT: [&str; 5] = [".symtab", ".strtab", ".shstrtab", ".comment", ".group"];
/// Says by being there what the stack need not be.
const STACK: &str = ".note.GNU-stack";

/// Addresses that depend on how far one thing is from another, and not on where the program is: of anything in it, of its
/// table of addresses, and of variables of threads.
const RELATIVE: [u32; 10] = [2, 4, 9, 19, 20, 21, 22, 23, 41, 42];
/// A whole address.
const ADDRESS: u32 = 1;

/// Names that a linker's script gives a meaning to.
const SCRIPT: [&str; 13] = [
    "etext",
    "_etext",
    "__etext",
    "edata",
    "_edata",
    "end",
    "_end",
    "__bss_start",
    "__executable_start",
    "__ehdr_start",
    "_DYNAMIC",
    "__dso_handle",
    "_PROCEDURE_LINKAGE_TABLE_",
];
/// And how others begin.
const SCRIPTS: [&str; 5] = ["__start_", "__stop_", "__init_array_", "__fini_array_", "__preinit_array_"];

/// Whether all linkers would make the same of this file, in silence.
pub fn is_ordinary(object: &[u8], warned: &Warned) -> bool {
    let Some(elf) = Elf::read(object) else { return false };
    let sections = elf.sections();
    let stack = sections.iter().find(|section| section.name == STACK);
    elf.machine() == MACHINE
        && elf.is_object()
        && stack.is_some_and(|stack| stack.flags & EXECUTABLE == 0)
        && sections.iter().skip(1).all(|section| section_is_ordinary(section, sections))
        && sections.iter().filter(|section| section.kind == SYMBOLS).all(|section| {
            let symbols = elf.symbols(section);
            symbols.is_some_and(|symbols| symbols.iter().all(|symbol| symbol_is_ordinary(symbol, warned)))
        })
}

fn section_is_ordinary(section: &Section<'_>, all: &[Section<'_>]) -> bool {
    if section.kind == RELOCATIONS {
        let about = usize::try_from(section.info).ok().and_then(|number| all.get(number));
        return about.is_some_and(|about| {
            let writable = about.flags & WRITABLE != 0;
            let fits = |kind| RELATIVE.contains(&kind) || writable && kind == ADDRESS;
            about.flags & LOADED != 0 && relocations(section).all(fits)
        });
    }
    let begins =
        |prefix: &str| section.name.strip_prefix(prefix).is_some_and(|rest| matches!(rest.get(..1), None | Some(".")));
    let writable = section.flags & WRITABLE != 0;
    let executable = section.flags & EXECUTABLE != 0;
    section.flags & !KNOWN == 0
        && (section.name == STACK
            || ABOUT.contains(&section.name) && section.flags & (LOADED | EXECUTABLE) == 0
            || ORDINARY.iter().any(|(prefix, kind)| begins(prefix) && section.kind == *kind)
                && executable == begins(".text")
                && !(writable && executable))
}

fn symbol_is_ordinary(symbol: &Symbol<'_>, warned: &Warned) -> bool {
    const FILE: u8 = 4;
    /// Nothing in particular, data, a function, a section, a file, a variable of threads.
    const KINDS: [u8; 6] = [0, 1, 2, 3, FILE, OF_THREADS];
    const LOCAL: u8 = 0;
    /// Global, and weak.
    const BINDINGS: [u8; 3] = [LOCAL, 1, 2];
    const NOWHERE: u16 = 0;
    const SPECIAL: u16 = 0xff00;
    /// As it is by default, or hidden.
    const VISIBLE: [u8; 2] = [0, 2];

    if !KINDS.contains(&symbol.kind) || !BINDINGS.contains(&symbol.binding) {
        return false;
    }
    if symbol.kind == FILE {
        return true;
    }
    let is_there = symbol.section < SPECIAL && symbol.section != NOWHERE;
    let is_missing = symbol.section == NOWHERE && symbol.visibility == 0;
    let names = symbol.binding == LOCAL
        || !symbol.name.contains('@')
            && !warned.of(symbol.name)
            && !SCRIPT.contains(&symbol.name)
            && !SCRIPTS.iter().any(|prefix| symbol.name.starts_with(prefix));
    (is_there || is_missing) && VISIBLE.contains(&symbol.visibility) && names
}
