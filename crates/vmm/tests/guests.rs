//! Guests of a few instructions on KVM, however slow that is here: each ends in its own way, and none keeps us.
//!
//! No kernel is needed for any of them. Where there is no KVM they are skipped, and say so.

mod kit;

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firebox_vmm::virtio::Vsock;
use firebox_vmm::{
    BusDevice, Bytes, CpuFault, Ending, Go, GuestAddress, Machine, MachineError, MemorySize, RunError, Settings, Start,
    Stopped, layout,
};
use kit::{Assembler, PLENTY};

/// Runs a guest with one processor to its end.
fn ending(test: &str, program: Assembler) -> Option<Ending> {
    let hypervisor = kit::hypervisor(test)?;
    Some(kit::run(kit::machine(&hypervisor, 1, &program), PLENTY).ending)
}

fn check(test: &str, program: Assembler, expected: Ending) {
    if let Some(ending) = ending(test, program) {
        assert_eq!(ending, expected);
    }
}

#[test]
fn a_guest_that_asks_for_a_reset_ends_with_it() {
    check("a_guest_that_asks_for_a_reset_ends_with_it", Assembler::new().reset().spin(), Ending::Reset);
}

#[test]
fn a_guest_that_takes_its_power_away_is_off() {
    let program = Assembler::new().out8(layout::POWER.start, layout::POWER_OFF).spin();
    check("a_guest_that_takes_its_power_away_is_off", program, Ending::PoweredOff);
}

#[test]
fn a_guest_that_faults_without_handlers_ends_by_a_triple_fault() {
    check(
        "a_guest_that_faults_without_handlers_ends_by_a_triple_fault",
        Assembler::new().fault().spin(),
        Ending::TripleFault,
    );
}

#[test]
fn a_guest_that_halts_with_interrupts_off_has_ended_long_before_its_time() {
    let start = Instant::now();
    check(
        "a_guest_that_halts_with_interrupts_off_has_ended_long_before_its_time",
        Assembler::new().stop(),
        Ending::Halted,
    );
    assert!(start.elapsed() < PLENTY / 2, "after {:?}", start.elapsed());
}

#[test]
fn a_guest_that_waits_with_interrupts_on_is_not_taken_for_one_that_has_ended() {
    const NAME: &str = "a_guest_that_waits_with_interrupts_on_is_not_taken_for_one_that_has_ended";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = kit::machine(&hypervisor, 1, &Assembler::new().wait_for_interrupt());
    assert_eq!(kit::run(machine, Duration::from_secs(2)).ending, Ending::TimedOut);
}

#[test]
fn a_guest_that_spins_is_ended_at_its_time() {
    const NAME: &str = "a_guest_that_spins_is_ended_at_its_time";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let limit = Duration::from_millis(300);
    let start = Instant::now();
    let ran = kit::run(kit::machine(&hypervisor, 1, &Assembler::new().say("here").spin()), limit);
    assert_eq!(ran.ending, Ending::TimedOut);
    assert!(limit <= start.elapsed() && start.elapsed() < PLENTY, "after {:?}", start.elapsed());
    assert_eq!(String::from_utf8_lossy(&ran.log.bytes()), "here");
}

#[test]
fn a_guest_that_never_stops_asking_devices_is_ended_at_its_time() {
    const NAME: &str = "a_guest_that_never_stops_asking_devices_is_ended_at_its_time";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let program = Assembler::new();
    let again = program.label();
    let program = program.load32(layout::VIRTIO).out8(0x80, 0).jump_back(again);
    assert_eq!(kit::run(kit::machine(&hypervisor, 1, &program), Duration::from_millis(300)).ending, Ending::TimedOut);
}

#[test]
fn a_guest_that_runs_where_no_memory_is_ends_as_a_fault() {
    const NAME: &str = "a_guest_that_runs_where_no_memory_is_ends_as_a_fault";
    // mov rax, 0xC0000000; jmp rax
    let program = Assembler::new().raw(&[0x48, 0xB8]).raw(&0xC000_0000_u64.to_le_bytes()).raw(&[0xFF, 0xE0]);
    if let Some(ending) = ending(NAME, program) {
        // What is read there is ones, which no processor has as an instruction: KVM says it cannot emulate that, or has the guest
        // told, which has no handler.
        assert!(matches!(ending, Ending::Fault(CpuFault::Internal) | Ending::TripleFault), "{ending:?}");
    }
}

#[test]
fn what_a_guest_says_is_kept_byte_for_byte() {
    const NAME: &str = "what_a_guest_says_is_kept_byte_for_byte";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    // mov edx, 0x3F8; mov al, '.'; mov ecx, 2000; out dx, al; dec ecx; jnz to the out
    let port = (layout::SERIAL.start as u32).to_le_bytes();
    let much = Assembler::new().raw(&[0xBA]).raw(&port).raw(&[0xB0, b'.', 0xB9]).raw(&2_000_u32.to_le_bytes());
    let program = much.raw(&[0xEE, 0xFF, 0xC9, 0x75, 0xFB]).say("the end").reset();
    let ran = kit::run(kit::machine(&hypervisor, 1, &program), PLENTY);
    assert_eq!(ran.ending, Ending::Reset);
    // What becomes of more than there is room for, `LogRing` is asked: each byte is an exit, and they are slow here and there.
    assert_eq!((ran.log.bytes(), ran.log.lost()), ([vec![b'.'; 2_000], b"the end".to_vec()].concat(), 0));
}

#[test]
fn wide_and_repeated_accesses_to_ports_break_nothing() {
    const NAME: &str = "wide_and_repeated_accesses_to_ports_break_nothing";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let mut program = Assembler::new();
    for port in [layout::SERIAL.start, layout::SERIAL.end - 1, layout::KEYBOARD.start + 4, layout::POWER.start, 0xFFFF]
    {
        // A word; then 64 zeros by `mov esi, 0x4000; mov ecx, 64; rep outsb`, and likewise back in.
        program = program.out32(port, 0xFEFE_FEFE);
        program = program.raw(&[0xBE]).raw(&0x4000_u32.to_le_bytes());
        program = program.raw(&[0xB9]).raw(&64_u32.to_le_bytes()).raw(&[0xF3, 0x6E]);
        program = program.raw(&[0xBF]).raw(&0x5000_u32.to_le_bytes());
        program = program.raw(&[0xB9]).raw(&64_u32.to_le_bytes()).raw(&[0xF3, 0x6C]);
    }
    let ran = kit::run(kit::machine(&hypervisor, 1, &program.say("alive").reset()), PLENTY);
    assert_eq!(ran.ending, Ending::Reset);
    // Zeros came one at a time on the one port that keeps what comes.
    assert_eq!(String::from_utf8_lossy(&ran.log.bytes()).trim_start_matches('\0'), "alive");
}

/// A port that counts what is written to it.
struct Counter(Arc<AtomicU64>);

impl BusDevice for Counter {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _offset: u64, _data: &[u8]) -> Go {
        self.0.fetch_add(1, Ordering::SeqCst);
        ControlFlow::Continue(())
    }
}

/// As no device of ours: a fault of ours in a processor's thread.
struct Faulty;

impl BusDevice for Faulty {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _offset: u64, _data: &[u8]) -> Go {
        panic!("a fault of ours");
    }
}

/// Where a panic is not the end of all, as in tests.
#[test]
fn a_processor_that_is_gone_is_told_long_before_its_time() {
    const NAME: &str = "a_processor_that_is_gone_is_told_long_before_its_time";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let mut machine = kit::machine(&hypervisor, 1, &Assembler::new().out8(0x700, 1).spin());
    machine.add_ports(0x700..0x701, Arc::new(Mutex::new(Faulty))).unwrap();
    let begun = Instant::now();
    let ran = machine.run(&Start { entry: layout::PROGRAM, argument: 0 }, PLENTY);
    assert!(matches!(ran, Err(RunError::Gone)));
    assert!(begun.elapsed() < PLENTY / 2, "{:?}", begun.elapsed());
}

#[test]
fn all_processors_stop_when_one_has_ended_the_machine() {
    const NAME: &str = "all_processors_stop_when_one_has_ended_the_machine";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let counted = Arc::new(AtomicU64::new(0));
    let mut machine = kit::machine(&hypervisor, 4, &Assembler::new().out8(0x700, 1).say("one of four").reset());
    machine.add_ports(0x700..0x701, Arc::new(Mutex::new(Counter(counted.clone())))).unwrap();
    let memory = machine.memory().clone();
    let ran = kit::run(machine, PLENTY);
    assert_eq!((ran.ending, ran.log.bytes()), (Ending::Reset, b"one of four".to_vec()));
    assert_eq!(counted.load(Ordering::SeqCst), 1, "the others began without being woken");
    // The memory outlives what ran in it.
    assert_eq!(memory.read_obj::<u8>(GuestAddress(layout::PROGRAM)).unwrap(), 0xBA);
}

/// mov dx, 0x3F8; mov al, '2'; out dx, al
const SAY_TWO: [u8; 6] = [0xBA, 0xF8, 0x03, 0xB0, b'2', 0xEE];

#[test]
fn a_machine_has_halted_when_all_of_its_processors_have() {
    const NAME: &str = "a_machine_has_halted_when_all_of_its_processors_have";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = kit::machine(&hypervisor, 2, &Assembler::new().say("1").wake_the_second().stop());
    machine.load(Assembler::REAL_MODE, &[SAY_TWO.as_slice(), &[0xFA, 0xF4]].concat()).unwrap(); // cli; hlt
    let ran = kit::run(machine, PLENTY);
    assert_eq!((ran.ending, ran.log.bytes()), (Ending::Halted, b"12".to_vec()));
}

#[test]
fn a_machine_runs_on_when_one_of_its_processors_has_halted() {
    const NAME: &str = "a_machine_runs_on_when_one_of_its_processors_has_halted";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = kit::machine(&hypervisor, 2, &Assembler::new().say("1").wake_the_second().stop());
    machine.load(Assembler::REAL_MODE, &[SAY_TWO.as_slice(), &[0xEB, 0xFE]].concat()).unwrap(); // jmp $
    let ran = kit::run(machine, Duration::from_secs(5));
    assert_eq!((ran.ending, ran.log.bytes()), (Ending::TimedOut, b"12".to_vec()));
}

#[test]
fn a_thread_that_cannot_be_confined_meets_no_guest() {
    const NAME: &str = "a_thread_that_cannot_be_confined_meets_no_guest";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let machine = |program: Assembler| kit::machine(&hypervisor, 1, &program);
    let start = Start { entry: layout::PROGRAM, argument: 0 };
    let refuse = || Err(io::Error::other("no"));
    let counted = Arc::new(AtomicU64::new(0));
    let mut refused = machine(Assembler::new().out8(0x700, 1).reset());
    refused.add_ports(0x700..0x701, Arc::new(Mutex::new(Counter(counted.clone())))).unwrap();
    refused.confine_threads(refuse);
    let ended = refused.run(&start, PLENTY).and_then(Stopped::ended);
    assert!(matches!(ended, Err(RunError::Confine(_))), "{ended:?}");
    assert_eq!(counted.load(Ordering::SeqCst), 0);
    // Nor does a device's thread, and then nobody waits for what it would have told.
    let mut refused = machine(Assembler::new().spin());
    refused.add_virtio(Box::new(Vsock::new(3, None, Vec::new()).unwrap())).unwrap();
    refused.confine_threads(|| match std::thread::current().name() {
        Some("waker") => Err(io::Error::other("no")),
        _ => Ok(()),
    });
    let ended = refused.run(&start, PLENTY).and_then(Stopped::ended);
    assert!(matches!(ended, Err(RunError::Confine(_))), "{ended:?}");
}

#[test]
fn machines_run_beside_each_other_and_leave_no_thread() {
    const NAME: &str = "machines_run_beside_each_other_and_leave_no_thread";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let hypervisor = &hypervisor;
    std::thread::scope(|scope| {
        let runs = (0..4_u8).map(|number| {
            scope.spawn(move || {
                let program = Assembler::new().out8(layout::SERIAL.start, b'0' + number);
                let program = if number % 2 == 0 { program.reset() } else { program.spin() };
                kit::run(
                    kit::machine(hypervisor, 1, &program),
                    Duration::from_secs(if number % 2 == 0 { 60 } else { 1 }),
                )
            })
        });
        for (number, run) in runs.collect::<Vec<_>>().into_iter().enumerate() {
            let ran = run.join().unwrap();
            assert_eq!(ran.ending, if number % 2 == 0 { Ending::Reset } else { Ending::TimedOut });
            assert_eq!(ran.log.bytes(), [b'0' + number as u8]);
        }
    });
}

#[test]
fn a_machine_that_makes_no_sense_is_refused() {
    const NAME: &str = "a_machine_that_makes_no_sense_is_refused";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    for cpus in [0, 33, 255] {
        let refused = Machine::new(&hypervisor, Settings { memory: MemorySize::LEAST, cpus });
        assert!(matches!(refused.err(), Some(MachineError::Cpus(said)) if said == cpus));
    }
    let machine = kit::machine(&hypervisor, 1, &Assembler::new());
    for (address, length) in [((2 << 20) - 1, 2), (u64::MAX, 1), (layout::VIRTIO, 4)] {
        assert!(machine.load(address, &vec![0; length]).is_err(), "{length} bytes at {address:#x}");
    }
}
