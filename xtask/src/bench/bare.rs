//! Their side: the same program without Firebox, the fairest way we know.
//!
//! The resolved binary instead of a version manager's shim, a work directory on tmpfs, output to a pipe, a small
//! fixed environment (cargo's own variables would slow the dynamic linker down), and `posix_spawn` without a shell:
//! that is what `std::process::Command` does as long as nothing has to happen between fork and exec.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::subject::{Kind, PROGRAM, Subject};

/// The tmpfs that every Linux host has.
const TMPFS: &str = "/dev/shm";

/// A directory on tmpfs, gone when dropped.
pub(super) struct WorkDirectory(TempDir);

impl WorkDirectory {
    pub(super) fn new() -> Result<WorkDirectory> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        ensure!(is_tmpfs(&mounts, TMPFS), "{TMPFS} is not a tmpfs; the bare side must work on one to be fair");
        let place = tempfile::Builder::new().prefix("firebox-bench-").tempdir_in(TMPFS);
        Ok(WorkDirectory(place.with_context(|| format!("cannot make a directory in {TMPFS}"))?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

fn is_tmpfs(mounts: &str, place: &str) -> bool {
    mounts.lines().rev().map(|line| line.split(' ')).any(|mut fields| {
        fields.nth(1).is_some_and(|at| at == place) && fields.next().is_some_and(|kind| kind == "tmpfs")
    })
}

/// Compiles, if it has to be, and runs a subject; only that is timed, writing its source is not.
pub(super) fn compile_and_run(place: &WorkDirectory, subject: &Subject, tool: &Path, code: &str) -> Result<Duration> {
    place.write(subject.source, code)?;
    let mut commands = vec![start_tool(place, subject, tool)];
    if subject.kind == Kind::Compiled {
        commands.push(start_program(place));
    }
    if let Some(last) = commands.last_mut() {
        last.args(subject.program_arguments);
    }
    let start = Instant::now();
    let mut output = None;
    for command in commands {
        output = Some(run(command)?);
    }
    let took = start.elapsed();
    let said = output.map(|output| output.stdout).unwrap_or_default();
    ensure!(said.starts_with(b"hello "), "{} did not say hello", subject.source);
    Ok(took)
}

/// The compiler or interpreter on the subject's source.
pub(super) fn start_tool(place: &WorkDirectory, subject: &Subject, tool: &Path) -> Command {
    let mut command = start(place, tool);
    command.args(subject.arguments).envs(subject.environment.iter().copied());
    command
}

/// What the compiler made.
pub(super) fn start_program(place: &WorkDirectory) -> Command {
    start(place, &place.path().join(PROGRAM))
}

fn start(place: &WorkDirectory, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", place.path())
        .env("LANG", "C.UTF-8")
        .current_dir(place.path())
        .stdin(Stdio::null());
    command
}

/// Runs a program to its end and expects it to succeed.
pub(super) fn run(mut command: Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} ended with {}: {}",
        command.get_program().display(),
        output.status,
        says.trim()
    );
    Ok(output)
}

/// Several programs at once, `clients` at any time, by `xargs`: what a shell has for that. A compiled one needs a shell of
/// its own, for the two commands. Writing the sources is not timed.
pub(super) fn at_once(
    place: &WorkDirectory,
    subject: &Subject,
    tool: &Path,
    sources: &[String],
    clients: usize,
) -> Result<Duration> {
    let mut names = Vec::new();
    for (number, code) in sources.iter().enumerate() {
        let directory = place.path().join(number.to_string());
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let path = place.write(&format!("{number}/{}", subject.source), code)?;
        names.push(if subject.kind == Kind::Compiled { directory } else { path });
    }
    let list = place.write("list", &names.iter().map(|name| format!("{}\n", name.display())).collect::<String>())?;
    let mut command = start(place, Path::new("xargs"));
    command.arg(format!("-P{clients}")).arg("-n1").arg("-a").arg(list).envs(subject.environment.iter().copied());
    match subject.kind {
        Kind::Compiled => {
            let compile: Vec<String> = subject.arguments.iter().map(|&argument| argument.to_owned()).collect();
            let line = format!("cd \"$1\" && \"$0\" {} && exec ./{PROGRAM}", compile.join(" "));
            command.args(["/bin/sh", "-c", &line]).arg(tool);
        }
        Kind::Interpreted => {
            command.arg(tool);
        }
    }
    let start = Instant::now();
    let output = run(command)?;
    let took = start.elapsed();
    // Not lines: programs that run at the same time write into each other's.
    let greetings = output.stdout.windows(5).filter(|word| word == b"hello").count();
    ensure!(greetings == sources.len(), "of {} programs {greetings} said hello", sources.len());
    Ok(took)
}

/// The CPU time of all bare commands so far: those of us that have ended and been waited for.
pub(super) fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    let (user, system) = ticks(13).zip(ticks(14)).context("/proc/self/stat has not the fields we know")?;
    Ok(TICK * (user + system))
}

/// What the kernel counts in `stat`: a hundredth of a second, on every architecture that we run on.
const TICK: Duration = Duration::from_millis(10);

/// Making a sandbox with `bwrap`, the smallest program in it, and its end.
pub(super) fn bwrap(bwrap: &Path, place: &WorkDirectory) -> Result<Duration> {
    let mut command = start(place, bwrap);
    command.args(bwrap_arguments());
    let start = Instant::now();
    run(command)?;
    Ok(start.elapsed())
}

/// The namespaces and the kinds of mount that a jail for Bash has. Our made-up files below /etc are left out, which
/// is to the advantage of `bwrap`.
fn bwrap_arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["--unshare-all", "--die-with-parent", "--new-session"].map(OsString::from).into();
    let mut add = |words: [&OsStr; 3]| arguments.extend(words.map(OsStr::to_owned));
    for path in ["/bin", "/sbin", "/lib", "/lib32", "/lib64"].map(OsStr::new) {
        match std::fs::read_link(path) {
            Ok(target) => add(["--symlink".as_ref(), target.as_os_str(), path]),
            Err(_not_a_link) => add(["--ro-bind-try".as_ref(), path, path]),
        }
    }
    let usr = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo"];
    for path in usr.into_iter().chain(["/etc/alternatives", "/etc/ld.so.cache"]).map(OsStr::new) {
        add(["--ro-bind-try".as_ref(), path, path]);
    }
    for words in
        [["--proc", "/proc"], ["--dev", "/dev"], ["--tmpfs", "/dev/shm"], ["--tmpfs", "/tmp"], ["--tmpfs", "/mnt"]]
    {
        arguments.extend(words.map(OsString::from));
    }
    arguments.extend(["--", "/bin/true"].map(OsString::from));
    arguments
}

#[cfg(test)]
mod tests {
    use super::super::subject::HELLOS;
    use super::*;

    #[test]
    fn programs_at_once_are_all_run() {
        let place = WorkDirectory::new().unwrap();
        let bash = HELLOS.iter().find(|subject| subject.id == "bash").unwrap();
        let sources: Vec<String> = (0..5).map(|number| format!("echo hello {number}")).collect();
        at_once(&place, bash, Path::new("/bin/bash"), &sources, 2).unwrap();
        let broken = [sources, vec!["exit 3".to_owned()]].concat();
        assert!(at_once(&place, bash, Path::new("/bin/bash"), &broken, 2).is_err());
    }

    #[test]
    fn a_tmpfs_is_told_from_other_mounts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw,relatime 0 0\n";
        assert!(is_tmpfs(mounts, "/dev/shm"));
        assert!(!is_tmpfs(mounts, "/"));
        assert!(!is_tmpfs(mounts, "/tmp"));
    }

    #[test]
    fn a_program_that_fails_is_an_error_that_shows_what_it_said() {
        let place = WorkDirectory::new().unwrap();
        let mut shell = start(&place, Path::new("/bin/sh"));
        shell.args(["-c", "echo oh no >&2; exit 3"]);
        let error = run(shell).unwrap_err().to_string();
        assert!(error.contains("exit status: 3: oh no"), "{error}");
    }
}
