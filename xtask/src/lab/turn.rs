//! What is run in the lab, one after the other: a test program, whole or some of its tests, and what is said to it.

use std::path::Path;

use super::debian::{LANGUAGES, STORE};
use super::every_kind::{Test, TestsOfFile};
use super::programs::Program;

/// See the module.
pub(super) struct Turn<'a> {
    pub(super) name: String,
    pub(super) program: &'a Program,
    environment: Vec<(&'static str, String)>,
    /// All of them where there is none.
    tests: Vec<&'a str>,
}

/// How much of what holds in every kind of cell is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What is chosen, since in a microVM each job boots a machine.
    Chosen,
    Full,
}

/// In which kind of cell, and who asks for it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    JailOfRoot,
    JailOfUser,
    MicroVm,
}

impl Turn<'_> {
    /// Of each program that is about KVM, one with all of its tests.
    pub(super) fn of_machines(programs: &[Program]) -> impl Iterator<Item = Turn<'_>> {
        let programs = programs.iter().filter(|program| program.is_test);
        programs.map(|program| Turn { name: program.name.clone(), program, environment: Vec::new(), tests: Vec::new() })
    }

    /// Of each file in the list, one in each kind of cell.
    pub(super) fn in_every_kind<'a>(list: &'a [TestsOfFile], programs: &'a [Program], extent: Extent) -> Vec<Turn<'a>> {
        let mut turns = Vec::new();
        for TestsOfFile { file, tests } in list {
            let Some(program) = programs.iter().find(|program| program.is_test && program.name == *file) else {
                continue;
            };
            for kind in [Kind::JailOfRoot, Kind::JailOfUser, Kind::MicroVm] {
                let is_run = |test: &&Test| test.is_chosen || kind.is_always_whole() || extent == Extent::Full;
                let tests: Vec<&str> = tests.iter().filter(is_run).map(|test| test.name.as_str()).collect();
                if !tests.is_empty() {
                    let name = format!("{file}:{}", kind.name());
                    turns.push(Turn { name, program, environment: kind.environment(), tests });
                }
            }
        }
        turns
    }

    /// How many tests there have to be, where that is known.
    pub(super) fn expected(&self) -> Option<usize> {
        (!self.tests.is_empty()).then_some(self.tests.len())
    }

    /// For `init.sh`: a name, where it is run, what is run.
    pub(super) fn line(&self) -> String {
        let Turn { name, program: Program { path, folder, .. }, environment, tests } = self;
        let words = |path: &Path| path.display().to_string();
        let mut line = vec![name.clone(), words(folder), "env".to_owned()];
        line.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
        line.extend([words(path), "--show-output --color=never".to_owned()]);
        if !tests.is_empty() {
            // One at a time, as everywhere: they look at what is left of each other.
            line.extend(["--test-threads=1", "--exact"].map(str::to_owned));
            line.extend(tests.iter().map(|test| (*test).to_owned()));
        }
        line.join(" ") + "\n"
    }
}

impl Kind {
    /// Whether all of it is run each time. Where that is so, nothing is left to be seen in the others but what differs between them.
    fn is_always_whole(self) -> bool {
        matches!(self, Kind::JailOfRoot)
    }

    fn name(self) -> &'static str {
        match self {
            Kind::JailOfRoot => "jail",
            Kind::JailOfUser => "users_jail",
            Kind::MicroVm => "microvm",
        }
    }

    /// What the tests' kit is told.
    fn environment(self) -> Vec<(&'static str, String)> {
        let languages = ("FIREBOX_TEST_LANGUAGES", LANGUAGES.join(","));
        match self {
            Kind::JailOfRoot => vec![languages],
            Kind::JailOfUser => vec![languages, ("FIREBOX_TEST_AS_USER", "1".to_owned())],
            Kind::MicroVm => {
                vec![languages, ("FIREBOX_TEST_ISOLATION", "microvm".to_owned()), ("FIREBOX_HOME", STORE.to_owned())]
            }
        }
    }
}
