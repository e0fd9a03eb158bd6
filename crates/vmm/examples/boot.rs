//! The smallest monitor: boots a Linux, and says what it said.
//!
//! `boot KERNEL INITRAMFS WORDS...`: a bzImage or an ELF program, and the words of its command line.
#![expect(clippy::print_stdout, reason = "an example speaks to whoever tries it")]

use std::fs::File;
use std::time::Duration;

use firebox_vmm::virtio::Entropy;
use firebox_vmm::{Hypervisor, Linux, Machine, MemorySize, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(kernel), Some(initramfs)) = (words.next(), words.next()) else {
        return Err("usage: boot KERNEL INITRAMFS WORDS...".into());
    };
    let command_line = words.collect::<Vec<String>>().join(" ");
    let hypervisor = Hypervisor::open()?;
    let mut machine = Machine::new(&hypervisor, Settings { memory: MemorySize::mib(256)?, cpus: 1 })?;
    machine.add_virtio(Box::new(Entropy))?;
    let (kernel, initramfs) = (File::open(kernel)?, Some(File::open(initramfs)?));
    let start = machine.load_linux(Linux { kernel, command_line: &command_line, initramfs })?;
    let ran = machine.run(&start, Duration::from_secs(60))?.ended()?;
    println!("{}\n{}", String::from_utf8_lossy(&ran.log.bytes()), ran.ending);
    Ok(())
}
