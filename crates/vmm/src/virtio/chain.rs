//! One request of a driver: a chain of spans of the guest's memory, first those to read, then those to write.
//!
//! What stands in a chain is read once, here, and checked; whatever the guest writes into its tables afterwards changes nothing any
//! more. The bytes themselves it may change at any time, so a device copies what it decides by.

use std::collections::VecDeque;

use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestAddress, GuestMemory, Permissions};

use crate::memory::Memory;

use super::Broken;

/// A request.
#[derive(Debug)]
pub struct Chain {
    /// What it is known by in its queue.
    pub(super) head: u16,
    /// What the device is to read.
    pub readable: Spans,
    /// What the device may write.
    pub writable: Spans,
}

/// Spans of the guest's memory, all of them within it. What has been read or written is gone from its front.
#[derive(Debug, Default)]
pub struct Spans {
    spans: VecDeque<(GuestAddress, u32)>,
    /// Of a chain of less than 2^32 bytes.
    done: u32,
}

impl Chain {
    /// Reads a chain that has no more than `most` spans.
    pub(super) fn read(descriptors: DescriptorChain<&Memory>, memory: &Memory, most: u16) -> Result<Chain, Broken> {
        let mut chain =
            Chain { head: descriptors.head_index(), readable: Spans::default(), writable: Spans::default() };
        let mut goes_on = true;
        for descriptor in descriptors.take(most.into()) {
            if !descriptor.is_write_only() && !chain.writable.spans.is_empty() {
                return Err(Broken::Order);
            }
            let spans = if descriptor.is_write_only() { &mut chain.writable } else { &mut chain.readable };
            spans.add(memory, descriptor.addr(), descriptor.len())?;
            goes_on = descriptor.has_next();
        }
        // Descriptors end without a word where they cannot be followed. Then the last has announced another, or there was none.
        if goes_on { Err(Broken::Endless) } else { Ok(chain) }
    }
}

impl Spans {
    fn add(&mut self, memory: &Memory, address: GuestAddress, length: u32) -> Result<(), Broken> {
        let count = usize::try_from(length).map_err(|_| Broken::Memory)?;
        if !GuestMemory::check_range(memory, address, count, Permissions::ReadWrite) {
            return Err(Broken::Memory);
        }
        self.spans.push_back((address, length));
        Ok(())
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.spans.iter().fold(0, |sum, (_, length)| sum.saturating_add(u64::from(*length)))
    }

    /// How many have been read or written.
    pub fn done(&self) -> u32 {
        self.done
    }

    /// Reads as many bytes as there is room for in `bytes`.
    pub fn read(&mut self, memory: &Memory, mut bytes: &mut [u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let (address, length) = self.front(bytes.len())?;
            let (now, later) = bytes.split_at_mut_checked(length).ok_or(Broken::Short)?;
            memory.read_slice(now, address).map_err(|_| Broken::Memory)?;
            bytes = later;
        }
        Ok(())
    }

    /// Writes all of `bytes`.
    pub fn write(&mut self, memory: &Memory, mut bytes: &[u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let (address, length) = self.front(bytes.len())?;
            let (now, later) = bytes.split_at_checked(length).ok_or(Broken::Short)?;
            memory.write_slice(now, address).map_err(|_| Broken::Memory)?;
            bytes = later;
        }
        Ok(())
    }

    /// Takes the last byte away.
    pub fn take_last(&mut self) -> Result<Spans, Broken> {
        while let Some((address, length)) = self.spans.pop_back() {
            let Some(before) = length.checked_sub(1) else { continue };
            let last = address.0.checked_add(before.into()).ok_or(Broken::Memory)?;
            self.spans.push_back((address, before));
            return Ok(Spans { spans: [(GuestAddress(last), 1)].into(), done: 0 });
        }
        Err(Broken::Short)
    }

    /// Takes at most so many bytes from the front; never none.
    fn front(&mut self, most: usize) -> Result<(GuestAddress, usize), Broken> {
        while let Some((address, length)) = self.spans.pop_front() {
            let now = length.min(u32::try_from(most).unwrap_or(u32::MAX));
            let (Some(next), Some(left)) = (address.0.checked_add(now.into()), length.checked_sub(now)) else {
                return Err(Broken::Memory);
            };
            if 0 < left {
                self.spans.push_front((GuestAddress(next), left));
            }
            if 0 < now {
                self.done = self.done.saturating_add(now);
                return Ok((address, usize::try_from(now).map_err(|_| Broken::Memory)?));
            }
        }
        Err(Broken::Short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemorySize;

    fn memory() -> Memory {
        MemorySize::LEAST.map().unwrap()
    }

    fn spans(memory: &Memory, of: &[(u64, u32)]) -> Spans {
        let mut spans = Spans::default();
        of.iter().for_each(|(address, length)| spans.add(memory, GuestAddress(*address), *length).unwrap());
        spans
    }

    #[test]
    fn bytes_go_across_spans_and_empty_ones_are_passed_over() {
        let memory = memory();
        let of = [(0x1000, 2), (0x5000, 0), (0x2000, 3)];
        spans(&memory, &of).write(&memory, b"abcd").unwrap();
        let mut read = [0; 5];
        let mut reading = spans(&memory, &of);
        reading.read(&memory, &mut read).unwrap();
        assert_eq!((&read, reading.done(), reading.left()), (b"abcd\0", 5, 0));
        assert_eq!(reading.read(&memory, &mut [0]), Err(Broken::Short));
    }

    #[test]
    fn the_last_byte_is_that_of_the_last_span_which_has_one() {
        let memory = memory();
        let mut writable = spans(&memory, &[(0x1000, 2), (0x2000, 1), (0x3000, 0)]);
        let mut last = writable.take_last().unwrap();
        last.write(&memory, b"!").unwrap();
        assert_eq!((memory.read_obj::<u8>(GuestAddress(0x2000)).unwrap(), writable.left()), (b'!', 2));
        assert_eq!(spans(&memory, &[(0x1000, 0)]).take_last().unwrap_err(), Broken::Short);
    }

    #[test]
    fn what_is_not_all_in_memory_is_refused() {
        let memory = memory();
        for (address, length) in [((2 << 20) - 1, 2), (2 << 20, 1), (u64::MAX, 1), (u64::MAX, u32::MAX), (0, u32::MAX)]
        {
            let refused = Spans::default().add(&memory, GuestAddress(address), length);
            assert_eq!(refused, Err(Broken::Memory), "{length} bytes at {address:#x}");
        }
    }
}
