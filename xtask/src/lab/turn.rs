//! What is run in the lab, one after the other: a test program, whole or some of its tests, and what is said to it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::debian::{LANGUAGES, STORE};
use super::every_kind::{Kinds, Test, TestsOfFile};
use super::programs::Program;

/// See the module.
pub(super) struct Turn<'a> {
    pub(super) name: String,
    pub(super) program: &'a Program,
    /// None where what it runs knows that itself.
    kind: Option<Kind>,
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
        programs.map(|program| Turn { name: program.name.clone(), program, kind: None, tests: Vec::new() })
    }

    /// Of each file in the list, one in each kind of cell.
    pub(super) fn in_every_kind<'a>(
        list: &'a [TestsOfFile],
        programs: &'a [Program],
        extent: Extent,
    ) -> Result<Vec<Turn<'a>>> {
        let mut turns = Vec::new();
        for TestsOfFile { file, kinds, tests } in list {
            let program = programs.iter().find(|program| program.is_test && program.name == *file);
            let program = program.with_context(|| format!("cargo has built no tests of `{file}`"))?;
            for &kind in Kind::of(*kinds) {
                let is_run = |test: &&Test| test.is_chosen || !kind.boots() || extent == Extent::Full;
                let tests: Vec<&str> = tests.iter().filter(is_run).map(|test| test.name.as_str()).collect();
                if !tests.is_empty() {
                    let name = format!("{file}:{}", kind.name());
                    turns.push(Turn { name, program, kind: Some(kind), tests });
                }
            }
        }
        Ok(turns)
    }

    /// How many tests there have to be, where that is known.
    pub(super) fn expected(&self) -> Option<usize> {
        (!self.tests.is_empty()).then_some(self.tests.len())
    }

    /// About how long it takes.
    pub(super) fn takes(&self) -> Duration {
        match self.kind {
            None => Duration::from_secs(20),
            Some(Kind::JailOfRoot | Kind::JailOfUser) => Duration::from_secs(2) * self.tests.len() as u32,
            Some(Kind::MicroVm) => Duration::from_secs(10) * self.tests.len() as u32,
        }
    }

    /// Whether each of its jobs boots a machine.
    pub(super) fn is_in_microvms(&self) -> bool {
        self.kind.is_some_and(Kind::boots)
    }

    /// For `init.sh`: a name, where it is run, what is run.
    pub(super) fn line(&self) -> String {
        let Turn { name, program, .. } = self;
        format!("{name} {} {}\n", program.folder.display(), self.words(Path::new(STORE), &LANGUAGES).join(" "))
    }

    /// What is run, where the images and the kernel are in this store, and jobs in these languages run as fast as they should.
    pub(super) fn words(&self, store: &Path, languages: &[&str]) -> Vec<String> {
        let Turn { name: _, program, kind, tests } = self;
        let mut words = vec!["env".to_owned()];
        let environment = kind.iter().flat_map(|kind| kind.environment(store, languages));
        words.extend(environment.map(|(name, value)| format!("{name}={value}")));
        words.push(program.path.display().to_string());
        words.extend(["--show-output", "--color=never"].map(str::to_owned));
        if !tests.is_empty() {
            // One at a time, as everywhere: they look at what is left of each other.
            words.extend(["--test-threads=1", "--exact"].map(str::to_owned));
            words.extend(tests.iter().map(|test| (*test).to_owned()));
        }
        words
    }
}

impl Kind {
    fn of(kinds: Kinds) -> &'static [Kind] {
        match kinds {
            Kinds::Every => &[Kind::JailOfRoot, Kind::JailOfUser, Kind::MicroVm],
            Kinds::MicroVms => &[Kind::MicroVm],
        }
    }

    /// Whether each job boots a machine. Where none does, all of the list is run each time.
    fn boots(self) -> bool {
        matches!(self, Kind::MicroVm)
    }

    fn name(self) -> &'static str {
        match self {
            Kind::JailOfRoot => "jail",
            Kind::JailOfUser => "users_jail",
            Kind::MicroVm => "microvm",
        }
    }

    /// What the tests' kit is told.
    fn environment(self, store: &Path, languages: &[&str]) -> Vec<(&'static str, String)> {
        let languages = ("FIREBOX_TEST_LANGUAGES", languages.join(","));
        match self {
            Kind::JailOfRoot => vec![languages],
            Kind::JailOfUser => vec![languages, ("FIREBOX_TEST_AS_USER", "1".to_owned())],
            Kind::MicroVm => {
                vec![
                    languages,
                    ("FIREBOX_TEST_ISOLATION", "microvm".to_owned()),
                    ("FIREBOX_HOME", store.display().to_string()),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn program(name: &str) -> Program {
        Program { name: name.to_owned(), path: PathBuf::from("/t/p"), folder: PathBuf::from("/r"), is_test: true }
    }

    fn list() -> Vec<TestsOfFile> {
        let test = |name: &str, is_chosen| Test { name: name.to_owned(), is_chosen };
        let file = |file: &str, tests| TestsOfFile { file: file.to_owned(), kinds: Kinds::Every, tests };
        vec![file("statuses", vec![test("ends", true), test("dies", false)]), file("time", vec![test("flies", false)])]
    }

    #[test]
    fn all_runs_in_jails_and_what_is_chosen_in_microvms_unless_all_is_asked_for() {
        let (list, programs) = (list(), [program("statuses"), program("time")]);
        let turns = |extent| {
            let turns = Turn::in_every_kind(&list, &programs, extent).unwrap();
            turns.iter().map(|turn| (turn.name.clone(), turn.expected())).collect::<Vec<_>>()
        };
        let expected = |turns: &[(&str, usize)]| {
            turns.iter().map(|(name, tests)| ((*name).to_owned(), Some(*tests))).collect::<Vec<_>>()
        };
        let chosen = [
            ("statuses:jail", 2),
            ("statuses:users_jail", 2),
            ("statuses:microvm", 1),
            ("time:jail", 1),
            ("time:users_jail", 1),
        ];
        assert_eq!(turns(Extent::Chosen), expected(&chosen));
        let full = ["jail", "users_jail", "microvm"];
        let full = [("statuses", 2), ("time", 1)]
            .map(|(file, tests)| full.map(|kind| (format!("{file}:{kind}"), Some(tests))));
        assert_eq!(turns(Extent::Full), full.concat());
        assert!(Turn::in_every_kind(&list, &programs[..1], Extent::Full).is_err());
    }

    #[test]
    fn what_knows_the_other_kinds_of_cell_itself_runs_in_microvms_alone() {
        let mut list = list();
        list.truncate(1);
        list[0].kinds = Kinds::MicroVms;
        let programs = [program("statuses")];
        for (extent, tests) in [(Extent::Chosen, 1), (Extent::Full, 2)] {
            let turns = Turn::in_every_kind(&list, &programs, extent).unwrap();
            let [turn] = turns.as_slice() else { panic!("not one") };
            assert_eq!((turn.name.as_str(), turn.expected()), ("statuses:microvm", Some(tests)));
        }
    }

    #[test]
    fn a_turn_is_one_line_that_says_what_is_run_where_and_with_which_words() {
        let (list, programs) = (list(), [program("statuses"), program("time")]);
        let turns = Turn::in_every_kind(&list, &programs, Extent::Chosen).unwrap();
        let line = turns.iter().find(|turn| turn.name == "statuses:users_jail").unwrap().line();
        let (kind, words) = line.split_once(" env ").unwrap();
        assert_eq!(kind, "statuses:users_jail /r");
        assert!(words.contains("FIREBOX_TEST_AS_USER=1 ") && !words.contains("FIREBOX_TEST_ISOLATION"), "{line}");
        assert!(words.ends_with(" /t/p --show-output --color=never --test-threads=1 --exact ends dies\n"), "{line}");
        let all = Turn::of_machines(&programs).next().unwrap();
        assert_eq!((all.expected(), all.line().as_str()), (None, "statuses /r env /t/p --show-output --color=never\n"));
    }
}
