//! What strace tells of confined processes, as numbers.
//!
//! strace stands outside of the filter and starts the example, which then confines itself: what it did before is left out.

use std::path::Path;

use syscalls::Sysno;

/// strace with numbers for calls and for all arguments, without signals and without words of its own.
pub(crate) const TRACING: [&str; 7] = ["strace", "-n", "-qqq", "-e", "raw=all", "-e", "signal=none"];

/// One system call under the filter.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) arguments: [u64; 6],
    /// The name of the error that it was answered with.
    pub(crate) error: Option<String>,
}

/// Reads the files of all processes and threads.
pub(crate) fn read(directory: &Path) -> Vec<Call> {
    let files = std::fs::read_dir(directory).expect("the traces").map(|file| file.expect("a trace").path());
    let texts = files.map(|file| std::fs::read_to_string(&file).expect("strace writes text"));
    texts.flat_map(|text| calls(&text)).collect()
}

/// The calls of one process or thread since it was confined. Only the first has ever been without the filter.
fn calls(text: &str) -> Vec<Call> {
    let all: Vec<Call> = text.lines().filter_map(call).collect();
    let installed = |call: &Call| call.number == Sysno::seccomp.id() as u32 && call.error.is_none();
    let confined_from = all.iter().position(installed).map_or(0, |at| at + 1);
    all.into_iter().skip(confined_from).collect()
}

/// `[ 257] openat(0xffffff9c, 0x7f3b01e5d0b1, 0x80000, 0) = -1 ENOENT (No such file or directory)`
fn call(line: &str) -> Option<Call> {
    let (number, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (_name, rest) = rest.split_once('(')?;
    // The last call of a process that is killed has no end.
    let (given, answer) = rest.split_once(')')?;
    let mut arguments = [0; 6];
    for (argument, word) in arguments.iter_mut().zip(given.split(", ").filter(|word| !word.is_empty())) {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        *argument = u64::from_str_radix(digits, 16).unwrap_or_else(|error| panic!("{word:?} in {line:?}: {error}"));
    }
    let error = answer.split_once("= -1 ").and_then(|(_, error)| error.split(' ').next()).map(str::to_owned);
    let number = number.trim().parse().unwrap_or_else(|error| panic!("{number:?} in {line:?}: {error}"));
    Some(Call { number, arguments, error })
}
