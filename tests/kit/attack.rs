//! Attack programs: one source, run outside and inside.
//!
//! An attack prints a line for each thing it tries, `ESCAPED: what` or `blocked: what: why`. Outside, under a guard and
//! as the caller, each named thing must succeed: that shows that the attack is one. Inside, each must be blocked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::firebox::{Started, firebox, repository};
use super::guard::{Allowance, Guard};
use super::inventory::HostInventory;
use super::running::{Finished, Running};
use super::tool;

/// An attack and what it is expected to do outside.
pub(crate) struct Attack<'a> {
    /// A file of `tests/attacks`.
    pub(crate) source: &'a str,
    /// Arguments of the program, the same on both sides.
    pub(crate) args: Vec<OsString>,
    /// Flags of `firebox run` for the run inside.
    pub(crate) limits: &'a [&'a str],
    pub(crate) control: Control,
    /// What succeeds outside. Anything else that the program tries need only be blocked inside.
    pub(crate) succeeds_outside: &'a [&'a str],
}

/// How an attack runs outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// As the caller, like any program.
    Bare,
    /// Where what it does to every process, to process 1 or to the mounts cannot reach the machine. Firebox then runs
    /// in namespaces of the test's own as well.
    OwnNamespaces,
}

impl Attack<'_> {
    /// Without arguments, limits or precautions.
    pub(crate) const PLAIN: Attack<'static> =
        Attack { source: "", args: Vec::new(), limits: &[], control: Control::Bare, succeeds_outside: &[] };

    /// Runs it on both sides.
    pub(crate) fn check(self) {
        let host = HostInventory::take();
        let Attack { source, args, limits, control, succeeds_outside } = self;

        let outside = bare(&attacks(source), &args, control).stdout();
        for what in succeeds_outside {
            let line = format!("ESCAPED: {what}");
            assert!(outside.lines().any(|l| l == line), "{source} does not even succeed outside: {line}\n{outside}");
        }

        let inside = firebox().arg("run").arg(attacks(source)).args(limits.iter().copied()).arg("--json");
        // A jail that fails must not let through to the machine what the control was kept from.
        let inside = if control == Control::OwnNamespaces { inside.contained() } else { inside };
        let inside = inside.program_args(args).outcome();
        let escaped: Vec<&str> = inside.stdout().lines().filter(|line| line.starts_with("ESCAPED")).collect();
        assert!(escaped.is_empty(), "{source} succeeds in the jail: {escaped:#?}\n{inside}");
        for what in succeeds_outside {
            let line = format!("blocked: {what}:");
            let tried = inside.stdout().lines().any(|l| l.starts_with(&line));
            assert!(tried, "{source} never came to try {what:?} in the jail\n{inside}");
        }

        host.assert_nothing_left();
    }
}

pub(crate) fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}

/// A file of `tests/attacks`.
pub(crate) fn attacks(source: &str) -> PathBuf {
    let path = repository("tests/attacks").join(source);
    path.canonicalize().unwrap_or_else(|error| panic!("no attack {}: {error}", path.display()))
}

/// Compiles and runs a program without any jail, under a guard.
pub(crate) fn bare(source: &Path, args: &[OsString], control: Control) -> Finished {
    let directory = super::temp_dir();
    let program = directory.path().join("program");
    let mut words: Vec<OsString> = match source.extension().and_then(|extension| extension.to_str()) {
        Some("c") => {
            build(Command::new(tool("cc")).args(["-O1", "-pthread", "-o"]).arg(&program).arg(source));
            vec![program.into()]
        }
        Some("rs") => {
            build(Command::new(tool("rustc")).args(["--edition", "2024", "-o"]).arg(&program).arg(source));
            vec![program.into()]
        }
        Some("py") => vec![tool("python3").into(), source.into()],
        Some("sh") => vec![tool("bash").into(), source.into()],
        other => panic!("the tests run no {other:?} outside"),
    };
    words.extend(args.iter().cloned());
    if control == Control::OwnNamespaces {
        // The shell is process 1 there, and stays the attack's parent.
        let own = ["--pid", "--fork", "--mount-proc", "--kill-child", "--ipc", "--uts", "--net", "/bin/sh", "-c"];
        let shell = own.iter().map(OsString::from).chain(["\"$@\"; exit $?".into(), "sh".into()]);
        words = [OsString::from(tool("unshare"))].into_iter().chain(shell).chain(words).collect();
    }
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(&words[0]);
    command.args(&words[1..]).current_dir(directory.path()).env("LC_ALL", "C");
    Running::start(guard, command, None).wait()
}

/// Starts a Python attack without any jail, under a guard: for one that holds something while the test looks at the host.
pub(crate) fn start_outside(source: &str, args: &[OsString]) -> Running {
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(tool("python3"));
    command.arg(attacks(source)).args(args);
    Running::start(guard, command, None)
}

/// Starts the same attack in the jail. What it prints arrives as it comes.
pub(crate) fn start_inside(source: &str, args: &[OsString], limits: &[&str]) -> Started {
    let inside = firebox().arg("run").arg(attacks(source)).args(limits.iter().copied());
    inside.program_args(args.iter().cloned()).start()
}

fn build(command: &mut Command) {
    let built = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(built.status.success(), "{command:?} fails: {}", String::from_utf8_lossy(&built.stderr));
}
