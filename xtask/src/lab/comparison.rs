//! `cargo xtask lab --compare`: how long our monitor takes to bring Debian's kernel to user space and to its end, side by side with QEMU's smallest
//! machine, both on the lab's KVM; and what made the guest's processor leave the guest on the way.
//!
//! All boot the same kernel, with the same words: ours unpacked, which is how Firebox keeps it; QEMU's machine packed, which is how it comes, and unpacked.
//! One number counts: the median of what ours took, in times of the median of the faster of QEMU's two. They boot by turns, since whatever else runs on this
//! host is there for a while, and then slows down all.
//!
//! A machine of ours goes on, too, where one was frozen as its first process was about to say its line: what counts there is the time to that line, for it and for
//! QEMU's.

// Made by what boots it in the tests, too.
#[path = "../../../crates/vmm/tests/kit/first_process.rs"]
#[allow(dead_code, reason = "a process that says one line does little of what one can")]
mod first_process;
// What our monitor starts every Linux with, and QEMU's is told.
#[path = "../../../crates/vmm/src/arch/x86_64/words.rs"]
#[allow(unreachable_pub, reason = "it is public where it belongs")]
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use self::first_process::FirstProcess;
use super::equipment::Equipment;
use super::files::{Files, Initramfs, read};
use super::machine::{Ending, Machine};
use crate::repository::Repository;

/// The first process.
const INIT: &str = include_str!("compare.sh");
/// As `compare.sh` calls them.
const WAYS: [&str; 4] = ["ours", "microvm", "microvm_unpacked", "goes_on"];
/// Where Firecracker stands.
const MOST: f64 = 0.30;
/// Half of what Firecracker takes to load a snapshot and go on.
const MOST_TO_GO_ON: f64 = 0.02;
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The port that `freeze` waits for.
const FROZEN_AT: u64 = 0x710;
/// What QEMU's smallest machine begins with, where Debian has it.
const FIRMWARE: [&str; 4] = ["bios-microvm.bin", "qboot.rom", "linuxboot_dma.bin", "pvh.bin"];
const FIRMWARE_FOLDER: &str = "/usr/share/qemu";

/// Compares, and fails where ours takes too long.
pub(crate) fn compare(repository: &Repository) -> Result<ExitCode> {
    let equipment = Equipment::install(repository)?;
    let initramfs = equipment.place().join("initramfs-to-compare");
    write(&initramfs, repository, &equipment)?;
    let heard = match hear(&equipment, &initramfs)? {
        Some(heard) => heard,
        None => {
            println!("\nthe PC stood still; another begins anew\n");
            hear(&equipment, &initramfs)?.context("another PC stood still")?
        }
    };
    let Ratios { boots, restored, goes_on, goes_on_of_ours } = heard.print()?;
    println!("\nratio of a boot {boots:.2}, and {MOST:.2} is the most");
    println!("ratio of a restore {restored:.3}, and {MOST_TO_GO_ON:.3} is the most");
    println!("with the start of its process {goes_on:.3}, which is {goes_on_of_ours:.3} of a boot of ours");
    Ok(if boots <= MOST && restored <= MOST_TO_GO_ON { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a PC says in which all boot; nothing where it stands still, which is no monitor's fault.
fn hear(equipment: &Equipment, initramfs: &Path) -> Result<Option<Heard>> {
    let mut heard = Heard::default();
    let mut machine = Machine::start(equipment, equipment.place(), initramfs, "", None)?;
    let ending = machine.watch(|line| {
        println!("{line}");
        heard.read(line);
        None
    })?;
    if let Some(obstacle) = heard.obstacles.first() {
        bail!("{obstacle}");
    }
    if matches!(ending, Ending::StoodStill) {
        return Ok(None);
    }
    if !(heard.is_over && matches!(ending, Ending::Ended(status) if status.success())) {
        bail!("the lab ended too early; its kernel said last:\n{}", machine.last_words());
    }
    Ok(Some(heard))
}

fn write(to: &Path, repository: &Repository, equipment: &Equipment) -> Result<()> {
    let unpack = example(repository, "unpack")?;
    let (packed, unpacked) = (equipment.kernel.image(), equipment.place().join("vmlinux"));
    let status = Command::new(unpack).arg(packed).arg(&unpacked).status().context("cannot start our `unpack`")?;
    ensure!(status.success(), "the kernel cannot be unpacked; the reason is above");
    let mut files = Files::of_system(equipment, INIT)?;
    for program in ["boot", "freeze", "go_on"] {
        files.add_program(&format!("compared/{program}"), &example(repository, program)?)?;
    }
    files.add("compared/words", words::WORDS.as_bytes());
    files.add("compared/vmlinux", &read(&unpacked)?);
    files.add("compared/vmlinuz", &read(packed)?);
    let initramfs = |first: FirstProcess| {
        let first = first.say("in user space\n").reset().program();
        Initramfs::default().file("init", &first).bytes()
    };
    files.add("compared/initramfs", &initramfs(FirstProcess::new()));
    files.add("compared/initramfs-to-freeze", &initramfs(FirstProcess::new().read_port(FROZEN_AT)));
    files.add_program("usr/bin/qemu-system-x86_64", &equipment.qemu)?;
    for name in FIRMWARE {
        files.copy(&Path::new(FIRMWARE_FOLDER).join(name))?;
    }
    files.write(to)
}

/// Builds an example of the monitor's as the monitor is built that is released: without libraries to be loaded with.
fn example(repository: &Repository, name: &str) -> Result<PathBuf> {
    let mut cargo = repository.cargo();
    cargo.args(["build", "--quiet", "--release", "--package", "firebox-vmm", "--example", name]).stdin(Stdio::null());
    cargo.args(["--target", TARGET]).env("RUSTFLAGS", "-C target-feature=+crt-static");
    ensure!(cargo.status().context("cannot start cargo")?.success(), "`{name}` does not build; the reason is above");
    Ok(repository.metadata()?.target_directory.join(TARGET).join("release/examples").join(name))
}

/// What `compare.sh` said.
#[derive(Debug, Default)]
struct Heard {
    /// Seconds to the first line and to the end, by way.
    took: BTreeMap<String, Vec<[f64; 2]>>,
    /// How often a guest was left, by way and by AMD's number of the reason.
    left: Counts,
    /// How often a guest was left for a port, by way and port.
    ports: Counts,
    /// Seconds from the beginning of a restore to the first line, as whoever restores says.
    restored: Vec<f64>,
    is_over: bool,
    obstacles: Vec<String>,
}

impl Heard {
    fn read(&mut self, line: &str) {
        let Some(said) = line.strip_prefix("lab: ") else { return };
        if self.understand(said).is_none() {
            self.obstacles.push(said.to_owned());
        }
    }

    fn understand(&mut self, said: &str) -> Option<()> {
        match said.split(' ').collect::<Vec<&str>>()[..] {
            ["over"] => self.is_over = true,
            ["took", way, before, first, after] => {
                let [before, first, after] = [before, first, after].map(|at| at.parse::<f64>().ok());
                let before = before?;
                self.took.entry(way.to_owned()).or_default().push([first? - before, after? - before]);
            }
            ["restored", took, ..] => self.restored.push(took.parse().ok()?),
            ["left", monitor, reason, times] => count(&mut self.left, monitor, reason, times)?,
            ["port", monitor, port, times] => count(&mut self.ports, monitor, port, times)?,
            _ => return None,
        }
        Some(())
    }

    /// And tells the ratios.
    fn print(&self) -> Result<Ratios> {
        let mut medians = Vec::new();
        for way in WAYS {
            let took = self.took.get(way).with_context(|| format!("`{way}` has not come to user space"))?;
            let [to_first, to_end] = [0, 1].map(|which| spread(took.iter().map(|took| took[which]).collect()));
            println!("\n{way}: {to_end}, its first line after {to_first}, {} times", took.len());
            medians.push([to_first.median, to_end.median]);
            let left = often(&self.left, way, name_of);
            println!("  {:>7}  times the guest was left", left.iter().map(|(_, times)| times).sum::<u64>());
            left.iter().for_each(|(reason, times)| println!("  {times:>7}  {reason}"));
            let ports = often(&self.ports, way, |port| format!("{port:#x}"));
            let ports: Vec<String> = ports.iter().map(|(port, times)| format!("{port} {times}")).collect();
            println!("           ports, and how often: {}", ports.join(", "));
        }
        let [ours, packed, unpacked, goes_on] = medians[..] else { bail!("not all have come to user space") };
        let theirs = |which: usize| packed[which].min(unpacked[which]);
        ensure!(!self.restored.is_empty(), "nothing was restored");
        let restored = spread(self.restored.clone()).median;
        println!("\nrestored to its first line in {restored:.3} s");
        Ok(Ratios {
            boots: ours[1] / theirs(1),
            restored: restored / theirs(0),
            goes_on: goes_on[0] / theirs(0),
            goes_on_of_ours: goes_on[0] / ours[1],
        })
    }
}

/// Medians, in times of others.
#[derive(Debug, PartialEq)]
struct Ratios {
    /// A boot of ours, in times of the faster of QEMU's.
    boots: f64,
    /// A restore, to the first line, in times of the same with QEMU.
    restored: f64,
    /// With the start of its process.
    goes_on: f64,
    /// And of a boot of ours.
    goes_on_of_ours: f64,
}

type Counts = BTreeMap<String, BTreeMap<u32, u64>>;

/// Adds to what was counted of a monitor.
fn count(counts: &mut Counts, monitor: &str, what: &str, times: &str) -> Option<()> {
    let counts = counts.entry(monitor.to_owned()).or_default();
    *counts.entry(what.parse().ok()?).or_default() += times.parse::<u64>().ok()?;
    Some(())
}

/// What was counted of a monitor by names, the most frequent first.
fn often(counts: &Counts, monitor: &str, name: impl Fn(u32) -> String) -> Vec<(String, u64)> {
    let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
    for (what, times) in counts.get(monitor).into_iter().flatten() {
        *by_name.entry(name(*what)).or_default() += times;
    }
    let mut by_name: Vec<(String, u64)> = by_name.into_iter().collect();
    by_name.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    by_name
}

/// The least, the median and the most of some, in seconds.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    Spread { least: values[0], median: values[values.len() / 2], most: values[values.len() - 1] }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

/// What AMD's manual calls a reason to leave a guest.
fn name_of(reason: u32) -> String {
    let name = match reason {
        0x00..=0x0F => "a control register is read",
        0x10..=0x1F | 0x65 => "a control register is written",
        0x20..=0x3F => "a debug register",
        0x46 => "an instruction that there is not",
        0x60 => "an interrupt of the host's",
        0x64 => "the guest can take an interrupt again",
        0x72 => "CPUID",
        0x78 => "HLT: the guest waits",
        0x7B => "a port",
        0x7C => "a model-specific register",
        0x7F => "a triple fault",
        0x400 => "memory that the host has not given yet, or a window of a device",
        _ => return format!("reason {reason:#x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_medians_and_to_the_faster_of_qemus() {
        let mut heard = Heard::default();
        for took in
            [[(1, 1), (4, 4), (5, 5), (1, 9)], [(9, 10), (20, 20), (16, 16), (1, 9)], [(2, 2), (9, 9), (8, 8), (3, 9)]]
        {
            for (way, (first, end)) in WAYS.iter().zip(took) {
                heard.read(&format!("lab: took {way} 1.00 {}.00 {}.00", 1 + first, 1 + end));
            }
        }
        heard.read("lab: over");
        heard.read("lab: restored 0.5 s, of which 0.1 before it ran");
        heard.read("lab: left ours 1024 7");
        heard.read("lab: port ours 1016 5");
        heard.read("whatever a guest says");
        assert!(heard.obstacles.is_empty() && heard.is_over, "{heard:?}");
        assert_eq!((heard.left["ours"][&1024], heard.ports["ours"][&1016]), (7, 5));
        heard.read("lab: left ours 16 2");
        heard.read("lab: left ours 20 6");
        let left = often(&heard.left, "ours", name_of);
        assert_eq!(left.iter().map(|(_, times)| *times).collect::<Vec<u64>>(), [8, 7]);
        assert_eq!(
            heard.print().unwrap(),
            Ratios { boots: 0.25, restored: 0.0625, goes_on: 0.125, goes_on_of_ours: 0.5 }
        );
    }

    #[test]
    fn what_is_not_understood_is_an_obstacle_and_a_monitor_without_a_boot_an_error() {
        let mut heard = Heard::default();
        heard.read("lab: ours has not come to user space");
        heard.read("lab: took ours one two three");
        assert_eq!(heard.obstacles.len(), 2);
        assert!(heard.print().is_err());
    }
}
