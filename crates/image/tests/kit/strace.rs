//! strace, which looks at what a process asks of the system, and answers in the system's place where a test says so.

use std::path::Path;
use std::process::Command;

use super::{has, skipped, text};

/// Whether it is here and may look at processes. Where not, that is said.
pub(crate) fn may_be() -> bool {
    if !has(&["strace"]) {
        return false;
    }
    let looked = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    let may_look = looked.is_ok_and(|status| status.success());
    if !may_look {
        skipped("`strace` may not look at processes here");
    }
    may_look
}

/// A program that is looked at, with all its threads: what each asks by these calls is written down in a file of its own, with the paths of
/// what is open. `answers` is what strace answers in the system's place.
pub(crate) fn of(program: &Path, calls: &str, answers: &[&str], traces: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-ff", "-y", "-qq", "-s", "4096", "-e", &format!("trace={calls}"), "-o", text(traces)]);
    for answer in answers {
        command.args(["-e", &format!("inject={answer}")]);
    }
    command.arg(program);
    command
}
