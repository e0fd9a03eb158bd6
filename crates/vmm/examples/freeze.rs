//! Boots a Linux, and freezes it when something in it reads a port.
//!
//! `freeze KERNEL INITRAMFS STATE MEMORY WORDS...`: as for `boot`, and the files to make. `go_on` has a machine go on from there.

use std::fs::{File, write};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firebox_vmm::virtio::Entropy;
use firebox_vmm::{BusDevice, Go, Hypervisor, Linux, Machine, MemorySize, Pauser, Settings, Stopped};

/// What a guest reads when it is as it should be.
const PORT: u64 = 0x710;

struct Pauses(Pauser);

impl BusDevice for Pauses {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        self.0.pause();
        data.fill(0);
    }

    fn write(&mut self, _offset: u64, _data: &[u8]) -> Go {
        ControlFlow::Continue(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, initramfs, state, memory, words @ ..] = &words[..] else {
        return Err("usage: freeze KERNEL INITRAMFS STATE MEMORY WORDS...".into());
    };
    let hypervisor = Hypervisor::open()?;
    let mut machine = Machine::new(&hypervisor, Settings { memory: MemorySize::mib(256)?, cpus: 1 })?;
    machine.add_virtio(Box::new(Entropy))?;
    let pauses = Pauses(machine.pauser());
    machine.add_ports(PORT..PORT + 1, Arc::new(Mutex::new(pauses)))?;
    let (kernel, initramfs) = (File::open(kernel)?, Some(File::open(initramfs)?));
    let start = machine.load_linux(Linux { kernel, command_line: &words.join(" "), initramfs })?;
    match machine.run(&start, Duration::from_secs(60))? {
        Stopped::Paused(paused) => Ok(write(state, paused.save(&hypervisor, &File::create_new(memory)?)?.encode())?),
        Stopped::Ended(ran) => Err(format!("nobody read the port; {}", ran.ending).into()),
    }
}
