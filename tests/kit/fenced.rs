//! Firebox in a fence, started by an ordinary user or by root, in a PID namespace of the test's own: should a fence fail,
//! nobody else's processes are there to be reached, and whatever outlives it is seen.

use std::path::PathBuf;

use super::firebox::{Firebox, Outcome, job, repository};
use super::ordinary::{NOBODY, Ordinary};
use super::running::Finished;

/// How a process that outlives Firebox is told of.
const LEFT: &str = "left in the namespace: ";

/// Whoever starts fences.
pub(crate) struct Fenced {
    /// None for root.
    user: Option<Ordinary>,
}

/// What is done in the namespace as root, in a shell, before Firebox starts and after it has ended.
#[derive(Default)]
pub(crate) struct Around<'a> {
    pub(crate) before: &'a str,
    pub(crate) after: &'a str,
    /// A command that starts Firebox, as whoever starts it.
    pub(crate) through: &'a str,
}

impl Fenced {
    pub(crate) fn by_a_user() -> Fenced {
        Fenced { user: Some(Ordinary::new(NOBODY)) }
    }

    pub(crate) fn by_root() -> Fenced {
        Fenced { user: None }
    }

    pub(crate) fn is_a_user(&self) -> bool {
        self.user.is_some()
    }

    /// The binary, where whoever starts fences finds it.
    pub(crate) fn program(&self) -> PathBuf {
        self.user.as_ref().map_or_else(|| env!("CARGO_BIN_EXE_firebox").into(), |user| user.path("program"))
    }

    /// Words that become a command as whoever starts the fences.
    pub(crate) fn words(&self, command: &str) -> String {
        self.user.as_ref().map_or_else(|| format!("exec {command}"), |user| user.words(command))
    }

    /// A call, with something around it.
    pub(crate) fn call_with(&self, around: &Around<'_>, firebox: Firebox) -> Firebox {
        let Around { before, after, through } = around;
        let firebox_words = self.words(&format!("{through} {} \"$@\"", self.program().display()));
        firebox.contained_with(&format!(
            "shift; {before}\n({firebox_words}); code=$?\n{after}\n\
             for process in /proc/[0-9]*; do [ $process = /proc/1 ] || {{ read -r line <$process/stat && \
             echo \"{LEFT}$line\" >&2; }}; done; exit $code"
        ))
    }

    /// A call of `firebox run` for a fence, to its end.
    pub(crate) fn outcome_with(&self, around: &Around<'_>, firebox: Firebox) -> Outcome {
        let outcome = self.call_with(around, firebox.args(["--isolation", "fence"])).outcome();
        assert_none_left(&outcome.call);
        assert_eq!(outcome.json()["isolation"], "fence", "{outcome}");
        outcome
    }

    /// One job in a fence.
    pub(crate) fn run(&self, language: &str, code: &str, flags: &[&str]) -> Outcome {
        self.outcome_with(&Around::default(), job(language, code).args(flags))
    }
}

/// Nobody was left when Firebox had ended, who would have died with the namespace a moment later.
pub(crate) fn assert_none_left(call: &Finished) {
    assert!(!call.stderr().contains(LEFT), "somebody has outlived Firebox\n{call}");
}

/// A command's words for a place where nobody gets namespaces.
pub(crate) fn without_namespaces() -> String {
    let script = std::fs::read_to_string(repository("tests/kit/without_namespaces.py")).expect("it is in the kit");
    // By its text: an ordinary user need not be able to read this directory.
    format!("{} -c '{}'", super::tool("python3").display(), script.replace('\'', "'\\''"))
}
