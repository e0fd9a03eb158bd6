//! Why firebox ends without an outcome: what went wrong, whose doing it was, and what to do about it.
//!
//! A verdict is about the program and is no failure. What the request got wrong is exit code 2, as with every command
//! line, and what the host cannot do or we did wrong is 125, as with `timeout` and `env`. A program may end with these
//! as well; only a verdict comes with an outcome, so `--json` tells them apart.

use std::process::ExitCode;

/// Why firebox ends without an outcome.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell.
    Told {
        /// Whose doing it was.
        blame: Blame,
        /// What went wrong, with all its causes.
        error: anyhow::Error,
        /// What to do about it.
        help: Option<String>,
    },
    /// Whoever read our output stopped. Nobody is left to be told, and pipelines end like this every day.
    ReaderGone,
}

/// Whose doing a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The request is wrong; the same request fails on every host.
    Request,
    /// This host cannot do it, or we did something wrong.
    Host,
}

impl Failure {
    /// The request is wrong.
    pub(crate) fn request(error: impl Into<anyhow::Error>) -> Failure {
        Failure::Told { blame: Blame::Request, error: error.into(), help: None }
    }

    /// The host cannot do it, or we failed.
    pub(crate) fn host(error: impl Into<anyhow::Error>) -> Failure {
        Failure::Told { blame: Blame::Host, error: error.into(), help: None }
    }

    /// Adds what to do about it.
    pub(crate) fn with_help(self, text: impl Into<String>) -> Failure {
        match self {
            Failure::Told { blame, error, help: _ } => Failure::Told { blame, error, help: Some(text.into()) },
            Failure::ReaderGone => Failure::ReaderGone,
        }
    }

    /// Adds what to do about it, where there is something to add.
    pub(crate) fn with_help_if(self, text: Option<String>) -> Failure {
        match text {
            None => self,
            Some(text) => self.with_help(text),
        }
    }

    /// What firebox exits with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Told { blame: Blame::Request, .. } => ExitCode::from(2),
            Failure::Told { blame: Blame::Host, .. } => ExitCode::from(125),
            // What a shell shows for a program that SIGPIPE ended.
            Failure::ReaderGone => ExitCode::from(141),
        }
    }

    /// What the user is told; none when there is nobody to tell.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Failure::Told { blame: _, error, help } => {
                let help = help.as_ref().map(|help| format!("  help: {help}\n")).unwrap_or_default();
                Some(format!("firebox: {error:#}\n{help}"))
            }
            Failure::ReaderGone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_holds_every_cause_and_the_help_on_a_line_of_its_own() {
        let cause = std::io::Error::from_raw_os_error(2);
        let failure = Failure::request(anyhow::Error::new(cause).context("cannot read `x`")).with_help("look again");
        let message = failure.message().unwrap();
        assert_eq!(message, "firebox: cannot read `x`: No such file or directory (os error 2)\n  help: look again\n");
    }
}
