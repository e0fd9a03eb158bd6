//! Machines that are frozen in the middle of what their devices and chips are at: requests, interrupts on their way, timers, a second processor.

mod kit;

use std::fs::{self, File};
use std::time::{Duration, Instant};

use firebox_vmm::virtio::{Block, Device, Entropy, OtherDevice, Transport};
use firebox_vmm::{Bytes, Ending, GuestAddress, Memory, Paused, Prepared, RestoreError, layout};
use kit::counting::{self, COUNT, count};
use kit::driver::{BUFFER, Bell, Driver, WRITE};
use kit::frozen::Frozen;
use kit::virtio_guest::{
    ANSWER, AVAILABLE, DATA, HEADER, LOCAL_APIC, USED, VECTOR, hear_interrupts, load_handler, machine, set_up,
};
use kit::{Assembler, PLENTY};
use tempfile::NamedTempFile;

/// Where a guest says that it waits to be frozen, and is told to go on.
const HERE: u64 = 0x5_0000;
const GO: u64 = 0x5_0004;

fn word(memory: &Memory, at: u64) -> u32 {
    memory.read_obj(GuestAddress(at)).unwrap()
}

fn is_here(memory: &Memory) -> bool {
    word(memory, HERE) == 1
}

/// What the guest says until it resets its machine.
fn go_to_the_end(prepared: Prepared) -> String {
    prepared.memory().write_obj(1_u32, GuestAddress(GO)).unwrap();
    let ran = prepared.go(PLENTY).unwrap().ended().unwrap();
    assert_eq!(ran.ending, Ending::Reset);
    String::from_utf8(ran.log.bytes()).unwrap()
}

/// A disk whose sectors are full of their numbers and one.
fn disk(sectors: u8) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), (1..=sectors).flat_map(|number| [number; 512]).collect::<Vec<u8>>()).unwrap();
    file
}

fn block(file: &NamedTempFile) -> Box<dyn Device> {
    Box::new(Block::new(File::open(file.path()).unwrap()).unwrap())
}

/// A guest that has read a sector of its disk, and will read another.
fn frozen_between_requests(test: &str, file: &NamedTempFile) -> Option<(firebox_vmm::Hypervisor, Frozen)> {
    const NOTIFY: u64 = layout::VIRTIO + 0x50;
    let ask = |code: Assembler| code.no_interrupts().store32(NOTIFY, 0).wait_for_interrupt();
    let program = ask(hear_interrupts(set_up(layout::VIRTIO))).say("one").wait_here(HERE, GO);
    // The same request once more, but for the sector.
    let program = ask(program.store32(HEADER + 8, 1).store32(AVAILABLE, 2 << 16)).say("two").reset();
    let machine = machine(test, block(file), &[(HEADER, 16, 0), (DATA, 512, 2), (ANSWER, 1, 2)], &program)?;
    machine.load(HEADER + 8, &2_u64.to_le_bytes()).unwrap();
    let hypervisor = kit::hypervisor(test)?;
    let paused = counting::run_until(machine, is_here);
    assert_eq!(paused.memory().read_obj::<u8>(GuestAddress(DATA)).unwrap(), 3);
    let frozen = Frozen::of(&hypervisor, &paused);
    Some((hypervisor, frozen))
}

#[test]
fn a_driver_goes_on_with_the_disk_of_a_clone() {
    const NAME: &str = "a_driver_goes_on_with_the_disk_of_a_clone";
    let file = disk(4);
    let Some((hypervisor, frozen)) = frozen_between_requests(NAME, &file) else { return };
    for _ in 0..2 {
        let clone = frozen.prepare_with(&hypervisor, vec![block(&file)]);
        let memory = clone.memory().clone();
        // What was said before, others have heard.
        assert_eq!(go_to_the_end(clone), "two");
        let mut data = [0; 512];
        memory.read_slice(&mut data, GuestAddress(DATA)).unwrap();
        assert_eq!((data, word(&memory, USED) >> 16), ([2; 512], 2));
    }
}

#[test]
fn devices_that_are_not_those_that_were_are_refused() {
    const NAME: &str = "devices_that_are_not_those_that_were_are_refused";
    let file = disk(4);
    let Some((hypervisor, frozen)) = frozen_between_requests(NAME, &file) else { return };
    let refused = |devices| frozen.snapshot().restore(&hypervisor, frozen.memory(), devices).err().unwrap();
    assert!(matches!(refused(Vec::new()), RestoreError::Devices { theirs: 1, ours: 0 }));
    let two = vec![block(&file), block(&file)];
    assert!(matches!(refused(two), RestoreError::Devices { theirs: 1, ours: 2 }));
    let other = refused(vec![Box::new(Entropy)]);
    assert!(matches!(other, RestoreError::Device { number: 0, source: OtherDevice::Kind { theirs: 2, ours: 4 } }));
    let larger = refused(vec![block(&disk(5))]);
    assert!(matches!(larger, RestoreError::Device { number: 0, source: OtherDevice::Config }));
}

#[test]
fn an_interrupt_on_its_way_is_not_lost() {
    const NAME: &str = "an_interrupt_on_its_way_is_not_lost";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    // The device has answered, and the guest does not listen yet.
    let program = hear_interrupts(set_up(layout::VIRTIO)).no_interrupts().store32(layout::VIRTIO + 0x50, 0);
    let program = program.wait_here(HERE, GO).wait_for_interrupt().say("woken").reset();
    for _ in 0..20 {
        let machine = machine(NAME, Box::new(Entropy), &[(DATA, 64, 2)], &program).unwrap();
        let frozen = Frozen::of(&hypervisor, &counting::run_until(machine, is_here));
        assert_eq!(go_to_the_end(frozen.prepare_with(&hypervisor, vec![Box::new(Entropy)])), "woken");
    }
}

#[test]
fn an_interrupt_that_the_driver_has_not_acknowledged_is_raised_again_and_no_other() {
    for acknowledged in [false, true] {
        let mut driver = Driver::ready(Entropy);
        driver.send(&[(BUFFER, 32, WRITE)]);
        assert_eq!((driver.collect(), driver.bell.rung()), (Some(32), 1));
        if acknowledged {
            driver.set(0x64, 1);
        }
        let (state, bell) = (driver.transport.save().unwrap(), Bell::default());
        let (memory, interrupt) = (driver.memory.clone(), Box::new(bell.clone()));
        driver.transport = Transport::restore(Box::new(Entropy), memory, interrupt, &state).unwrap();
        assert_eq!(bell.rung(), 0, "before the machine goes on");
        driver.transport.raise_again();
        driver.transport.speak_first();
        assert_eq!((bell.rung(), driver.get(0x60)), if acknowledged { (0, 0) } else { (1, 1) });
        // And the queue goes on from where it was.
        driver.send(&[(BUFFER, 16, WRITE)]);
        assert_eq!(driver.collect(), Some(16));
    }
}

/// A guest that has set the timer of its local APIC, and will wait for it.
fn with_a_timer(count: u32) -> Assembler {
    let code = hear_interrupts(Assembler::new()).no_interrupts().store32(LOCAL_APIC + 0x3E0, 0xB); // not divided
    let code = code.store32(LOCAL_APIC + 0x320, VECTOR.into()).store32(LOCAL_APIC + 0x380, count);
    code.wait_here(HERE, GO).wait_for_interrupt().say("tick").reset()
}

fn frozen_with_a_timer(hypervisor: &firebox_vmm::Hypervisor, count: u32, wait: Duration) -> Frozen {
    let machine = kit::machine(hypervisor, 1, &with_a_timer(count));
    load_handler(&machine);
    let paused: Paused = counting::run_until(machine, |memory| {
        let is_here = is_here(memory);
        if is_here {
            std::thread::sleep(wait);
        }
        is_here
    });
    Frozen::of(hypervisor, &paused)
}

#[test]
fn a_timer_that_runs_stands_still_with_its_machine_and_rings_in_the_clone() {
    const NAME: &str = "a_timer_that_runs_stands_still_with_its_machine_and_rings_in_the_clone";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    // KVM's local APIC counts nanoseconds: two seconds.
    let frozen = frozen_with_a_timer(&hypervisor, 2_000_000_000, Duration::ZERO);
    for _ in 0..2 {
        let clone = frozen.prepare(&hypervisor);
        // By the clock on the wall it would have rung by now.
        std::thread::sleep(Duration::from_millis(2_100));
        let begun = Instant::now();
        assert_eq!(go_to_the_end(clone), "tick");
        assert!(Duration::from_millis(500) <= begun.elapsed(), "it rang after {:?}", begun.elapsed());
    }
}

#[test]
fn a_timer_that_has_run_out_unheard_is_heard_in_the_clone() {
    const NAME: &str = "a_timer_that_has_run_out_unheard_is_heard_in_the_clone";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    for wait in [0, 5, 20].map(Duration::from_millis) {
        let frozen = frozen_with_a_timer(&hypervisor, 1_000_000, wait);
        assert_eq!(go_to_the_end(frozen.prepare(&hypervisor)), "tick");
    }
}

#[test]
fn both_processors_go_on() {
    const NAME: &str = "both_processors_go_on";
    const SECOND: u64 = 0x6000;
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = kit::machine(&hypervisor, 2, &counting::after(Assembler::new().wake_the_second()));
    // inc dword [0x6000]; jmp to it
    machine.load(Assembler::REAL_MODE, &[0x66, 0xFF, 0x06, 0x00, 0x60, 0xEB, 0xF9]).unwrap();
    let mut paused = counting::run_until(machine, |memory| 100 < count(memory) && 100 < word(memory, SECOND));
    for _ in 0..5 {
        let frozen = Frozen::of(&hypervisor, &paused);
        let stood = (count(paused.memory()), word(paused.memory(), SECOND));
        drop(paused);
        let clone = frozen.prepare(&hypervisor);
        assert_eq!((count(clone.memory()), word(clone.memory(), SECOND)), stood);
        paused =
            counting::go_until(clone, |memory| stood.0 + 50 < count(memory) && stood.1 + 50 < word(memory, SECOND));
    }
}

#[test]
fn a_processor_that_was_never_woken_is_woken_in_the_clone() {
    const NAME: &str = "a_processor_that_was_never_woken_is_woken_in_the_clone";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let program = Assembler::new().wait_here(HERE, GO).say("1").wake_the_second().spin();
    let machine = kit::machine(&hypervisor, 2, &program);
    // mov dx, 0x3F8; mov al, '2'; out dx, al; mov al, 0xFE; out 0x64, al
    machine.load(Assembler::REAL_MODE, &[0xBA, 0xF8, 0x03, 0xB0, b'2', 0xEE, 0xB0, 0xFE, 0xE6, 0x64]).unwrap();
    let frozen = Frozen::of(&hypervisor, &counting::run_until(machine, is_here));
    assert_eq!(go_to_the_end(frozen.prepare(&hypervisor)), "12");
}

#[test]
fn time_does_not_go_backwards_for_a_machine_that_is_frozen_in_its_first_second() {
    const NAME: &str = "time_does_not_go_backwards_for_a_machine_that_is_frozen_in_its_first_second";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    // It faults when its counter shows less than the last time: rdtsc; shl rdx, 32; or rax, rdx; cmp rax, r14; jb to the fault; mov r14, rax;
    // inc qword [rbx]; jmp to the first.
    let code = Assembler::new().raw(&[0x48, 0xBB]).raw(&COUNT.to_le_bytes()).raw(&[0x4D, 0x31, 0xF6]);
    let code = code.raw(&[0x0F, 0x31, 0x48, 0xC1, 0xE2, 0x20, 0x48, 0x09, 0xD0, 0x4C, 0x39, 0xF0, 0x72, 0x08]);
    let code = code.raw(&[0x49, 0x89, 0xC6, 0x48, 0xFF, 0x03, 0xEB, 0xEA]).fault();
    let begun = Instant::now();
    let mut paused = counting::run_to(kit::machine(&hypervisor, 1, &code), 1_000);
    for _ in 0..10 {
        let frozen = Frozen::of(&hypervisor, &paused);
        drop(paused);
        paused = counting::go_for(frozen.prepare(&hypervisor), 100);
    }
    assert!(1_000 < count(paused.memory()), "after {:?}", begun.elapsed());
}
