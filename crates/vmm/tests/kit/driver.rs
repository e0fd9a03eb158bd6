//! A driver of a virtio device, without a guest: it sets the device up by its registers, and puts requests into its first queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use firebox_vmm::virtio::{Device, Transport};
use firebox_vmm::{BusDevice, Bytes, GuestAddress, Interrupt, Memory, MemorySize};

pub(crate) const STATUS: u64 = 0x70;
pub(crate) const READY: u32 = 0xF;
pub(crate) const NEEDS_RESET: u32 = 0x40;
/// Where the queue and its buffers are.
pub(crate) const TABLE: u64 = 0x1_0000;
pub(crate) const AVAILABLE: u64 = 0x1_2000;
pub(crate) const USED: u64 = 0x1_4000;
pub(crate) const BUFFER: u64 = 0x4_0000;
/// As long as the tests make it.
pub(crate) const LENGTH: u16 = 16;
/// Flags of a descriptor.
pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;

/// Counts interrupts.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<AtomicU32>);

impl Interrupt for Bell {
    fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn rung(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct Driver {
    pub(crate) transport: Transport,
    pub(crate) memory: Memory,
    pub(crate) bell: Bell,
    announced: u16,
    collected: u16,
}

impl Driver {
    /// For a device that has met no driver yet.
    pub(crate) fn new(device: impl Device + 'static) -> Driver {
        let (memory, bell) = (MemorySize::LEAST.map().unwrap(), Bell::default());
        let transport = Transport::new(Box::new(device), memory.clone(), Box::new(bell.clone()));
        Driver { transport, memory, bell, announced: 0, collected: 0 }
    }

    /// And sets it up.
    pub(crate) fn ready(device: impl Device + 'static) -> Driver {
        let mut driver = Driver::new(device);
        driver.set_up();
        assert_eq!(driver.get(STATUS), READY);
        driver
    }

    pub(crate) fn get(&mut self, register: u64) -> u32 {
        let mut word = [0; 4];
        self.transport.read(register, &mut word);
        u32::from_le_bytes(word)
    }

    pub(crate) fn set(&mut self, register: u64, value: u32) {
        assert!(self.transport.write(register, &value.to_le_bytes()).is_continue());
    }

    pub(crate) fn agree_on(&mut self, features: u64) {
        self.set(STATUS, 0);
        self.set(STATUS, 1);
        self.set(STATUS, 3);
        for (half, bits) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.set(0x24, half);
            self.set(0x20, bits);
        }
        self.set(STATUS, 0xB);
    }

    pub(crate) fn set_queue(&mut self, table: u64, available: u64, used: u64) {
        self.set(0x30, 0);
        self.set(0x38, LENGTH.into());
        for (register, address) in [(0x80, table), (0x90, available), (0xA0, used)] {
            self.set(register, address as u32);
            self.set(register + 4, (address >> 32) as u32);
        }
        self.set(0x44, 1);
    }

    pub(crate) fn set_up(&mut self) {
        self.memory.write_slice(&[0; 0x6000], GuestAddress(TABLE)).unwrap();
        (self.announced, self.collected) = (0, 0);
        self.agree_on(1 << 32);
        self.set_queue(TABLE, AVAILABLE, USED);
        self.set(STATUS, READY);
    }

    pub(crate) fn put(&self, address: u64, bytes: &[u8]) {
        self.memory.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub(crate) fn fetch(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    /// Writes a descriptor: address, length, flags, the next.
    pub(crate) fn descriptor(&self, place: u16, (address, length, flags, next): (u64, u32, u16, u16)) {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend([flags.to_le_bytes(), next.to_le_bytes()].concat());
        self.put(TABLE + u64::from(place) * 16, &bytes);
    }

    /// A chain of these spans, one descriptor after the other, announced.
    pub(crate) fn send(&mut self, spans: &[(u64, u32, u16)]) {
        for (place, (address, length, flags)) in (0..).zip(spans) {
            let is_last = usize::from(place) + 1 == spans.len();
            self.descriptor(place, (*address, *length, flags | if is_last { 0 } else { NEXT }, place + 1));
        }
        self.announce(0);
    }

    /// Announces the chain that begins there.
    pub(crate) fn announce(&mut self, head: u16) {
        self.put(AVAILABLE + 4 + u64::from(self.announced % LENGTH) * 2, &head.to_le_bytes());
        self.announced = self.announced.wrapping_add(1);
        self.put(AVAILABLE + 2, &self.announced.to_le_bytes());
        self.set(0x50, 0);
    }

    /// What came back: how many bytes were written, if anything did.
    pub(crate) fn collect(&mut self) -> Option<u32> {
        let used = self.fetch(USED + 2, 2);
        if u16::from_le_bytes([used[0], used[1]]) == self.collected {
            return None;
        }
        let entry = self.fetch(USED + 4 + u64::from(self.collected % LENGTH) * 8, 8);
        self.collected = self.collected.wrapping_add(1);
        Some(u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]))
    }
}
