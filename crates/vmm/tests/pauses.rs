//! Machines that are paused, by another thread or by their own guest, and go on.

mod kit;

use std::time::Duration;

use firebox_vmm::{Ending, RunError, Stopped};
use kit::counting::{self, ANSWER, AT_THE_PROGRAM, PAUSE};
use kit::{Assembler, PLENTY};

#[test]
fn a_guest_that_is_paused_stands_still_and_goes_on_from_where_it_was() {
    const NAME: &str = "a_guest_that_is_paused_stands_still_and_goes_on_from_where_it_was";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let mut paused = counting::run_to(kit::machine(&hypervisor, 1, &counting::program()), 1_000);
    for _ in 0..20 {
        let stood = counting::count(paused.memory());
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(counting::count(paused.memory()), stood, "it runs on");
        paused = counting::go_on_for(paused, 100);
    }
    let Ok(Stopped::Ended(ran)) = paused.resume(Duration::from_millis(100)) else { panic!("it paused") };
    assert_eq!(ran.ending, Ending::TimedOut);
}

#[test]
fn what_a_guest_was_reading_when_it_was_paused_is_what_it_has_read() {
    const NAME: &str = "what_a_guest_was_reading_when_it_was_paused_is_what_it_has_read";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    // It says what it reads, and then reads four at once (`mov edi, 0x5000; mov ecx, 4; cld; rep insb`) and says the last of them.
    let program = Assembler::new().in8(PAUSE).say_al().raw(&[0xBF]).raw(&0x5000_u32.to_le_bytes());
    let program = program.raw(&[0xB9]).raw(&4_u32.to_le_bytes()).raw(&[0xBA]).raw(&(PAUSE as u32).to_le_bytes());
    let program = program.raw(&[0xFC, 0xF3, 0x6C]).load32(0x5003).say_al().reset();
    let mut machine = kit::machine(&hypervisor, 1, &program);
    counting::add_pause_port(&mut machine);
    let mut stopped = machine.run(&AT_THE_PROGRAM, PLENTY).unwrap();
    let mut pauses = 0;
    let ran = loop {
        match stopped {
            Stopped::Paused(paused) => stopped = paused.resume(PLENTY).unwrap(),
            Stopped::Ended(ran) => break ran,
        }
        pauses += 1;
    };
    assert_eq!((ran.ending, ran.log.bytes()), (Ending::Reset, vec![ANSWER; 2]));
    assert!(1 <= pauses, "it never was");
}

#[test]
fn a_machine_that_is_asked_before_it_runs_pauses_before_its_first_instruction() {
    const NAME: &str = "a_machine_that_is_asked_before_it_runs_pauses_before_its_first_instruction";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = kit::machine(&hypervisor, 1, &Assembler::new().say("on").reset());
    machine.pauser().pause();
    let paused = counting::paused(machine.run(&AT_THE_PROGRAM, PLENTY).unwrap());
    let ran = paused.resume(PLENTY).and_then(Stopped::ended).unwrap();
    assert_eq!((ran.ending, ran.log.bytes()), (Ending::Reset, b"on".to_vec()));
}

#[test]
fn a_guest_that_has_ended_is_not_paused() {
    const NAME: &str = "a_guest_that_has_ended_is_not_paused";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    // The word to pause, and the end right behind it: each time one of them is first, and the end is never lost.
    for _ in 0..50 {
        let program = Assembler::new().out8(PAUSE, 0).reset().fault();
        let mut machine = kit::machine(&hypervisor, 1, &program);
        counting::add_pause_port(&mut machine);
        let ran = match machine.run(&AT_THE_PROGRAM, PLENTY).unwrap() {
            Stopped::Paused(paused) => paused.resume(PLENTY).and_then(Stopped::ended).unwrap(),
            Stopped::Ended(ran) => ran,
        };
        assert_eq!(ran.ending, Ending::Reset);
    }
}

#[test]
fn whoever_wants_an_end_is_told_of_a_pause() {
    const NAME: &str = "whoever_wants_an_end_is_told_of_a_pause";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = kit::machine(&hypervisor, 1, &Assembler::new().spin());
    machine.pauser().pause();
    let ended = machine.run(&AT_THE_PROGRAM, PLENTY).and_then(Stopped::ended);
    assert!(matches!(ended, Err(RunError::Paused)));
}
