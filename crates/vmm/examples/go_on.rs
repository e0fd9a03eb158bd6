//! Has a machine go on where `freeze` has frozen one, says what it says first as soon as it is said, and how long it took.
//!
//! `go_on STATE MEMORY`
#![expect(clippy::print_stdout, reason = "an example speaks to whoever tries it")]

use std::fs::File;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use firebox_vmm::virtio::Entropy;
use firebox_vmm::{Hypervisor, Snapshot};

/// How often it is looked whether something was said.
const MOMENT: Duration = Duration::from_micros(500);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [state, memory] = &words[..] else { return Err("usage: go_on STATE MEMORY".into()) };
    let begun = Instant::now();
    let hypervisor = Hypervisor::open()?;
    let machine = hypervisor.begin();
    let snapshot = Snapshot::read_from(File::open(state)?)?;
    let machine = snapshot.restore_in(machine, &hypervisor, File::open(memory)?, vec![Box::new(Entropy)])?;
    let there = begun.elapsed();
    let log = machine.log();
    thread::spawn(move || {
        let said = || log.lock().unwrap_or_else(PoisonError::into_inner).bytes();
        while !said().contains(&b'\n') {
            thread::sleep(MOMENT);
        }
        let after = begun.elapsed().as_secs_f64();
        let there = there.as_secs_f64();
        println!(
            "{}\nrestored to its first line in {after:.4} s, of which {there:.4} before it ran",
            String::from_utf8_lossy(&said())
        );
    });
    let ran = machine.go(Duration::from_secs(60))?.ended()?;
    println!("{}", ran.ending);
    Ok(())
}
