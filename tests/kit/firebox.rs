//! The `firebox` binary, called as a user calls it, and its JSON response.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::guard::{Allowance, Guard};
use super::kind;
use super::outside::attacks;
use super::running::{Finished, Running};
use super::user::{OrdinaryUser, show_to_everybody};

/// One call of the binary, in an empty directory of its own.
pub(crate) struct Firebox {
    args: Vec<OsString>,
    program_args: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    env: Vec<(String, OsString)>,
    wrapper: Vec<OsString>,
    directory: tempfile::TempDir,
    allowance: Allowance,
    user: Option<OrdinaryUser>,
    is_word_for_word: bool,
}

/// `firebox` without any arguments yet.
pub(crate) fn firebox() -> Firebox {
    Firebox {
        args: Vec::new(),
        program_args: Vec::new(),
        stdin: None,
        env: Vec::new(),
        wrapper: Vec::new(),
        directory: super::temp_dir(),
        allowance: Allowance::PRODUCT,
        user: OrdinaryUser::where_nobody_is_named(),
        is_word_for_word: false,
    }
}

/// `firebox run --lang … --code … --json`: the way most tests put code in.
pub(crate) fn job(language: &str, code: &str) -> Firebox {
    firebox().args(["run", "--lang", language, "--code", code, "--json"])
}

impl Firebox {
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Firebox {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Firebox {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With nothing added, whatever kind of cell the tests are told of.
    pub(crate) fn word_for_word(mut self) -> Firebox {
        self.is_word_for_word = true;
        self
    }

    /// Arguments of the program, after `--`.
    pub(crate) fn program_args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Firebox {
        self.program_args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Firebox {
        self.stdin = Some(bytes.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Firebox {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn envs(self, variables: impl IntoIterator<Item = (String, String)>) -> Firebox {
        variables.into_iter().fold(self, |call, (name, value)| call.env(&name, value))
    }

    /// A file in the directory that the call is made from.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Firebox {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("cannot make a directory");
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self
    }

    /// A file of `tests/attacks`, copied to where whoever calls can read it.
    pub(crate) fn attack(self, source: &str) -> Firebox {
        let content = std::fs::read(attacks(source)).unwrap_or_else(|error| panic!("cannot read {source}: {error}"));
        self.file(source, content).arg(source)
    }

    /// Started by the ordinary user of these tests.
    pub(crate) fn by_ordinary_user(mut self) -> Firebox {
        self.user = Some(OrdinaryUser::find());
        self
    }

    /// Started by somebody who is told of no place to keep things in.
    pub(crate) fn without_a_home(mut self) -> Firebox {
        self.user = self.user.map(OrdinaryUser::without_a_home);
        self
    }

    /// A command that starts the binary instead of us, such as `setpriv`.
    pub(crate) fn through<A: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Firebox {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Started at a terminal, all of which is then what it has printed.
    pub(crate) fn at_a_terminal(self) -> Firebox {
        let terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let python = super::tool("python3").into_os_string();
        self.env("TERM", "xterm").through([python, "-c".into(), terminal.into()])
    }

    /// For an attack that could reach every process or mount if the jail failed: there is nobody to reach.
    pub(crate) fn contained(self) -> Firebox {
        self.contained_with("\"$@\"; exit $?")
    }

    /// The same with a script for the shell that stands outside the jail, which calls the binary as `"$@"`.
    pub(crate) fn contained_with(self, script: &str) -> Firebox {
        let unshare = super::tool("unshare").into_os_string();
        let namespaces = ["--pid", "--fork", "--mount-proc", "--kill-child", "/bin/sh", "-c", script, "sh"];
        self.through([unshare].into_iter().chain(namespaces.map(OsString::from)))
    }

    pub(crate) fn memory_mib(mut self, memory_mib: u64) -> Firebox {
        self.allowance.memory_mib = memory_mib;
        self
    }

    /// For a call that goes on for longer than others.
    pub(crate) fn within(mut self, wall: Duration) -> Firebox {
        self.allowance.wall = wall;
        self
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it; the caller waits. The directory goes with the returned value.
    pub(crate) fn start(mut self) -> Started {
        self.keep_apart();
        kind::ask_for(&mut self.args, self.is_word_for_word, &mut self.allowance);
        let guard = Guard::new(self.allowance);
        let binary = Binary::of(self.user.as_ref());
        let user = self.user.map(|user| user.words(&self.env)).unwrap_or_default();
        show_to_everybody(self.directory.path());
        let mut words = self.wrapper.into_iter().chain(user).chain([binary.path.into_os_string()]);
        let mut command = guard.command(words.next().expect("the binary at least"));
        command.args(words).args(self.args);
        if !self.program_args.is_empty() {
            command.arg("--").args(self.program_args);
        }
        // What the test runner happens to have set must not decide what is tested.
        command.current_dir(self.directory.path()).env_remove("RUST_BACKTRACE").envs(self.env);
        Started {
            running: Running::start(guard, command, self.stdin),
            _directory: self.directory,
            _binary: binary.directory,
        }
    }

    /// What a service keeps goes with the call, unless a test says where it goes.
    fn keep_apart(&mut self) {
        const STATE: &str = "FIREBOX_STATE";
        if self.env.iter().any(|(name, _)| name == STATE) {
            return;
        }
        let state = self.directory.path().join("state");
        std::fs::create_dir_all(&state).expect("cannot make a directory");
        if let Some(user) = &self.user {
            std::os::unix::fs::chown(&state, Some(user.uid), Some(user.uid)).expect("cannot give a directory away");
        }
        self.env.push((STATE.to_owned(), state.into_os_string()));
    }

    /// Runs it to its end, which must leave no process and no control group in the guard.
    pub(crate) fn run(self) -> Finished {
        self.start().wait()
    }

    /// Runs it and reads the response that `--json` prints.
    pub(crate) fn outcome(self) -> Outcome {
        self.start().outcome()
    }
}

/// A call under way.
pub(crate) struct Started {
    running: Running,
    _directory: tempfile::TempDir,
    _binary: Option<tempfile::TempDir>,
}

/// The binary where whoever calls can get at it: a directory for builds is often its owner's alone.
struct Binary {
    path: PathBuf,
    directory: Option<tempfile::TempDir>,
}

impl Binary {
    fn of(user: Option<&OrdinaryUser>) -> Binary {
        // `cargo xtask load` has the one that is released.
        let released = std::env::var_os("FIREBOX_TEST_BINARY").map(PathBuf::from);
        let built = released.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_firebox")));
        if user.is_none() {
            return Binary { path: built, directory: None };
        }
        let directory = super::temp_dir();
        show_to_everybody(directory.path());
        let path = directory.path().join("firebox");
        // A second name costs nothing, and is not to be had on another file system.
        let placed = std::fs::hard_link(&built, &path).or_else(|_| std::fs::copy(&built, &path).map(drop));
        placed.unwrap_or_else(|error| panic!("cannot place {}: {error}", path.display()));
        Binary { path, directory: Some(directory) }
    }
}

impl std::ops::Deref for Started {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl Started {
    pub(crate) fn wait(self) -> Finished {
        self.running.wait().leaving_nothing()
    }

    /// For a test that kills processes of ours: what is left is the test's business.
    pub(crate) fn wait_keeping_guard(self) -> (Finished, Guard) {
        self.running.wait_keeping_guard()
    }

    pub(crate) fn outcome(self) -> Outcome {
        Outcome::of(self.wait())
    }
}

/// A response of `firebox run --json`.
pub(crate) struct Outcome {
    json: Value,
    pub(crate) call: Finished,
}

impl Outcome {
    /// How long its run took, by the response: without what starts before it, and what is cleared away after it.
    pub(crate) fn run_time(&self) -> Duration {
        let millis = self.json["timing_ms"]["run"].as_f64();
        Duration::from_secs_f64(millis.unwrap_or_else(|| panic!("no time of a run\n{self}")) / 1000.0)
    }

    fn of(call: Finished) -> Outcome {
        let json = serde_json::from_slice(&call.stdout);
        let json: Value = json.unwrap_or_else(|error| panic!("no JSON on stdout ({error})\n{call}"));
        let outcome = Outcome { json, call };
        let code = outcome.integer("exit_code");
        assert_eq!(
            code,
            Some(outcome.call.code().into()),
            "firebox exits with the exit code of the outcome\n{outcome}"
        );
        kind::tell_of_end(&outcome);
        outcome
    }

    /// Status, step, exit code, and signal: what a test says of every outcome.
    pub(crate) fn verdict(&self) -> (&str, &str, i64, Option<i64>) {
        let code = self.integer("exit_code").unwrap_or_else(|| panic!("no exit_code\n{self}"));
        (self.text("status"), self.text("step"), code, self.integer("signal"))
    }

    pub(crate) fn stdout(&self) -> &str {
        self.text("stdout")
    }

    pub(crate) fn stderr(&self) -> &str {
        self.text("stderr")
    }

    /// The bytes that are missing from a stream, and where; none if nothing was dropped.
    pub(crate) fn truncated(&self, stream: &str) -> Option<(u64, usize)> {
        let cut = self.json.get("truncated")?.get(stream)?;
        let number = |name: &str| cut.get(name)?.as_u64();
        Some((number("dropped_bytes")?, number("at_byte")? as usize))
    }

    pub(crate) fn integer(&self, field: &str) -> Option<i64> {
        self.json.get(field)?.as_i64()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        let value = self.json.get(field).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("no text in `{field}`\n{self}"))
    }

    pub(crate) fn json(&self) -> &Value {
        &self.json
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}

/// A path below the repository, by its name from the root.
pub(crate) fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}
