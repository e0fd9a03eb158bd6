//! What is asked for: a C compiler's command line that does nothing but link.

use std::ffi::{OsStr, OsString};

use crate::System;

/// A command line of a C compiler that was understood to the last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    form: Form,
    /// Where its libraries are, in the order given.
    directories: Vec<String>,
    /// Everything else, as the linker has it, in the order given.
    arguments: Vec<String>,
}

/// What is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A program that runs wherever it is put.
    AnywhereProgram,
    /// A program that has a place of its own.
    FixedProgram,
    /// A shared object.
    SharedObject,
}

impl Request {
    /// Reads what follows the program's name; nothing when a word of it is not known here.
    ///
    /// Only a command line that has the C compiler leave out its own libraries is understood. Which these are differs
    /// from one compiler to the next; a compiler of another language that links says itself what it needs.
    pub fn read(words: &[OsString]) -> Option<Request> {
        let mut form = None;
        let mut without_its_libraries = false;
        let mut directories = Vec::new();
        let mut arguments = Vec::new();
        let mut words = words.iter().map(OsString::as_os_str).map(OsStr::to_str);
        while let Some(word) = words.next() {
            let word = word?;
            match word {
                // What this one is for anyway, and which linker a toolchain has brought along.
                "-m64" if cfg!(target_arch = "x86_64") => {}
                "-fuse-ld=lld" => {}
                "-nodefaultlibs" => without_its_libraries = true,
                "-pie" => once(&mut form, Form::AnywhereProgram)?,
                "-no-pie" => once(&mut form, Form::FixedProgram)?,
                "-shared" => once(&mut form, Form::SharedObject)?,
                "-o" | "-l" => arguments.extend([word.to_owned(), words.next()??.to_owned()]),
                "-L" => directories.push(words.next()??.to_owned()),
                "-Xlinker" => arguments.push(words.next()??.to_owned()),
                _ => {
                    if let Some(for_the_linker) = word.strip_prefix("-Wl,") {
                        arguments.extend(for_the_linker.split(',').map(str::to_owned));
                    } else if let Some(directory) = word.strip_prefix("-L") {
                        directories.push(directory.to_owned());
                    } else if word.starts_with("-l") {
                        arguments.push(word.to_owned());
                    } else if word.starts_with("-B") && word.ends_with("/gcc-ld") {
                        // Where that other linker is.
                    } else if word.starts_with(['-', '@']) {
                        return None;
                    } else {
                        arguments.push(word.to_owned());
                    }
                }
            }
        }
        without_its_libraries.then_some(Request { form: form?, directories, arguments })
    }

    /// The linker's command line on this system, a name for itself first.
    pub fn on(&self, system: &System) -> Vec<String> {
        let mut line = vec!["ld".to_owned()];
        line.extend(system.manner(self.form));
        line.extend(system.starts(self.form));
        let directories = self.directories.iter().chain(system.directories());
        line.extend(directories.map(|directory| format!("-L{directory}")));
        line.extend(self.arguments.iter().cloned());
        line.extend(system.ends(self.form));
        line
    }
}

/// Two forms at once are a question for somebody else.
fn once(form: &mut Option<Form>, asked: Form) -> Option<()> {
    form.replace(asked).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Request> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Request::read(&words)
    }

    #[test]
    fn what_is_for_the_linker_is_passed_on_in_order_and_what_is_for_the_compiler_is_not() {
        let line = "a.o -Wl,--as-needed,-Bstatic /t/libcore.rlib -lgcc_s -L /t/raw -B/t/bin/gcc-ld -fuse-ld=lld -L/t/lib \
                    -Xlinker --gc-sections -o out -pie -nodefaultlibs";
        let request = read(line).unwrap();
        assert_eq!(request.form, Form::AnywhereProgram);
        assert_eq!(request.directories, ["/t/raw", "/t/lib"]);
        let expected = ["a.o", "--as-needed", "-Bstatic", "/t/libcore.rlib", "-lgcc_s", "--gc-sections", "-o", "out"];
        assert_eq!(request.arguments, expected);
    }

    #[test]
    fn a_command_line_with_one_unknown_word_is_not_understood() {
        assert!(read("a.o -o out -no-pie -nodefaultlibs").is_some());
        for word in [
            "-c",
            "-E",
            "-x",
            "-O2",
            "-g",
            "-flto",
            "-static",
            "-static-pie",
            "-nostartfiles",
            "-nostdlib",
            "-m32",
            "-v",
            "-###",
            "--version",
            "@list",
            "-fuse-ld=gold",
            "-fuse-ld=mold",
            "-B/usr/lib",
            "-specs=x",
            "-Wall",
            "-L",
            "-o",
            "-pie",
            "-shared",
        ] {
            assert_eq!(read(&format!("a.o -o out -no-pie -nodefaultlibs {word}")), None, "{word}");
        }
    }

    #[test]
    fn whoever_wants_the_compilers_own_libraries_gets_the_compiler() {
        assert_eq!(read("a.o -o out -pie"), None);
    }

    #[test]
    fn without_a_form_it_would_be_a_guess() {
        assert_eq!(read("a.o -o out -nodefaultlibs"), None);
    }

    #[test]
    fn words_that_are_no_text_are_not_understood() {
        use std::os::unix::ffi::OsStringExt;
        let mut words: Vec<OsString> = ["-o", "out", "-pie", "-nodefaultlibs"].map(OsString::from).to_vec();
        words.push(OsString::from_vec(b"\xff.o".to_vec()));
        assert_eq!(Request::read(&words), None);
    }
}
