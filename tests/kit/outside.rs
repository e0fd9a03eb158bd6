//! The control of an attack: the same program without any cell, under a guard.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::firebox::repository;
use super::guard::{Allowance, Guard};
use super::running::{Finished, Running};
use super::user::{OrdinaryUser, show_to_everybody};
use super::{temp_dir, tool};

/// How an attack runs outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// As the caller, like any program.
    Bare,
    /// As the ordinary user, for what must not depend on being root.
    OrdinaryUser,
    /// Where what it does to every process, to process 1 or to the mounts cannot reach the machine. Firebox then runs
    /// in namespaces of the test's own as well.
    OwnNamespaces,
}

/// A file of `tests/attacks`.
pub(crate) fn attacks(source: &str) -> PathBuf {
    let path = repository("tests/attacks").join(source);
    path.canonicalize().unwrap_or_else(|error| panic!("no attack {}: {error}", path.display()))
}

/// Compiles and runs a file of `tests/attacks`.
pub(crate) fn bare(source: &str, args: &[OsString], control: Control) -> Finished {
    bare_file(&attacks(source), args, control)
}

/// Compiles and runs any program.
pub(crate) fn bare_file(source: &Path, args: &[OsString], control: Control) -> Finished {
    start_bare(source, args, control).wait()
}

/// The same for an attack that holds something while the test looks at the host.
pub(crate) fn start_outside(source: &str, args: &[OsString], control: Control) -> Running {
    start_bare(&attacks(source), args, control)
}

fn start_bare(source: &Path, args: &[OsString], control: Control) -> Running {
    let directory = temp_dir();
    show_to_everybody(directory.path());
    let program = directory.path().join("program");
    let extension = source.extension().and_then(OsStr::to_str).unwrap_or_default();
    let words: Vec<OsString> = match compiler(extension) {
        Some(mut compiler) => {
            build(compiler.arg(source).arg("-o").arg(&program));
            vec![program.into()]
        }
        None => {
            // The repository may be where only its owner can read.
            std::fs::copy(source, &program).unwrap_or_else(|error| panic!("cannot copy {source:?}: {error}"));
            vec![interpreter(extension).into(), program.into()]
        }
    };
    let before: Vec<OsString> = match control {
        Control::Bare => Vec::new(),
        Control::OrdinaryUser => OrdinaryUser::find().words(&[]),
        Control::OwnNamespaces => {
            // The shell is process 1 there, and stays the attack's parent.
            let own = ["--pid", "--fork", "--mount-proc", "--kill-child", "--ipc", "--uts", "--net", "/bin/sh", "-c"];
            let shell = own.iter().map(OsString::from).chain(["\"$@\"; exit $?".into(), "sh".into()]);
            [OsString::from(tool("unshare"))].into_iter().chain(shell).collect()
        }
    };
    let words: Vec<OsString> = before.into_iter().chain(words).chain(args.iter().cloned()).collect();
    let guard = Guard::new(Allowance::CONTROL);
    let mut command = guard.command(&words[0]);
    command.args(&words[1..]).current_dir(directory.path()).env("LC_ALL", "C");
    Running::start(guard, command, None).keeping(directory)
}

/// A compiler with its flags, for what is compiled.
pub(crate) fn compiler(extension: &str) -> Option<Command> {
    let (program, flags): (&str, &[&str]) = match extension {
        "c" => ("cc", &["-O1", "-pthread"]),
        "cpp" => ("c++", &["-O1", "-pthread"]),
        "rs" => ("rustc", &["--edition", "2024"]),
        _ => return None,
    };
    let mut command = Command::new(tool(program));
    command.args(flags);
    Some(command)
}

fn interpreter(extension: &str) -> PathBuf {
    match extension {
        "py" => tool("python3"),
        "sh" => tool("bash"),
        other => panic!("the tests run no {other:?} outside"),
    }
}

fn build(command: &mut Command) {
    let built = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(built.status.success(), "{command:?} fails: {}", String::from_utf8_lossy(&built.stderr));
}
