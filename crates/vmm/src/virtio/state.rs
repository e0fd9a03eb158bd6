//! The state of a virtio device: what it and its driver have agreed on, and how far they have come with each queue. What devices have of their own is not in
//! here: none of ours remembers anything from one request to the next, but the wire, and there is nothing on that when a machine is frozen.

use virtio_queue::{Queue, QueueState, QueueT};

use crate::memory::Memory;
use crate::snapshot::{Nonsense, Piece, Reader, Writer};

use super::queues::is_sound;
use super::status::Status;
use super::{Device, VERSION_1};

/// What is kept of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// What it was, to be told from another that stands in its place.
    pub(super) kind: u32,
    pub(super) config: Vec<u8>,
    pub(super) status: u8,
    pub(super) reasons: u32,
    pub(super) features: u64,
    pub(super) offered_half: u32,
    pub(super) chosen_half: u32,
    pub(super) chosen_queue: u32,
    pub(super) queues: Vec<QueueState>,
}

/// Why a device cannot go on where another one was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtherDevice {
    /// It is of another kind.
    #[error("it is of kind {ours}, and the one before was of kind {theirs}")]
    Kind {
        /// The one that was.
        theirs: u32,
        /// The one that is to be.
        ours: u32,
    },
    /// It is of the same kind and says something else about itself: a disk of another size.
    #[error("it is of another size than the one before, or says otherwise something else of itself")]
    Config,
    /// It has not the same queues.
    #[error("its queues are not those of the one before")]
    Queues,
    /// What was agreed on before it does not offer.
    #[error("it does not offer what was agreed on before")]
    Features,
    /// No device and driver could have come to that.
    #[error("it cannot have been left like that")]
    Impossible,
}

/// None of ours has more.
const MOST_CONFIG: u32 = 256;
const MOST_QUEUES: u32 = 16;

impl DeviceState {
    /// The queues of a device that goes on where another one was, after everything has been checked that a driver could not have made so.
    pub(super) fn queues_for(&self, device: &dyn Device, memory: &Memory) -> Result<(Status, Vec<Queue>), OtherDevice> {
        let DeviceState { kind, config, status, features, queues, .. } = self;
        if *kind != device.kind() {
            return Err(OtherDevice::Kind { theirs: *kind, ours: device.kind() });
        }
        if config != device.config() {
            return Err(OtherDevice::Config);
        }
        if !queues.iter().map(|queue| &queue.max_size).eq(device.queues()) {
            return Err(OtherDevice::Queues);
        }
        let status = Status::of(*status).ok_or(OtherDevice::Impossible)?;
        let offered = device.features() | VERSION_1;
        if status.has_agreed() && (features & VERSION_1 == 0 || features & !offered != 0) {
            return Err(OtherDevice::Features);
        }
        let queues = queues.iter().map(|queue| Queue::try_from(*queue)).collect::<Result<Vec<Queue>, _>>();
        let queues = queues.map_err(|_| OtherDevice::Impossible)?;
        let mut set_up = queues.iter().filter(|queue| queue.ready());
        if status.is_ready() && !set_up.all(|queue| is_sound(queue, memory)) {
            return Err(OtherDevice::Impossible);
        }
        Ok((status, queues))
    }
}

impl Piece for DeviceState {
    fn write(&self, to: &mut Writer) {
        let DeviceState { kind, config, status, reasons, features, offered_half, chosen_half, chosen_queue, queues } =
            self;
        to.u32(*kind);
        to.all(config.iter(), |to, byte| to.u8(*byte));
        to.u8(*status);
        to.u32(*reasons);
        to.u64(*features);
        to.u32(*offered_half);
        to.u32(*chosen_half);
        to.u32(*chosen_queue);
        to.all(queues.iter(), write_queue);
    }

    fn read(from: &mut Reader<'_>) -> Result<DeviceState, Nonsense> {
        Ok(DeviceState {
            kind: from.u32()?,
            config: from.all("bytes about a device", MOST_CONFIG, Reader::u8)?,
            status: from.u8()?,
            reasons: from.u32()?,
            features: from.u64()?,
            offered_half: from.u32()?,
            chosen_half: from.u32()?,
            chosen_queue: from.u32()?,
            queues: from.all("queues of a device", MOST_QUEUES, read_queue)?,
        })
    }
}

fn write_queue(to: &mut Writer, queue: &QueueState) {
    // The last of them no device of ours offers.
    let QueueState {
        max_size,
        size,
        ready,
        next_avail,
        next_used,
        desc_table,
        avail_ring,
        used_ring,
        event_idx_enabled: _,
    } = queue;
    [*max_size, *size, *next_avail, *next_used].into_iter().for_each(|number| to.u16(number));
    to.is(*ready);
    [*desc_table, *avail_ring, *used_ring].into_iter().for_each(|address| to.u64(address));
}

fn read_queue(from: &mut Reader<'_>) -> Result<QueueState, Nonsense> {
    Ok(QueueState {
        max_size: from.u16()?,
        size: from.u16()?,
        next_avail: from.u16()?,
        next_used: from.u16()?,
        ready: from.is("word on whether a queue is set up")?,
        desc_table: from.u64()?,
        avail_ring: from.u64()?,
        used_ring: from.u64()?,
        event_idx_enabled: false,
    })
}
