//! The queues of a device that works: chains out of them, and back.

use std::sync::atomic::Ordering;

use virtio_queue::{Queue, QueueOwnedT, QueueT};

use crate::memory::Memory;

use super::{Broken, Chain};

/// The queues of one device, and the memory they are in.
pub struct Queues<'a> {
    queues: &'a mut [Queue],
    memory: &'a Memory,
    given_back: bool,
}

impl<'a> Queues<'a> {
    pub(super) fn new(queues: &'a mut [Queue], memory: &'a Memory) -> Queues<'a> {
        Queues { queues, memory, given_back: false }
    }

    /// The guest's memory.
    pub fn memory(&self) -> &'a Memory {
        self.memory
    }

    /// How many chains there can be in a queue at a time. A device takes no more for one notification: else a guest that adds
    /// another for each it gets back would keep it for ever. Whatever comes after is announced anew.
    pub fn length(&self, queue: usize) -> u16 {
        self.queues.get(queue).map_or(0, QueueT::size)
    }

    /// Whether the driver uses a queue at all.
    pub fn is_set_up(&self, queue: usize) -> bool {
        self.queues.get(queue).is_some_and(QueueT::ready)
    }

    /// The next chain, if there is one.
    pub fn take(&mut self, queue: usize) -> Result<Option<Chain>, Broken> {
        let memory = self.memory;
        // What is not set up has nothing in it.
        let Some(queue) = self.queues.get_mut(queue).filter(|queue| queue.ready()) else { return Ok(None) };
        let most = queue.size();
        let descriptors = queue.iter(memory).map_err(|_| Broken::Ring)?.next();
        descriptors.map(|descriptors| Chain::read(descriptors, memory, most)).transpose()
    }

    /// Leaves the chain that was taken last where it was: there is nothing to put into it yet.
    pub fn put_back(&mut self, queue: usize) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.go_to_previous_position();
        }
    }

    /// Gives a chain back, with so many bytes written.
    pub fn give_back(&mut self, queue: usize, chain: &Chain, written: u32) -> Result<(), Broken> {
        let Some(queue) = self.queues.get_mut(queue) else { return Err(Broken::Ring) };
        self.given_back = true;
        queue.add_used(self.memory, chain.head, written).map_err(|_| Broken::Ring)
    }

    /// Whether anything has been given back, so that the driver is to be told.
    pub(super) fn has_given_back(&self) -> bool {
        self.given_back
    }
}

/// Whether a queue may be worked with: its rings are in memory, and at addresses that rings can have.
pub(super) fn is_sound(queue: &Queue, memory: &Memory) -> bool {
    // A ring whose index cannot be loaded is found by loading it: that also needs its place to be even.
    queue.is_valid(memory) && queue.avail_idx(memory, Ordering::Relaxed).is_ok()
}
