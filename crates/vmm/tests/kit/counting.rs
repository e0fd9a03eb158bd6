//! A guest that counts for ever, in a register and in memory, and faults as soon as the two differ: whatever is lost or done twice is seen.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firebox_vmm::{
    BusDevice, Bytes, Go, GuestAddress, Machine, Memory, Paused, Pauser, Prepared, Start, Stopped, layout,
};

use super::{Assembler, PLENTY};

/// Where it counts.
pub(crate) const COUNT: u64 = 0x4_0000;
/// A port that pauses the machine when it is read, and gives [`ANSWER`].
pub(crate) const PAUSE: u64 = 0x710;
pub(crate) const ANSWER: u8 = 0x5A;

/// The guest.
pub(crate) fn program() -> Assembler {
    after(Assembler::new())
}

/// A page for each of the last counts of [`bookkeeper`].
const LEDGER: u64 = 0x14_0000;
const PAGES: u64 = 64;

/// A guest that counts, too, and writes each count down on the next of its pages.
pub(crate) fn bookkeeper() -> Assembler {
    let begin = Assembler::new().raw(&[0x48, 0xBB]).raw(&COUNT.to_le_bytes()).raw(&[0x4D, 0x31, 0xFF]);
    // inc qword [rbx]; inc r15; mov eax, r15d; and eax, PAGES - 1; shl eax, 12; mov [rax + LEDGER], r15
    let write = begin.raw(&[0x48, 0xFF, 0x03, 0x49, 0xFF, 0xC7, 0x44, 0x89, 0xF8, 0x83, 0xE0, PAGES as u8 - 1]);
    let write = write.raw(&[0xC1, 0xE0, 0x0C]);
    let written = write.raw(&[0x4C, 0x89, 0xB8]).raw(&(LEDGER as u32).to_le_bytes());
    // cmp [rbx], r15; je to the first; ud2
    written.raw(&[0x4C, 0x39, 0x3B, 0x74, 0xE5]).fault()
}

/// Whether each page has the last count that belongs there. That of this moment may not be written yet.
pub(crate) fn is_booked(memory: &Memory) -> bool {
    let count = count(memory);
    (0..PAGES).all(|page| {
        let booked: u64 = memory.read_obj(GuestAddress(LEDGER + (page << 12))).unwrap();
        let last = (count + PAGES - page) / PAGES * PAGES + page;
        let (last, before) = (last.saturating_sub(PAGES), last.saturating_sub(2 * PAGES));
        booked == last || last == count && booked == before
    })
}

/// It counts after it has done that.
pub(crate) fn after(code: Assembler) -> Assembler {
    let begin = code.raw(&[0x48, 0xBB]).raw(&COUNT.to_le_bytes()).raw(&[0x4D, 0x31, 0xFF]);
    // inc qword [rbx]; inc r15; cmp [rbx], r15; je to the first; ud2
    begin.raw(&[0x48, 0xFF, 0x03, 0x49, 0xFF, 0xC7, 0x4C, 0x39, 0x3B, 0x74, 0xF5]).fault()
}

pub(crate) fn count(memory: &Memory) -> u64 {
    memory.read_obj(GuestAddress(COUNT)).unwrap()
}

/// Waits until something is so.
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PLENTY, "it never is");
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Where a machine that does not count starts.
pub(crate) const AT_THE_PROGRAM: Start = Start { entry: layout::PROGRAM, argument: 0 };

/// Starts a machine and pauses it when it has counted that far.
pub(crate) fn run_to(machine: Machine, to: u64) -> Paused {
    run_until(machine, |memory| to <= count(memory))
}

/// Starts a machine and pauses it when something is so in its memory.
pub(crate) fn run_until(machine: Machine, is_so: impl FnMut(&Memory) -> bool + Send) -> Paused {
    let (memory, pauser) = (machine.memory().clone(), machine.pauser());
    pause_when(memory, pauser, is_so, || machine.run(&AT_THE_PROGRAM, PLENTY).unwrap())
}

/// Lets a machine go on, and pauses it when it has counted so many more.
pub(crate) fn go_on_for(paused: Paused, more: u64) -> Paused {
    let (memory, pauser) = (paused.memory().clone(), paused.pauser());
    let to = count(&memory) + more;
    pause_when(memory, pauser, |memory| to <= count(memory), || paused.resume(PLENTY).unwrap())
}

/// Lets a clone go, and pauses it when it has counted so many more.
pub(crate) fn go_for(prepared: Prepared, more: u64) -> Paused {
    let to = count(prepared.memory()) + more;
    go_until(prepared, |memory| to <= count(memory))
}

/// Lets a clone go, and pauses it when something is so in its memory.
pub(crate) fn go_until(prepared: Prepared, is_so: impl FnMut(&Memory) -> bool + Send) -> Paused {
    let (memory, pauser) = (prepared.memory().clone(), prepared.pauser());
    pause_when(memory, pauser, is_so, || prepared.go(PLENTY).unwrap())
}

fn pause_when(
    memory: Memory,
    pauser: Pauser,
    mut is_so: impl FnMut(&Memory) -> bool + Send,
    run: impl FnOnce() -> Stopped,
) -> Paused {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until(|| is_so(&memory) || over.load(Ordering::SeqCst));
            pauser.pause();
        });
        let stopped = run();
        over.store(true, Ordering::SeqCst);
        paused(stopped)
    })
}

/// The machine, which is to be paused and not to have ended.
pub(crate) fn paused(stopped: Stopped) -> Paused {
    match stopped {
        Stopped::Paused(paused) => paused,
        Stopped::Ended(ran) => panic!("{:?}, and it said: {}", ran.ending, String::from_utf8_lossy(&ran.log.bytes())),
    }
}

/// What stands at [`PAUSE`].
struct PausePort(Pauser);

impl BusDevice for PausePort {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        self.0.pause();
        // Mostly the machine is stopped before the guest has its answer. What is tested holds whenever it is.
        std::thread::sleep(Duration::from_millis(20));
        data.fill(ANSWER);
    }

    fn write(&mut self, _offset: u64, _data: &[u8]) -> Go {
        self.0.pause();
        ControlFlow::Continue(())
    }
}

/// Puts it there.
pub(crate) fn add_pause_port(machine: &mut Machine) {
    let port = Arc::new(Mutex::new(PausePort(machine.pauser())));
    // As wide as several reads at once.
    machine.add_ports(PAUSE..PAUSE + 4, port).unwrap();
}
