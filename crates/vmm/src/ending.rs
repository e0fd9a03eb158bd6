//! How a machine ended.

use std::fmt;

/// Why a machine runs no longer. All of these are the guest's doing; what the monitor could not do is an error instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It took its own power away.
    PoweredOff,
    /// It asked to be started again, which is what Linux does after a panic, if told to. A machine is not: it is used once.
    Reset,
    /// All its processors have stopped with interrupts off, so nothing can ever wake them.
    Halted,
    /// A processor met a fault on the way to the handler of the fault of the handler of a fault, and gave up.
    TripleFault,
    /// A processor did what KVM cannot carry on from.
    Fault(CpuFault),
    /// It was still running when its time was up.
    TimedOut,
}

/// What KVM cannot carry on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuFault {
    /// An instruction it would have had to emulate, and could not; mostly one that runs where no memory is.
    Internal,
    /// The hardware refuses to enter the guest in the state its processor is in.
    Entry {
        /// What the hardware gives as the reason.
        reason: u64,
    },
    /// The guest's memory could not be had.
    Memory {
        /// Where, in the guest.
        address: u64,
    },
    /// It returned for a reason this monitor never asked for.
    Unknown,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::PoweredOff => f.write_str("the guest switched itself off"),
            Ending::Reset => f.write_str("the guest reset itself"),
            Ending::Halted => f.write_str("the guest stopped, with nothing that could wake it"),
            Ending::TripleFault => f.write_str("the guest's processor gave up (triple fault)"),
            Ending::Fault(fault) => write!(f, "the guest's processor could not go on: {fault}"),
            Ending::TimedOut => f.write_str("the guest was still running when its time was up"),
        }
    }
}

impl fmt::Display for CpuFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CpuFault::Internal => f.write_str("KVM cannot emulate what it did"),
            CpuFault::Entry { reason } => write!(f, "the hardware refuses its state (reason {reason:#x})"),
            CpuFault::Memory { address } => write!(f, "there is no getting at its memory at {address:#x}"),
            CpuFault::Unknown => f.write_str("KVM returned for a reason nobody asked for"),
        }
    }
}
