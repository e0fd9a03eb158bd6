//! A program that is run to its end and has to succeed: what it says, or why it failed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// What it writes to standard output.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, says.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same, where nobody wants to know.
pub(crate) fn done(command: &mut Command) -> Result<()> {
    said(command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_says_how() {
        let error = done(Command::new("sh").args(["-c", "echo oh no >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("exit status: 3: oh no"), "{error}");
    }
}
