//! Drivers: programs that do nothing themselves but have others do it, one after the other, as compilers' front programs do.
//!
//! A driver tells what it would have others do, when it is asked by the words that the language's file has for that. From then
//! on a program of ours can have them do the same, by the very same commands; and where anything at all goes in another way
//! than it went by then, that program becomes the driver.

use std::collections::BTreeMap;
use std::path::Path;

use firebox_cell::{Layout, Supply};

use crate::language::{Language, StepSpec};
use crate::plan::Step;
use crate::toolchain::{DRIVER, Toolchain};

/// A program that has others do its work, and how that is done without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The step that has it tell what it would do.
    pub asked: Step,
    /// What does that.
    ours: Vec<u8>,
    /// What it would do by itself.
    plainly: Vec<Vec<u8>>,
}

impl Driver {
    /// The driver of a step. There is none where it does not tell anything, or where we have nothing that could do its work. In
    /// a cell without a root of its own there is none either: what it tells in one is not true of the next.
    pub(crate) fn of(
        language: &Language,
        spec: &StepSpec,
        step: &Step,
        toolchain: &Toolchain,
        layout: &Layout,
    ) -> Option<Driver> {
        let name = spec.argv.first()?.program()?;
        let found = &toolchain.programs.iter().find(|program| program.name == name)?.found;
        let words = language.programs.iter().find(|program| program.name == name)?.tells.get(found)?;
        let supply = toolchain.view.supplies.iter().find(|supply| supply.below() == Path::new(DRIVER))?;
        if *layout != Layout::Viewed {
            return None;
        }
        let mut asked = step.clone();
        asked.argv.extend(words.iter().map(|word| word.clone().into_bytes()));
        let ours = Path::new(Supply::PLACE).join(supply.below());
        Some(Driver { asked, ours: ours.into_os_string().into_encoded_bytes(), plainly: step.argv.clone() })
    }

    /// The step without the driver, by what it has told on standard error; nothing when that is no way that we could go: to
    /// compile, assemble and link, the compiler's output being the assembler's input.
    pub fn replaced(&self, told: &[u8]) -> Option<Step> {
        let told = std::str::from_utf8(told).ok()?;
        let commands = commands(told)?;
        let [(compile, Then::Pipe), (assemble, Then::End), (link, Then::End)] = commands.as_slice() else {
            return None;
        };
        let mut argv = vec![self.ours.clone()];
        for command in [&variables(told), compile, assemble, link] {
            argv.push(command.len().to_string().into_bytes());
            argv.extend(command.iter().map(|word| word.clone().into_bytes()));
        }
        argv.extend(self.plainly.iter().cloned());
        Some(Step { argv, ..self.asked.clone() })
    }
}

/// What follows a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next one reads what it writes.
    Pipe,
    /// The next one begins when it has ended.
    End,
}

/// The variables that a driver sets for those that it starts, as they are in the end: the linker comes last, and they are for
/// that. These lines are a name in capitals, a sign, and the value.
fn variables(told: &str) -> Vec<String> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_uppercase());
    let mut variables = BTreeMap::new();
    for (name, line) in told.lines().filter_map(|line| Some((line.split_once('=')?.0, line))) {
        if is_name(name) {
            variables.insert(name, line.to_owned());
        }
    }
    variables.into_values().collect()
}

/// The commands among what a driver has told. These are the lines that begin with a blank.
fn commands(told: &str) -> Option<Vec<(Vec<String>, Then)>> {
    told.lines().filter_map(|line| line.strip_prefix(' ')).map(command).collect()
}

/// Words as drivers write them: bare, or between quotation marks, in which a backslash stands before what it takes the
/// meaning from.
fn command(line: &str) -> Option<(Vec<String>, Then)> {
    let mut words = Vec::new();
    let mut then = Then::End;
    let mut rest = line;
    while !rest.is_empty() {
        if then == Then::Pipe {
            return None;
        }
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_word(quoted)?,
            None => {
                let (word, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
                (word.to_owned(), after)
            }
        };
        if word == "|" && !rest.starts_with('"') {
            then = Then::Pipe;
        } else if word.is_empty() && !rest.starts_with('"') || !rest.starts_with('"') && word.contains(['"', '\\']) {
            return None;
        } else {
            words.push(word);
        }
        rest = match after.strip_prefix(' ') {
            Some(next) if !next.is_empty() => next,
            None if after.is_empty() => after,
            _ => return None,
        };
    }
    (!words.is_empty()).then_some((words, then))
}

/// What stands between here and the next quotation mark, and what follows that.
fn quoted_word(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((word, &text[at + 1..])),
            (_, '\\') => word.push(characters.next()?.1),
            (_, character) => word.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use firebox_job::StepKind;

    use super::*;

    const TOLD: &str = "Using built-in specs.\nCOLLECT_GCC=gcc\nTarget: x86_64-linux-gnu\n\
        COLLECT_GCC_OPTIONS='-o' 'runbin' '-pipe'\n \
        /usr/lib/cc1 -quiet main.c \"-std=gnu17\" -o - |\n \
        as --64 -o /tmp/a.o\nCOMPILER_PATH=/usr/lib\nCOLLECT_GCC_OPTIONS='-o' 'runbin'\n \
        /usr/lib/collect2 \"-plugin-opt=\\\"\\\\x \\$y\" -o runbin /tmp/a.o \"\" -lc\n";

    fn driver() -> Driver {
        let bytes = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let asked = Step {
            name: "compile".to_owned(),
            kind: StepKind::Build,
            argv: bytes(&["/usr/bin/gcc", "main.c", "-###"]),
            env: vec![("LANG".to_owned(), "C".to_owned())],
            crash_codes: vec![4],
            makes: None,
        };
        Driver { asked, ours: b"/opt/firebox/driver".to_vec(), plainly: bytes(&["/usr/bin/gcc", "main.c"]) }
    }

    #[test]
    fn what_a_driver_tells_becomes_the_words_of_ours() {
        let step = driver().replaced(TOLD.as_bytes()).unwrap();
        let words: Vec<_> = step.argv.iter().map(|word| std::str::from_utf8(word).unwrap()).collect();
        let commands = "6 /usr/lib/cc1 -quiet main.c -std=gnu17 -o - 4 as --64 -o /tmp/a.o 7 /usr/lib/collect2";
        let mut expected = vec!["/opt/firebox/driver", "3", "COLLECT_GCC=gcc"];
        expected.extend(["COLLECT_GCC_OPTIONS='-o' 'runbin'", "COMPILER_PATH=/usr/lib"]);
        expected.extend(commands.split(' '));
        expected.extend(["-plugin-opt=\"\\x $y", "-o", "runbin", "/tmp/a.o", "", "-lc", "/usr/bin/gcc", "main.c"]);
        assert_eq!(words, expected);
        assert_eq!((&step.env, &step.crash_codes), (&driver().asked.env, &driver().asked.crash_codes));
    }

    #[test]
    fn another_way_than_to_compile_assemble_and_link_is_left_to_the_driver() {
        for (from, to) in [
            (" |\n", "\n"),
            (" as --64", "as --64"),
            ("-o - |", "-o - | x"),
            ("-lc\n", "-lc |\n"),
            ("-lc\n", "-lc\n strip runbin\n"),
            ("\"-std=gnu17\"", "\"-std=gnu17"),
            ("\"-std=gnu17\"", "\"-std\"=gnu17"),
            ("\"-std=gnu17\"", "-std\\=gnu17"),
            ("-quiet main.c", "-quiet  main.c"),
            (" as --64 -o /tmp/a.o", " "),
        ] {
            assert!(TOLD.contains(from), "{from}");
            let told = TOLD.replacen(from, to, 1);
            assert_eq!(driver().replaced(told.as_bytes()), None, "{from:?} -> {to:?}");
        }
        assert_eq!(driver().replaced(b""), None);
        assert_eq!(driver().replaced(b"\xff"), None);
    }
}
