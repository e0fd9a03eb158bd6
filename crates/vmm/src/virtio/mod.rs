//! Virtio: the devices of a guest, and what all of them have in common.
//!
//! ```text
//! bus --> transport (registers, status, who may set what when) --> a device's `serve`
//!              '--> queues (rings in the guest's memory) --> chains (spans of it, checked) --'
//! ```
//!
//! A driver that breaks the rules of a queue loses the device until it resets it ([`Broken`]): the state it left the queue in is
//! nobody's to guess. What it asks of a device that is only impossible is answered as such.

mod block;
mod chain;
mod entropy;
mod queues;
mod state;
mod status;
mod transport;
mod vsock;

pub use block::{Block, NoDisk};
pub use chain::{Chain, Spans};
pub use entropy::Entropy;
pub use queues::Queues;
pub use state::{DeviceState, OtherDevice};
pub use transport::Transport;
pub use vsock::{Door, Vsock};

use std::os::fd::BorrowedFd;

/// The driver has broken the rules of a queue, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It announces more chains than the queue has room for, or the ring is not in memory.
    #[error("the ring is not one")]
    Ring,
    /// A chain has no end, or leads out of the table.
    #[error("a chain does not end")]
    Endless,
    /// What the device may write stands before what it is to read.
    #[error("a chain is in the wrong order")]
    Order,
    /// A chain leads out of the guest's memory.
    #[error("a chain leads out of memory")]
    Memory,
    /// A chain is shorter than any request.
    #[error("a chain is too short")]
    Short,
}

/// Virtio as it has been since 1.0, and the one feature that is not for a driver to refuse.
const VERSION_1: u64 = 1 << 32;

/// Why a device cannot be frozen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrest {
    /// Somebody is connected, and would be to nobody in a machine made of it.
    #[error("{0} connections are open between host and guest; close them first")]
    Connected(usize),
}

/// One kind of device, behind any transport.
///
/// Called by the transport alone, one call at a time: `serve` from the moment on in which the driver is ready, until `reset`.
pub trait Device: Send {
    /// What virtio calls its kind.
    fn kind(&self) -> u32;

    /// The features that it offers, besides those of the transport.
    fn features(&self) -> u64 {
        0
    }

    /// How long each of its queues may be. Powers of two.
    fn queues(&self) -> &'static [u16];

    /// What the driver can read about it. It never changes.
    fn config(&self) -> &[u8] {
        &[]
    }

    /// The driver says that there is something in a queue.
    fn serve(&mut self, queue: usize, queues: &mut Queues<'_>) -> Result<(), Broken>;

    /// What becomes readable when something has happened on the host's side, if that can be.
    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Something has happened on the host's side. What of that is for the guest is served later.
    fn wake(&mut self) {}

    /// The driver begins anew.
    fn reset(&mut self) {}

    /// Whether another device could go on where this one is, by what its transport keeps.
    fn rest(&self) -> Result<(), Unrest> {
        Ok(())
    }

    /// This device goes on where another one was: the driver that is ready has known that one.
    fn take_over(&mut self) {}
}
