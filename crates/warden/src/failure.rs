//! Refusals of the kernel's, put down to what was being done, and how a process that is becoming a cell tells of one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use firebox_wire::warden::{Failure, Stage};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

/// For `map_err`: what failed at this stage.
pub fn at(stage: Stage) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { stage, errno: errno.raw_os_error() }
}

/// A pipe on which a process that is becoming a cell says what went wrong, or says nothing: the end closes when its
/// agent starts.
#[derive(Debug)]
pub struct Confession {
    told: OwnedFd,
    heard: OwnedFd,
}

/// How long a failure is on the pipe: its stage, then the kernel's reason.
const BYTES: usize = 5;

impl Confession {
    /// Both ends.
    pub fn new() -> Result<Confession, Errno> {
        let (heard, told) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Confession { told, heard })
    }

    /// The new process's end.
    pub fn into_told(self) -> OwnedFd {
        self.told
    }

    /// The warden's end, once there is a new process. Nobody else may hold the other one then: the next to be cloned
    /// would keep it open.
    pub(crate) fn into_heard(self) -> Heard {
        Heard(self.heard)
    }
}

/// The warden's end of a [`Confession`]. There is something to be read when it is known what came of the new process.
#[derive(Debug)]
pub(crate) struct Heard(OwnedFd);

impl Heard {
    /// A failure, or that the agent has started. Waits until either is known.
    pub(crate) fn outcome(&self) -> Result<(), Failure> {
        let mut word = [0; BYTES];
        loop {
            return match rustix::io::read(&self.0, &mut word) {
                Ok(0) => Ok(()),
                Ok(BYTES) => {
                    let [stage, a, b, c, d] = word;
                    let stage = Stage::from_number(stage).unwrap_or(Stage::Clone);
                    Err(Failure { stage, errno: i32::from_le_bytes([a, b, c, d]) })
                }
                Ok(_) => Err(at(Stage::Clone)(Errno::IO)),
                Err(Errno::INTR) => continue,
                Err(errno) => Err(at(Stage::Clone)(errno)),
            };
        }
    }
}

impl AsFd for Heard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Says, as the new process, what went wrong.
pub fn confess(told: BorrowedFd<'_>, Failure { stage, errno }: Failure) {
    let mut word = [0; BYTES];
    word[0] = stage as u8;
    word[1..].copy_from_slice(&errno.to_le_bytes());
    // Who would hear that this failed?
    let _ = rustix::io::write(told, &word);
}
