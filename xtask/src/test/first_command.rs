//! The README's first command, really run: what a newcomer types first must work as it is printed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::step::{Ended, Finding};
use crate::repository::Repository;

/// How the command starts. Words before it (fetching the project) are not for a checkout that is there already.
const STARTS_WITH: &str = "cargo run";

/// Passes when the command succeeds and prints something.
pub(super) fn first_command(repository: &Repository) -> Result<Finding> {
    let readme = std::fs::read_to_string(repository.root().join("README.md")).context("cannot read README.md")?;
    let words = words_of(&readme)?;
    println!("$ {}", words.join(" "));
    let (program, arguments) = words.split_first().context("the README's first command is empty")?;
    let output = Command::new(program)
        .args(arguments)
        .current_dir(repository.root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(Finding::from(if !output.status.success() {
        Ended::Failed(format!("`{}` ended with {}", words.join(" "), output.status))
    } else if output.stdout.is_empty() {
        Ended::Failed(format!("`{}` printed nothing", words.join(" ")))
    } else {
        Ended::Passed
    }))
}

/// The first line of a fenced block that starts with [`STARTS_WITH`], as words. A line that would need a shell is
/// refused: run without one, it would mean something else.
fn words_of(readme: &str) -> Result<Vec<String>> {
    let mut is_fenced = false;
    for line in readme.lines().map(str::trim) {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        let command = line.strip_prefix("$ ").unwrap_or(line);
        if is_fenced && command.starts_with(STARTS_WITH) {
            if let Some(special) = command.chars().find(|c| "\"'\\$|&;<>*?~`#".contains(*c)) {
                bail!("the README's first command has a `{special}`; keep it a plain line of words: {command}");
            }
            return Ok(command.split_whitespace().map(str::to_owned).collect());
        }
    }
    bail!("README.md has no fenced line that starts with `{STARTS_WITH}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fenced_line_that_runs_the_project_is_taken() {
        let readme = "# F\ncargo run prose\n```sh\ngit clone x\n$ cargo run --release -- run a.rs\ncargo run b\n```\n";
        assert_eq!(words_of(readme).unwrap().join(" "), "cargo run --release -- run a.rs");
    }

    #[test]
    fn a_line_for_a_shell_and_a_missing_line_are_refused() {
        for (readme, says) in [("```\ncargo run | cat\n```", "`|`"), ("```\ncargo test\n```", "no fenced line")] {
            let error = words_of(readme).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
