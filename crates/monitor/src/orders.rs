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
    /// What it runs: the kernel, as an ELF program or packed; or the state of a machine that was frozen.
    Program,
    /// What that begins with: the initramfs; or the memory of the machine that was frozen.
    Contents,
    /// The image, if the orders say that there is one.
    Disk,
}

/// What a machine is to have, and what is to become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// Bytes of memory.
    pub memory: u64,
    /// Processors.
    pub cpus: u8,
    /// Whether there is a disk.
    pub has_disk: bool,
    /// How it begins and ends.
    pub course: Course,
}

/// How a machine begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It boots, and runs to its end.
    Boot,
    /// It boots, and runs until whoever asked for it has it frozen.
    Freeze,
    /// It goes on where another was frozen, and runs to its end.
    GoOn,
}

const WITH_DISK: &str = "disk";
const WITHOUT: &str = "none";

impl Course {
    const ALL: [(Course, &str); 3] = [(Course::Boot, "boot"), (Course::Freeze, "freeze"), (Course::GoOn, "go-on")];

    fn word(self) -> &'static str {
        Course::ALL.iter().find(|(course, _)| *course == self).map_or("", |(_, word)| word)
    }

    fn of(word: &str) -> Option<Course> {
        Course::ALL.iter().find(|(_, known)| *known == word).map(|(course, _)| *course)
    }
}

/// `536870912,1,disk,boot`
impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Orders { memory, cpus, has_disk, course } = *self;
        write!(f, "{memory},{cpus},{},{}", if has_disk { WITH_DISK } else { WITHOUT }, course.word())
    }
}

/// The argument is none that a warden of this version gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a monitor is started by its warden, which says how much memory, how many processors, whether there is a disk, and \
     what is to become of it"
)]
pub struct NoOrders;

impl FromStr for Orders {
    type Err = NoOrders;

    fn from_str(words: &str) -> Result<Orders, NoOrders> {
        let parts: Vec<&str> = words.split(',').take(5).collect();
        let [memory, cpus, disk, course] = parts[..] else { return Err(NoOrders) };
        let has_disk = match disk {
            WITH_DISK => true,
            WITHOUT => false,
            _ => return Err(NoOrders),
        };
        let (memory, cpus) = (memory.parse().map_err(|_| NoOrders)?, cpus.parse().map_err(|_| NoOrders)?);
        Ok(Orders { memory, cpus, has_disk, course: Course::of(course).ok_or(NoOrders)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_through_an_argument_as_they_were_given() {
        for (course, _) in Course::ALL {
            for has_disk in [true, false] {
                let orders = Orders { memory: 512 << 20, cpus: 2, has_disk, course };
                assert_eq!(orders.to_string().parse(), Ok(orders));
            }
        }
    }

    #[test]
    fn other_arguments_are_no_orders() {
        for words in [
            "",
            "1",
            "1,1",
            "1,1,disk",
            "1,1,cdrom,boot",
            "1,1,disk,boot,",
            "1,256,disk,boot",
            "-1,1,none,boot",
            "1,1,none,reboot",
        ] {
            assert_eq!(words.parse::<Orders>(), Err(NoOrders), "{words}");
        }
    }
}
