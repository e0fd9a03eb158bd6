//! A refusal of the kernel's, put down to what was being done.

use firebox_wire::warden::{Failure, Stage};
use rustix::io::Errno;

/// For `map_err`: what failed at this stage.
pub(crate) fn at(stage: Stage) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { stage, errno: errno.raw_os_error() }
}
