//! The PC that QEMU emulates, from its start to its end: with a disk or without, without a network, with two serial ports, one for what the kernel says and one
//! for what the tests say, over which it is told what is next.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::equipment::Equipment;
use crate::lines::lines_of;

/// What is run each time takes some six minutes, and all boots that are compared some four; on a machine that has others to serve, and with all
/// that could be run, attacks too, several times as long.
const LIMIT: Duration = Duration::from_secs(45 * 60);
/// A PC without a sign of life for that time stands still: `init.sh` gives one twice a minute, and no boot that is compared takes half of it. One in which a test
/// hangs does not.
const STILL: Duration = Duration::from_secs(3 * 60);
/// How often it is looked for them while no test says anything.
const LOOK: Duration = Duration::from_secs(60);
const SIGN_OF_LIFE: &str = "lab: alive";
/// Two processors for guests, since races want them, and memory for the initramfs, which is in there twice for a moment, and for guests.
///
/// And a first processor on which no guest runs: `init.sh` sees to that. Whichever processor of QEMU's executes FXRSTOR, as each switch of tasks does, rewrites flags of the
/// *first*, without a lock (`cpu_clear_ignne`). One of these flags says that there is a second stage of page tables: where it is lost, a guest finds no page any more.
const SIZE: [&str; 4] = ["-smp", "3", "-m", "4G"];
/// A panic ends the PC. QEMU's clock is steady, so nobody has to hold another one beside it.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 quiet tsc=reliable";
/// All of a processor that can be emulated, and virtual machines with it; but for what takes longer in software than what is done without it:
/// a fifth level of page tables, to be walked for a guest twice over; a kernel's own view of what programs may touch, besides the programs' (SMAP); and copying by one
/// instruction byte by byte (ERMS), which is what QEMU then does.
const PROCESSOR: &str = "max,la57=off,smap=off,erms=off,fsrm=off";
/// So many lines of what the kernel said last are shown: a panic takes some forty.
const LAST_WORDS: usize = 60;

/// While it runs. Dropping it ends it.
pub(super) struct Machine {
    qemu: Child,
    /// The other direction of the port over which it says its lines.
    ears: ChildStdin,
    lines: Receiver<String>,
    console: PathBuf,
    /// Where QEMU can be asked.
    monitor: PathBuf,
    started: Instant,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// By itself, as QEMU says.
    Ended(ExitStatus),
    /// It was still running when its time was up.
    TimedOut,
    /// It did nothing at all any more.
    StoodStill,
}

impl Machine {
    /// A PC with these files, whose kernel is told these words besides ours. What is written to the disk is forgotten with it. `place` has room for what it says.
    pub(super) fn start(
        equipment: &Equipment,
        place: &Path,
        initramfs: &Path,
        words: &str,
        disk: Option<&Path>,
    ) -> Result<Machine> {
        let console = place.join("console");
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let mut qemu = Command::new(&equipment.qemu);
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35"]);
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", PROCESSOR]).args(SIZE);
        qemu.arg("-serial").arg(format!("file:{}", console.display())).args(["-serial", "stdio"]);
        qemu.arg("-kernel").arg(equipment.kernel.image()).arg("-initrd").arg(initramfs);
        qemu.arg("-append").arg(format!("{COMMAND_LINE} {words}"));
        // By a short name: that of a socket has room for a hundred letters.
        qemu.current_dir(place).args(["-monitor", "unix:monitor,server=on,wait=off"]);
        let monitor = place.join("monitor");
        if let Some(disk) = disk {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,snapshot=on", disk.display()));
        }
        qemu.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
        let mut child = qemu.spawn().context("cannot start QEMU")?;
        drop(qemu); // with it our own writing ends, else the pipe would never end
        let ears = child.stdin.take().context("QEMU has no standard input")?;
        Ok(Machine { qemu: child, ears, lines: lines_of(reader), console, monitor, started: Instant::now() })
    }

    /// Waits for its end, tells of each line that comes, and says what is to be said to that.
    pub(super) fn watch(&mut self, mut hear: impl FnMut(&str) -> Option<String>) -> Result<Ending> {
        let (mut still, mut signs) = (Duration::ZERO, 0);
        loop {
            let left = LIMIT.saturating_sub(self.started.elapsed());
            match self.lines.recv_timeout(left.min(LOOK)) {
                Ok(line) => {
                    still = Duration::ZERO;
                    if let Some(answer) = hear(&line) {
                        // A PC that has ended hears nothing more, and its end is the next thing that is seen.
                        _ = writeln!(self.ears, "{answer}");
                    }
                }
                Err(RecvTimeoutError::Timeout) if left <= LOOK => return Ok(Ending::TimedOut),
                Err(RecvTimeoutError::Timeout) => {
                    let given = self.console().lines().filter(|line| line.contains(SIGN_OF_LIFE)).count();
                    still = if given == signs { still + LOOK } else { Duration::ZERO };
                    signs = given;
                    if STILL <= still {
                        return Ok(Ending::StoodStill);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Ending::Ended(self.qemu.wait().context("cannot wait for QEMU")?));
                }
            }
        }
    }

    /// Where its processors are, while it runs: what a PC that hangs can still be asked.
    pub(super) fn processors(&self) -> Result<String> {
        let mut monitor = UnixStream::connect(&self.monitor).context("cannot call QEMU's monitor")?;
        monitor.set_read_timeout(Some(Duration::from_secs(2)))?;
        monitor.write_all(b"info registers -a\n")?;
        let mut said = Vec::new();
        // It ends by that time, since the monitor waits for more.
        _ = monitor.take(1 << 20).read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().filter(|line| ["CPU#", "RIP=", "CR0="].iter().any(|word| line.contains(word)));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// What the kernel said last.
    pub(super) fn last_words(&self) -> String {
        let said = self.console();
        let lines: Vec<&str> = said.lines().filter(|line| !line.contains(SIGN_OF_LIFE)).collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }

    /// All that has come over the kernel's serial port.
    fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        _ = self.qemu.kill();
        _ = self.qemu.wait();
    }
}
