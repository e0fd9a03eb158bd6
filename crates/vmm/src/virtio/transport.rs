//! Virtio over registers in memory (virtio-mmio, version 2): what the driver and the device agree on before they work together.
//!
//! Who may set what when is decided here, for all devices: features before they are agreed on, queues between that and the moment
//! the driver is ready, and nothing after it. A driver that wants it otherwise resets the device first.

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use virtio_queue::{Queue, QueueT};

use crate::bus::{BusDevice, Go};
use crate::interrupt::Interrupt;
use crate::memory::Memory;

use super::queues::is_sound;
use super::state::{DeviceState, OtherDevice};
use super::status::{Asked, Status};
use super::{Broken, Device, Queues, Unrest, VERSION_1};

const MAGIC: u32 = u32::from_le_bytes(*b"virt");
const VERSION: u32 = 2;
/// Nobody asks; any number will do.
const VENDOR: u32 = u32::from_le_bytes(*b"fbox");
/// Reasons for an interrupt: buffers were given back, and something else has happened.
const GIVEN_BACK: u32 = 1;
const CHANGED: u32 = 2;
/// What a device has of its own begins here.
const CONFIG: u64 = 0x100;

/// The registers of a device, for the bus.
pub struct Transport {
    device: Box<dyn Device>,
    memory: Memory,
    interrupt: Box<dyn Interrupt>,
    status: Status,
    /// Reasons that the driver has not acknowledged.
    reasons: u32,
    /// The features chosen, and which half of them the driver reads and writes.
    features: u64,
    offered_half: u32,
    chosen_half: u32,
    queues: Vec<Queue>,
    chosen_queue: u32,
}

impl Transport {
    /// Registers for a device that has met no driver yet.
    pub fn new(device: Box<dyn Device>, memory: Memory, interrupt: Box<dyn Interrupt>) -> Transport {
        // A length that is no power of two is none of ours; such a queue is then missing, and a driver finds it so.
        let queues = device.queues().iter().filter_map(|length| Queue::new(*length).ok()).collect();
        Transport {
            device,
            memory,
            interrupt,
            status: Status::default(),
            reasons: 0,
            features: 0,
            offered_half: 0,
            chosen_half: 0,
            queues,
            chosen_queue: 0,
        }
    }

    /// Registers for a device that goes on where another one was, with the same driver.
    pub fn restore(
        mut device: Box<dyn Device>,
        memory: Memory,
        interrupt: Box<dyn Interrupt>,
        state: &DeviceState,
    ) -> Result<Transport, OtherDevice> {
        let (status, queues) = state.queues_for(device.as_ref(), &memory)?;
        let DeviceState { reasons, features, offered_half, chosen_half, chosen_queue, .. } = *state;
        if status.is_ready() {
            device.take_over();
        }
        Ok(Transport {
            device,
            memory,
            interrupt,
            status,
            reasons,
            features,
            offered_half,
            chosen_half,
            queues,
            chosen_queue,
        })
    }

    /// What another device needs to go on where this one is.
    pub fn save(&self) -> Result<DeviceState, Unrest> {
        self.device.rest()?;
        Ok(DeviceState {
            kind: self.device.kind(),
            config: self.device.config().to_vec(),
            status: self.status.bits(),
            reasons: self.reasons,
            features: self.features,
            offered_half: self.offered_half,
            chosen_half: self.chosen_half,
            chosen_queue: self.chosen_queue,
            queues: self.queues.iter().map(Queue::state).collect(),
        })
    }

    /// The machine goes on after it was restored: what the driver has not acknowledged it is told again, since an interrupt on its way between us and
    /// the chips is in no state. Once too often does no harm.
    pub fn raise_again(&self) {
        if self.reasons != 0 {
            self.interrupt.raise();
        }
    }

    /// What the device has to say before all else, now that its machine goes on. Reads what the guest has written.
    pub fn speak_first(&mut self) {
        if self.status.is_ready() {
            self.work(|device, queues| device.serve(0, queues));
        }
    }

    /// Whether driver and device work together.
    pub fn is_ready(&self) -> bool {
        self.status.is_ready()
    }

    fn offered(&self) -> u64 {
        self.device.features() | VERSION_1
    }

    fn queue(&self) -> Option<&Queue> {
        self.queues.get(usize::try_from(self.chosen_queue).ok()?)
    }

    fn register(&self, offset: u64) -> u32 {
        match offset {
            0x000 => MAGIC,
            0x004 => VERSION,
            0x008 => self.device.kind(),
            0x00C => VENDOR,
            0x010 => half(self.offered(), self.offered_half),
            0x034 => self.queue().map_or(0, |queue| queue.max_size().into()),
            0x044 => self.queue().map_or(0, |queue| queue.ready().into()),
            0x060 => self.reasons,
            0x070 => self.status.bits().into(),
            // The number that changes with the configuration: it never does. And all that cannot be read.
            _ => 0,
        }
    }

    fn set_register(&mut self, offset: u64, value: u32) {
        match offset {
            0x014 => self.offered_half = value,
            0x020 => self.choose_features(value),
            0x024 => self.chosen_half = value,
            0x030 => self.chosen_queue = value,
            0x038 => self.set_up(|queue| queue.set_size(u16::try_from(value).unwrap_or(0))),
            0x044 => self.set_up_or_take_down(value),
            0x050 => self.notified(value),
            0x064 => self.reasons &= !value,
            0x070 => self.set_status(value),
            0x080 => self.set_up(|queue| queue.set_desc_table_address(Some(value), None)),
            0x084 => self.set_up(|queue| queue.set_desc_table_address(None, Some(value))),
            0x090 => self.set_up(|queue| queue.set_avail_ring_address(Some(value), None)),
            0x094 => self.set_up(|queue| queue.set_avail_ring_address(None, Some(value))),
            0x0A0 => self.set_up(|queue| queue.set_used_ring_address(Some(value), None)),
            0x0A4 => self.set_up(|queue| queue.set_used_ring_address(None, Some(value))),
            _ => {}
        }
    }

    fn choose_features(&mut self, value: u32) {
        if self.status.takes_features() {
            let value = u64::from(value);
            self.features = match self.chosen_half {
                0 => self.features & !u64::from(u32::MAX) | value,
                1 => self.features & u64::from(u32::MAX) | value << 32,
                _ => self.features,
            };
        }
    }

    /// Sets up the chosen queue, if that is possible now and it is not done.
    fn set_up(&mut self, set: impl FnOnce(&mut Queue)) {
        let place = usize::try_from(self.chosen_queue).ok();
        let queue = place.and_then(|place| self.queues.get_mut(place));
        if let Some(queue) = queue.filter(|queue| self.status.takes_queues() && !queue.ready()) {
            set(queue);
        }
    }

    fn set_up_or_take_down(&mut self, value: u32) {
        match value {
            1 => self.set_up(|queue| queue.set_ready(true)),
            0 if self.status.takes_queues() => {
                let place = usize::try_from(self.chosen_queue).ok();
                if let Some(queue) = place.and_then(|place| self.queues.get_mut(place)) {
                    queue.set_ready(false);
                }
            }
            _ => {}
        }
    }

    fn set_status(&mut self, value: u32) {
        match self.status.asked(value) {
            Asked::Reset => self.reset(),
            Asked::Step(status) => self.status = status,
            // A driver finds out by reading the status whether that was agreed to.
            Asked::AgreeOnFeatures => {
                if self.features & VERSION_1 != 0 && self.features & !self.offered() == 0 {
                    self.status = self.status.with_features_agreed();
                }
            }
            Asked::BeReady => {
                let mut set_up = self.queues.iter().filter(|queue| queue.ready());
                if set_up.all(|queue| is_sound(queue, &self.memory)) {
                    self.status = self.status.with_ready();
                } else {
                    self.take_away();
                }
            }
            Asked::Nothing => {}
        }
    }

    fn reset(&mut self) {
        self.device.reset();
        self.queues.iter_mut().for_each(QueueT::reset);
        self.status = Status::default();
        (self.reasons, self.features) = (0, 0);
        (self.offered_half, self.chosen_half, self.chosen_queue) = (0, 0, 0);
    }

    /// The driver has put something into a queue.
    fn notified(&mut self, queue: u32) {
        let Ok(queue) = usize::try_from(queue) else { return };
        if self.status.is_ready() && queue < self.queues.len() {
            self.work(|device, queues| device.serve(queue, queues));
        }
    }

    /// What becomes readable when the host's side of the device has something for it.
    pub fn wakes(&self) -> Option<BorrowedFd<'_>> {
        self.device.wakes()
    }

    /// The host's side of the device has something for it.
    pub fn wake(&mut self) {
        self.device.wake();
        if self.status.is_ready() {
            self.work(|device, queues| device.serve(0, queues));
        }
    }

    /// Lets the device work, and tells the driver of what it has done.
    fn work(&mut self, work: impl FnOnce(&mut dyn Device, &mut Queues<'_>) -> Result<(), Broken>) {
        let mut queues = Queues::new(&mut self.queues, &self.memory);
        let done = work(self.device.as_mut(), &mut queues);
        if queues.has_given_back() {
            self.tell(GIVEN_BACK);
        }
        if let Err(Broken::Ring | Broken::Endless | Broken::Order | Broken::Memory | Broken::Short) = done {
            self.take_away();
        }
    }

    /// The driver has broken the rules: nothing but a reset brings the device back.
    fn take_away(&mut self) {
        self.status = self.status.broken();
        self.tell(CHANGED);
    }

    fn tell(&mut self, reason: u32) {
        self.reasons |= reason;
        self.interrupt.raise();
    }
}

impl BusDevice for Transport {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Some(place) = offset.checked_sub(CONFIG) {
            let config = usize::try_from(place).ok().and_then(|place| self.device.config().get(place..));
            data.iter_mut().zip(config.unwrap_or_default()).for_each(|(to, from)| *to = *from);
        } else if let Ok(word) = <&mut [u8; 4]>::try_from(data) {
            // Registers are words; anything else reads nothing.
            *word = self.register(offset).to_le_bytes();
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Go {
        // What a device has of its own is not to be written, by any of ours.
        if let Ok(word) = <[u8; 4]>::try_from(data) {
            self.set_register(offset, u32::from_le_bytes(word));
        }
        ControlFlow::Continue(())
    }
}

/// The lower or the upper half; there are no others.
fn half(features: u64, which: u32) -> u32 {
    let [lower, upper] = [features as u32, (features >> 32) as u32];
    match which {
        0 => lower,
        1 => upper,
        _ => 0,
    }
}
