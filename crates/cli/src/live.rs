//! A job's output as a shell would show it: the run's as it comes, then whatever did not come that way.
//!
//! What has been shown is counted, so that what is left can be worked out from the outcome alone, whichever part of a
//! stream the engine chose to hand over early.

use std::io;

use firebox_engine::{Sink, Stream};
use firebox_job::{Captured, Outcome, StepKind};

use crate::printer::Printer;

/// Whether a successful build's diagnostics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warnings {
    /// They are.
    Shown,
    /// They are not; those of a build that failed always are.
    Hidden,
}

/// Shows a job's output.
pub(crate) struct Live {
    printer: Printer,
    warnings: Warnings,
    /// Bytes already shown of the program's two streams, and of the build's diagnostics.
    stdout: u64,
    stderr: u64,
    diagnostics: u64,
}

/// How many bytes of the program's streams nobody will see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Missing {
    /// Of its standard output.
    pub(crate) stdout: u64,
    /// Of its standard error, or of the compiler's.
    pub(crate) stderr: u64,
}

impl Live {
    /// Shows nothing yet.
    pub(crate) fn new(printer: Printer, warnings: Warnings) -> Live {
        Live { printer, warnings, stdout: 0, stderr: 0, diagnostics: 0 }
    }

    /// Shows what of an outcome has not been shown yet, and counts what nobody will see.
    pub(crate) fn show_rest_of(&self, outcome: &Outcome) -> Missing {
        let built = |kind| kind == StepKind::Build;
        let failed_to_build = outcome.steps.last().is_some_and(|step| built(step.kind));
        match self.warnings {
            Warnings::Shown => {
                let mut shown = self.diagnostics;
                let mut missing = 0;
                for step in outcome.steps.iter().filter(|step| built(step.kind)) {
                    missing += self.show_rest(Stream::Stderr, &step.stderr, shown);
                    shown = shown.saturating_sub(length(&step.stderr));
                }
                if failed_to_build {
                    return Missing { stdout: 0, stderr: missing };
                }
            }
            Warnings::Hidden if failed_to_build => {
                return Missing { stdout: 0, stderr: self.show_rest(Stream::Stderr, &outcome.stderr, 0) };
            }
            Warnings::Hidden => {}
        }
        Missing {
            stdout: self.show_rest(Stream::Stdout, &outcome.stdout, self.stdout),
            stderr: self.show_rest(Stream::Stderr, &outcome.stderr, self.stderr),
        }
    }

    /// Hands back the printer, to be finished.
    pub(crate) fn into_printer(self) -> Printer {
        self.printer
    }

    fn show_rest(&self, stream: Stream, captured: &Captured, shown: u64) -> u64 {
        let Rest { head, missing, tail } = rest(captured, shown);
        for part in [head, tail] {
            if !part.is_empty() {
                self.printer.write(stream, part);
            }
        }
        missing
    }
}

impl Sink for Live {
    fn output(&mut self, step: StepKind, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let shown = match (step, stream, self.warnings) {
            (StepKind::Run, Stream::Stdout, _) => &mut self.stdout,
            (StepKind::Run, Stream::Stderr, _) => &mut self.stderr,
            (StepKind::Build, Stream::Stderr, Warnings::Shown) => &mut self.diagnostics,
            // Whether the compiler's words are wanted is known when it has ended.
            (StepKind::Build, _, _) => return Ok(()),
        };
        *shown += bytes.len() as u64;
        self.printer.write(stream, bytes);
        Ok(())
    }
}

/// What is left of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Rest<'c> {
    /// Kept before the cut and not shown yet.
    head: &'c [u8],
    /// Not shown, and not kept.
    missing: u64,
    /// Kept after the cut and not shown yet.
    tail: &'c [u8],
}

/// Works out what is left of a stream of which the first `shown` bytes have been shown.
fn rest(captured: &Captured, shown: u64) -> Rest<'_> {
    let bytes = captured.bytes();
    let Some(cut) = captured.truncated() else {
        return Rest { head: after(bytes, shown), missing: 0, tail: &[] };
    };
    let (head, tail) = bytes.split_at(usize::try_from(cut.at_byte).unwrap_or(usize::MAX).min(bytes.len()));
    let tail_starts_at = cut.at_byte + cut.dropped_bytes;
    Rest {
        head: after(head, shown),
        missing: cut.dropped_bytes.min(tail_starts_at.saturating_sub(shown)),
        tail: after(tail, shown.saturating_sub(tail_starts_at)),
    }
}

fn after(bytes: &[u8], shown: u64) -> &[u8] {
    &bytes[usize::try_from(shown).unwrap_or(usize::MAX).min(bytes.len())..]
}

/// How long a stream was before anything was dropped.
fn length(captured: &Captured) -> u64 {
    captured.bytes().len() as u64 + captured.truncated().map_or(0, |cut| cut.dropped_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_is_not_shown_again_and_nothing_else_is_left_out() {
        // The stream was `0123456789`, of which `45` was dropped.
        let cut = Captured::cut(b"0123".to_vec(), 2, b"6789");
        for (shown, head, missing, tail) in [
            (0, "0123", 2, "6789"),
            (3, "3", 2, "6789"),
            (4, "", 2, "6789"),
            (5, "", 1, "6789"),
            (6, "", 0, "6789"),
            (8, "", 0, "89"),
            (10, "", 0, ""),
            (11, "", 0, ""),
        ] {
            let expected = Rest { head: head.as_bytes(), missing, tail: tail.as_bytes() };
            assert_eq!(rest(&cut, shown), expected, "{shown} bytes shown");
        }
    }

    #[test]
    fn a_whole_stream_is_shown_whole() {
        let whole = Captured::whole(b"0123".to_vec());
        for (shown, head) in [(0, "0123"), (2, "23"), (4, ""), (9, "")] {
            assert_eq!(rest(&whole, shown), Rest { head: head.as_bytes(), missing: 0, tail: b"" });
        }
    }
}
