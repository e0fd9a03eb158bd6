//! The identifier by which a machine's guest knows it from others: each machine that boots has one, each clone another, and its guest hears of that.

mod kit;

use std::time::Duration;

use firebox_vmm::{Bytes, Ending, GuestAddress, Hypervisor, Linux, Machine, Memory, MemorySize, Settings, layout};
use kit::counting::{self, go_until, run_until};
use kit::frozen::Frozen;
use kit::virtio_guest::{LOCAL_APIC, NOTE, hear_interrupt, load_handler_of};
use kit::{Assembler, kernel};

/// What the guest has read before anything else, when that was done, what it has read when it was interrupted, and how often it was.
const FIRST: u64 = NOTE;
const READY: u64 = NOTE + 0x10;
const HEARD: u64 = NOTE + 0x20;
const TIMES: u64 = NOTE + 0x30;

fn copy_identifier(code: Assembler, to: u64) -> Assembler {
    (0..16).step_by(4).fold(code, |code, at| code.copy32(layout::GENERATION + at, to + at))
}

/// A kernel that reads the identifier, and waits to hear of another one, for ever.
fn machine(hypervisor: &Hypervisor) -> Machine {
    let settings = Settings { memory: MemorySize::mib(4).unwrap(), cpus: 1 };
    let mut machine = Machine::new(hypervisor, settings).unwrap();
    let begin = hear_interrupt(copy_identifier(Assembler::new(), FIRST), layout::GENERATION_INTERRUPT);
    let begin = begin.store32(READY, 1);
    let again = begin.label();
    let code = begin.wait_for_interrupt().jump_back(again);
    let kernel = kernel::file(&kernel::elf(layout::PROGRAM, code.code()));
    machine.load_linux(Linux { kernel, command_line: "", initramfs: None }).unwrap();
    // mov rbx, TIMES; inc dword [rbx]
    let handler = copy_identifier(Assembler::new(), HEARD).raw(&[0x48, 0xBB]).raw(&TIMES.to_le_bytes());
    let handler = handler.raw(&[0xFF, 0x03]).store32(LOCAL_APIC + 0xB0, 0).return_from_interrupt();
    load_handler_of(&machine, &handler);
    machine
}

fn identifier(memory: &Memory, at: u64) -> u128 {
    memory.read_obj(GuestAddress(at)).unwrap()
}

fn times(memory: &Memory) -> u32 {
    memory.read_obj(GuestAddress(TIMES)).unwrap()
}

fn is_ready(memory: &Memory) -> bool {
    memory.read_obj::<u32>(GuestAddress(READY)).unwrap() == 1
}

#[test]
fn a_clone_hears_once_that_it_is_another_machine_and_the_original_stays_what_it_is() {
    const NAME: &str = "a_clone_hears_once_that_it_is_another_machine_and_the_original_stays_what_it_is";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let paused = run_until(machine(&hypervisor), is_ready);
    let first = identifier(paused.memory(), FIRST);
    let frozen = Frozen::of(&hypervisor, &paused);
    let mut seen = vec![0, first];
    for _ in 0..3 {
        let prepared = frozen.prepare(&hypervisor);
        assert_eq!(identifier(prepared.memory(), layout::GENERATION), first, "before it goes on");
        let clone = go_until(prepared, |memory| times(memory) == 1);
        seen.push(identifier(clone.memory(), HEARD));
        assert_eq!(identifier(clone.memory(), layout::GENERATION), identifier(clone.memory(), HEARD));
        // And a clone of the clone is yet another.
        let grandchild = Frozen::of(&hypervisor, &clone).prepare(&hypervisor);
        let grandchild = go_until(grandchild, |memory| times(memory) == 2);
        seen.push(identifier(grandchild.memory(), HEARD));
    }
    let memory = paused.memory().clone();
    let ran = paused.resume(Duration::from_millis(100)).unwrap().ended().unwrap();
    assert_eq!(ran.ending, Ending::TimedOut);
    assert_eq!((identifier(&memory, layout::GENERATION), times(&memory)), (first, 0));
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), count), (8, 8), "{seen:x?}");
}

#[test]
fn two_machines_that_boot_are_two() {
    const NAME: &str = "two_machines_that_boot_are_two";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let [one, other] = [0, 1].map(|_| identifier(machine(&hypervisor).memory(), layout::GENERATION));
    assert!(one != 0 && other != 0 && one != other, "{one:x} and {other:x}");
}

#[test]
fn who_boots_no_linux_has_all_of_the_memory() {
    const NAME: &str = "who_boots_no_linux_has_all_of_the_memory";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = kit::machine(&hypervisor, 1, &counting::program());
    machine.load(layout::GENERATION, b"what is here").unwrap();
    let before = identifier(machine.memory(), layout::GENERATION);
    let frozen = Frozen::of(&hypervisor, &counting::run_to(machine, 100));
    let clone = counting::go_for(frozen.prepare(&hypervisor), 100);
    assert_eq!(identifier(clone.memory(), layout::GENERATION), before);
}
