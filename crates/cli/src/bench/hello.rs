//! The programs that are measured, and what somebody would type to run them without us.

use std::path::Path;
use std::process::{Command, Stdio};

/// In a program: where the number goes that makes its code new.
const SEED: &str = "@SEED@";

/// What a compiler makes.
const PROGRAM: &str = "runbin";

/// A small program in one language.
pub(super) struct Hello {
    /// The language's name in the catalogue.
    pub(super) language: &'static str,
    /// What it is called, on both sides.
    pub(super) source: &'static str,
    pub(super) code: &'static str,
    /// The compiler or interpreter, as the language's file calls it.
    pub(super) tool: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The tool makes [`PROGRAM`], which is then run.
    Compiled,
    /// The tool makes this class, which the machine that stands beside it runs.
    Class(&'static str),
    /// The tool runs the source.
    Interpreted,
}

/// Options and variables that change what is done are those of the cell; what only makes ours faster is not theirs.
pub(super) const HELLOS: [Hello; 8] = [
    Hello {
        language: "rust",
        source: "main.rs",
        code: include_str!("../../../../xtask/bench/hello.rs"),
        tool: "rustc",
        arguments: &["-o", PROGRAM, "--edition", "2024", "main.rs"],
        environment: &[],
        kind: Kind::Compiled,
    },
    Hello {
        language: "c",
        source: "main.c",
        code: include_str!("../../../../xtask/bench/hello.c"),
        tool: "cc",
        arguments: &["-o", PROGRAM, "main.c"],
        environment: &[],
        kind: Kind::Compiled,
    },
    Hello {
        language: "cpp",
        source: "main.cpp",
        code: include_str!("../../../../xtask/bench/hello.cpp"),
        tool: "cxx",
        arguments: &["-o", PROGRAM, "main.cpp"],
        environment: &[],
        kind: Kind::Compiled,
    },
    Hello {
        language: "go",
        source: "main.go",
        code: include_str!("../../../../xtask/bench/hello.go"),
        tool: "go",
        arguments: &["build", "-ldflags=-s -w", "-o", PROGRAM, "main.go"],
        environment: &[("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local")],
        kind: Kind::Compiled,
    },
    Hello {
        language: "java",
        source: "Main.java",
        code: include_str!("../../../../xtask/bench/Hello.java"),
        tool: "javac",
        arguments: &["Main.java"],
        environment: &[],
        kind: Kind::Class("Main"),
    },
    Hello {
        language: "python",
        source: "main.py",
        code: include_str!("../../../../xtask/bench/hello.py"),
        tool: "python",
        arguments: &["main.py"],
        environment: &[("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")],
        kind: Kind::Interpreted,
    },
    Hello {
        language: "javascript",
        source: "main.js",
        code: include_str!("../../../../xtask/bench/hello.js"),
        tool: "node",
        arguments: &["./main.js"],
        environment: &[],
        kind: Kind::Interpreted,
    },
    Hello {
        language: "bash",
        source: "main.sh",
        code: include_str!("../../../../xtask/bench/hello.sh"),
        tool: "bash",
        arguments: &["main.sh"],
        environment: &[],
        kind: Kind::Interpreted,
    },
];

impl Hello {
    /// Its code with a number in it.
    pub(super) fn seeded(&self, seed: usize) -> String {
        self.code.replace(SEED, &seed.to_string())
    }

    /// The commands, one after the other.
    pub(super) fn commands(&self, tool: &Path, place: &Path) -> Vec<Command> {
        let mut first = bare(tool, place);
        first.args(self.arguments).envs(self.environment.iter().copied());
        match self.kind {
            Kind::Compiled => vec![first, bare(&place.join(PROGRAM), place)],
            Kind::Class(class) => {
                let mut machine = bare(&tool.with_file_name("java"), place);
                machine.arg(class);
                vec![first, machine]
            }
            Kind::Interpreted => vec![first],
        }
    }
}

/// A small environment, and nothing between fork and exec: then the standard library uses `posix_spawn`.
fn bare(program: &Path, place: &Path) -> Command {
    let mut command = Command::new(program);
    let environment = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8")];
    command.env_clear().envs(environment).env("HOME", place).current_dir(place).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use firebox_lang::Catalogue;

    use super::*;

    #[test]
    fn every_language_is_measured_and_its_code_is_new_each_time() {
        let catalogue = Catalogue::builtin();
        let all: Vec<&str> = catalogue.languages().map(|language| language.name()).collect();
        for language in &all {
            assert!(HELLOS.iter().any(|hello| hello.language == *language), "{language} is not measured");
        }
        for hello in &HELLOS {
            let language = catalogue.find(hello.language).unwrap();
            assert_eq!(language.entry().as_str(), hello.source);
            assert_ne!(hello.seeded(1), hello.seeded(2), "{}", hello.language);
        }
    }
}
