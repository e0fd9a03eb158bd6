//! How firebox ends when a job had an outcome.

use std::process::ExitCode;

use signal_hook::consts::SIGINT;
use signal_hook::low_level::emulate_default_handler;

/// How firebox ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an exit code.
    Code(u8),
    /// By the signal that Ctrl-C sends. A shell ends its loop only when the program in it died of that signal; one
    /// that merely exits with 130 has, to the shell, dealt with Ctrl-C itself.
    CtrlC,
}

impl Ending {
    /// Ends firebox, or says what it exits with. Nothing may be left to clear up.
    pub(crate) fn take(self) -> ExitCode {
        match self {
            Ending::Code(code) => ExitCode::from(code),
            Ending::CtrlC => {
                // Returns only when it failed; then the number that a shell shows for it is the next best.
                let _ = emulate_default_handler(SIGINT);
                ExitCode::from(130)
            }
        }
    }
}
