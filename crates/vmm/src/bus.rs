//! Who answers at which address: one bus for memory, one for ports.
//!
//! Ranges never overlap, and an access that is not within one range as a whole reaches nobody: reading there gives ones, as on a
//! bus with nothing on it, and writing is lost. A device hears of an offset within its range and of 1 to 8 bytes.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ending::Ending;

/// Whether the machine goes on after a write.
pub type Go = ControlFlow<Ending>;

/// What stands on a bus.
pub trait BusDevice: Send {
    /// The guest reads. All of `data` is to be filled.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// The guest writes; that may end it.
    fn write(&mut self, offset: u64, data: &[u8]) -> Go;
}

/// Two devices were to stand in one place.
#[derive(Debug, thiserror::Error)]
#[error("there is a device at {:#x}..{:#x} already", .0.start, .0.end)]
pub struct Taken(pub Range<u64>);

type Shared = Arc<Mutex<dyn BusDevice>>;

/// The devices by their ranges, in order.
#[derive(Default, Clone)]
pub(crate) struct Bus {
    devices: Vec<(Range<u64>, Shared)>,
}

impl Bus {
    /// Gives a device its range.
    pub(crate) fn add(&mut self, range: Range<u64>, device: Shared) -> Result<(), Taken> {
        let place = self.devices.partition_point(|(other, _)| other.end <= range.start);
        match self.devices.get(place) {
            Some((next, _)) if next.start < range.end => Err(Taken(next.clone())),
            _ => {
                self.devices.insert(place, (range, device));
                Ok(())
            }
        }
    }

    pub(crate) fn read(&self, address: u64, data: &mut [u8]) {
        match self.find(address, data.len()) {
            Some((offset, device)) => device.lock().unwrap_or_else(PoisonError::into_inner).read(offset, data),
            None => data.fill(0xFF),
        }
    }

    pub(crate) fn write(&self, address: u64, data: &[u8]) -> Go {
        match self.find(address, data.len()) {
            Some((offset, device)) => device.lock().unwrap_or_else(PoisonError::into_inner).write(offset, data),
            None => ControlFlow::Continue(()),
        }
    }

    fn find(&self, address: u64, length: usize) -> Option<(u64, &Shared)> {
        let place = self.devices.partition_point(|(range, _)| range.end <= address);
        let (range, device) = self.devices.get(place)?;
        let end = address.checked_add(u64::try_from(length).ok()?)?;
        let offset = address.checked_sub(range.start)?;
        (end <= range.end).then_some((offset, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it was asked.
    #[derive(Default)]
    struct Recorder(Vec<(u64, usize)>);

    impl BusDevice for Recorder {
        fn read(&mut self, offset: u64, data: &mut [u8]) {
            self.0.push((offset, data.len()));
            data.fill(7);
        }

        fn write(&mut self, offset: u64, data: &[u8]) -> Go {
            self.0.push((offset, data.len()));
            ControlFlow::Break(Ending::Reset)
        }
    }

    fn bus() -> (Bus, Arc<Mutex<Recorder>>) {
        let recorder = Arc::new(Mutex::new(Recorder::default()));
        let mut bus = Bus::default();
        bus.add(0x20..0x30, Arc::new(Mutex::new(Recorder::default()))).unwrap();
        bus.add(0x10..0x18, recorder.clone()).unwrap();
        (bus, recorder)
    }

    fn read(bus: &Bus, address: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        bus.read(address, &mut data);
        data
    }

    #[test]
    fn a_device_hears_of_offsets_within_its_range() {
        let (bus, recorder) = bus();
        assert_eq!(read(&bus, 0x10, 4), [7; 4]);
        assert_eq!(bus.write(0x14, &[0; 4]), ControlFlow::Break(Ending::Reset));
        assert_eq!(recorder.lock().unwrap().0, [(0, 4), (4, 4)]);
    }

    #[test]
    fn where_nobody_is_ones_are_read_and_writing_is_lost() {
        let (bus, recorder) = bus();
        for (address, length) in [(0, 1), (0xF, 1), (0x18, 8), (0x30, 1), (u64::MAX, 1), (u64::MAX, 8)] {
            assert_eq!(read(&bus, address, length), vec![0xFF; length], "{address:#x}");
            assert_eq!(bus.write(address, &[0; 8][..length]), ControlFlow::Continue(()), "{address:#x}");
        }
        assert_eq!(recorder.lock().unwrap().0, []);
    }

    #[test]
    fn an_access_across_an_end_reaches_nobody() {
        let (bus, recorder) = bus();
        for address in [0xC, 0x15, 0x1E, 0x2D] {
            assert_eq!(read(&bus, address, 4), [0xFF; 4], "{address:#x}");
        }
        assert_eq!(recorder.lock().unwrap().0, []);
    }

    #[test]
    fn no_two_devices_share_an_address() {
        let (mut bus, recorder) = bus();
        for range in [0x17..0x19, 0x0..0x11, 0x11..0x12, 0x0..0x100, 0x2F..0x31] {
            assert!(bus.add(range.clone(), recorder.clone()).is_err(), "{range:x?}");
        }
        bus.add(0x18..0x20, recorder).unwrap();
    }
}
