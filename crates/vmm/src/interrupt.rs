//! How a device makes itself heard.

use std::io;
use std::sync::Arc;

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// What a device raises when it has something to tell.
pub trait Interrupt: Send {
    /// Raises it. Raising what is raised already changes nothing.
    fn raise(&self);
}

/// A line into a machine's interrupt controller: whoever writes to its event, KVM raises the interrupt, without coming back to us.
/// Copies are the same line.
#[derive(Clone)]
pub(crate) struct Line(Arc<EventFd>);

/// Why there is no such line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The controller has fewer pins.
    #[error("the interrupt controller has no pin {0}")]
    NoSuchPin(u32),
    /// The host gives no descriptor for it.
    #[error("the host gives no event for an interrupt: {0}")]
    Event(io::Error),
    /// KVM does not take it.
    #[error("KVM refuses to connect an interrupt: {0}")]
    Connect(kvm_ioctls::Error),
}

impl Line {
    /// A new event, and `connect` told of it.
    pub(crate) fn connect(connect: impl FnOnce(&EventFd) -> Result<(), kvm_ioctls::Error>) -> Result<Line, LineError> {
        // Without waiting: an event nobody takes must not hold up the device that raises it.
        let event = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(LineError::Event)?;
        connect(&event).map_err(LineError::Connect)?;
        Ok(Line(Arc::new(event)))
    }
}

impl Interrupt for Line {
    fn raise(&self) {
        // It fails in one case: so many are counted and not taken yet that there is no room for one more.
        _ = self.0.write(1);
    }
}

impl vm_superio::Trigger for Line {
    type E = std::convert::Infallible;

    fn trigger(&self) -> Result<(), Self::E> {
        self.raise();
        Ok(())
    }
}
