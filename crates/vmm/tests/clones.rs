//! What clones cost: time until their guests run, memory, descriptors.

#![expect(clippy::print_stdout, reason = "what was measured is told")]

mod kit;

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use firebox_vmm::virtio::{Broken, Device, Queues};
use firebox_vmm::{Hypervisor, Machine, MemorySize, Prepared, Settings, layout};
use kit::PLENTY;
use kit::counting::{self, count};
use kit::frozen::Frozen;
use kit::process::{alone, descriptors, private_kib};
use kit::virtio_guest::set_up;

/// Says when its guest writes to it.
struct Stopwatch(Sender<Instant>);

/// The queue that a guest notifies. The first is served whenever a machine goes on.
const SECOND: usize = 1;

impl Device for Stopwatch {
    fn kind(&self) -> u32 {
        99
    }

    fn queues(&self) -> &'static [u16] {
        &[8, 8]
    }

    fn serve(&mut self, queue: usize, _queues: &mut Queues<'_>) -> Result<(), Broken> {
        if queue == SECOND {
            // Who has the first time has no use for others.
            _ = self.0.send(Instant::now());
        }
        Ok(())
    }
}

#[test]
fn from_the_word_to_go_to_what_a_guest_does_first_it_takes_less_than_a_millisecond() {
    const NAME: &str = "from_the_word_to_go_to_what_a_guest_does_first_it_takes_less_than_a_millisecond";
    const CLONES: usize = 60;
    let _alone = alone();
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let (told, hear) = channel();
    // It says so for ever, and so does a clone from its first instruction on, or the next.
    let program = set_up(layout::VIRTIO);
    let again = program.label();
    let mut machine = kit::machine(&hypervisor, 1, &program.store32(layout::VIRTIO + 0x50, 1).jump_back(again));
    machine.add_virtio(Box::new(Stopwatch(told))).unwrap();
    let paused = counting::run_until(machine, move |_| hear.recv_timeout(PLENTY).is_ok());
    let frozen = Frozen::of(&hypervisor, &paused);
    let mut took: Vec<(Duration, Duration)> = (0..CLONES).map(|_| time_one(&hypervisor, &frozen)).collect();
    took.sort_by_key(|(_, to_go)| *to_go);
    let (median, last) = (took[CLONES / 2].1, took[CLONES - 1].1);
    took.sort();
    println!(
        "from the word to go to a guest's first effect: {median:?} at the median, {last:?} at most; to prepare it: {:?}",
        took[CLONES / 2].0
    );
    // Where all is slow, as in the lab, it may take as many times a thread as it does elsewhere.
    let most = Duration::from_millis(1).max(20 * time_of_a_thread());
    assert!(median < most, "{median:?}, where {most:?} would do");
}

/// How long it takes to make a thread and to see it end.
fn time_of_a_thread() -> Duration {
    const THREADS: usize = 101;
    let mut took: Vec<Duration> = (0..THREADS)
        .map(|_| {
            let begun = Instant::now();
            std::thread::spawn(|| {}).join().unwrap();
            begun.elapsed()
        })
        .collect();
    took.sort();
    took[THREADS / 2]
}

/// How long it takes to prepare a clone, and from then to its first effect.
fn time_one(hypervisor: &Hypervisor, frozen: &Frozen) -> (Duration, Duration) {
    let (told, hear) = channel();
    let begun = Instant::now();
    let prepared = frozen.prepare_with(hypervisor, vec![Box::new(Stopwatch(told))]);
    let prepare = begun.elapsed();
    let pauser = prepared.pauser();
    std::thread::scope(|scope| {
        let first = scope.spawn(move || {
            let first = hear.recv_timeout(PLENTY).unwrap();
            pauser.pause();
            first
        });
        let begun = Instant::now();
        _ = counting::paused(prepared.go(PLENTY).unwrap());
        (prepare, first.join().unwrap().duration_since(begun))
    })
}

/// A machine with 64 MiB, of which a quarter is full of what is not zero.
fn large(hypervisor: &Hypervisor) -> Frozen {
    let settings = Settings { memory: MemorySize::mib(64).unwrap(), cpus: 1 };
    let machine = Machine::new(hypervisor, settings).unwrap();
    machine.load(layout::PROGRAM, counting::program().code()).unwrap();
    machine.load(16 << 20, &vec![0xA5; 16 << 20]).unwrap();
    Frozen::of(hypervisor, &counting::run_to(machine, 100))
}

#[test]
fn a_clone_has_little_memory_of_its_own_before_it_runs_and_when_it_has_run_a_little() {
    const NAME: &str = "a_clone_has_little_memory_of_its_own_before_it_runs_and_when_it_has_run_a_little";
    const CLONES: u64 = 16;
    /// Of 5 MiB that are promised: less than one huge page that somebody has copied.
    const MOST_KIB: u64 = 512;
    let _alone = alone();
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let frozen = large(&hypervisor);
    let before = private_kib();
    let prepared: Vec<Prepared> = (0..CLONES).map(|_| frozen.prepare(&hypervisor)).collect();
    let idle = private_kib().saturating_sub(before) / CLONES;
    let paused: Vec<_> = prepared.into_iter().map(|prepared| counting::go_for(prepared, 100)).collect();
    let used = private_kib().saturating_sub(before) / CLONES;
    println!("of its own, a clone has {idle} KiB before it runs, and {used} KiB after a little");
    assert!(idle < MOST_KIB && used < MOST_KIB, "{idle} and {used} KiB");
    assert_eq!(paused.len() as u64, CLONES);
}

#[test]
fn a_thousand_clones_one_after_the_other_leave_nothing() {
    const NAME: &str = "a_thousand_clones_one_after_the_other_leave_nothing";
    const MOST_GROWN_KIB: u64 = 256;
    const HUGE_PAGE_KIB: u64 = 2 << 10;
    /// In each of two halves. Where all is slow, as in the lab, it is as many as there are in that time, and fifty at least.
    const ENOUGH: Duration = Duration::from_secs(10);
    let _alone = alone();
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let frozen = Frozen::of(&hypervisor, &counting::run_to(kit::machine(&hypervisor, 1, &counting::program()), 100));
    let stood = count(frozen.prepare(&hypervisor).memory());
    let clone = || {
        let paused = counting::go_for(frozen.prepare(&hypervisor), 1);
        assert!(stood < count(paused.memory()));
    };
    (0..50).for_each(|_| clone());
    let half = || {
        let (before, begun) = ((descriptors(), private_kib()), Instant::now());
        let more = (0..475).take_while(|made| *made < 50 || begun.elapsed() < ENOUGH).map(|_| clone()).count();
        let after = (descriptors(), private_kib());
        println!("descriptors and KiB before {more} clones: {before:?}, and after them: {after:?}");
        assert_eq!(before.0, after.0, "descriptors are left");
        after.1.saturating_sub(before.1)
    };
    // What is left of each clone is left in both halves. The kernel may put a huge page in the place of small ones, which it does once.
    let grown = [half(), half()];
    assert!(grown.iter().any(|grown| *grown < MOST_GROWN_KIB), "it has grown by {grown:?} KiB");
    assert!(grown.iter().all(|grown| *grown < HUGE_PAGE_KIB + MOST_GROWN_KIB), "it has grown by {grown:?} KiB");
}
