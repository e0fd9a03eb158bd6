//! What a monitor is told by its one argument, and what it is handed.

use std::fmt;
use std::str::FromStr;

/// The descriptors that a monitor has at its start, by their numbers: what the warden hands over, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Handed {
    /// To and from whoever asked for the machine.
    Stream = 3,
    /// An open `/dev/kvm`.
    Kvm,
    /// The kernel, as an ELF program or packed.
    Kernel,
    /// What the kernel begins with.
    Initramfs,
    /// The image, if the orders say that there is one.
    Disk,
}

/// What a machine is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// Bytes of memory.
    pub memory: u64,
    /// Processors.
    pub cpus: u8,
    /// Whether there is a disk.
    pub has_disk: bool,
}

const WITH_DISK: &str = "disk";
const WITHOUT: &str = "none";

/// `536870912,1,disk`
impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Orders { memory, cpus, has_disk } = *self;
        write!(f, "{memory},{cpus},{}", if has_disk { WITH_DISK } else { WITHOUT })
    }
}

/// The argument is none that a warden of this version gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a monitor is started by its warden, which says how much memory, how many processors, and whether there is a disk"
)]
pub struct NoOrders;

impl FromStr for Orders {
    type Err = NoOrders;

    fn from_str(words: &str) -> Result<Orders, NoOrders> {
        let mut parts = words.split(',');
        let (Some(memory), Some(cpus), Some(disk), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoOrders);
        };
        let has_disk = match disk {
            WITH_DISK => true,
            WITHOUT => false,
            _ => return Err(NoOrders),
        };
        let memory = memory.parse().map_err(|_| NoOrders)?;
        Ok(Orders { memory, cpus: cpus.parse().map_err(|_| NoOrders)?, has_disk })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_through_an_argument_as_they_were_given() {
        for has_disk in [true, false] {
            let orders = Orders { memory: 512 << 20, cpus: 2, has_disk };
            assert_eq!(orders.to_string().parse(), Ok(orders));
        }
    }

    #[test]
    fn other_arguments_are_no_orders() {
        for words in ["", "1", "1,1", "1,1,cdrom", "1,1,disk,", "1,256,disk", "-1,1,none", "1,1,none,leave-out"] {
            assert_eq!(words.parse::<Orders>(), Err(NoOrders), "{words}");
        }
    }
}
