//! Machines that are frozen, and clones of them that go on.

mod kit;

use firebox_vmm::{Bytes, GuestAddress, Memory};
use kit::counting::{self, COUNT, count};
use kit::frozen::Frozen;

#[test]
fn a_frozen_machine_and_its_clone_both_go_on_from_where_it_was() {
    const NAME: &str = "a_frozen_machine_and_its_clone_both_go_on_from_where_it_was";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let paused = counting::run_to(kit::machine(&hypervisor, 1, &counting::program()), 1_000);
    let frozen = Frozen::of(&hypervisor, &paused);
    let stood = count(paused.memory());
    let original = counting::go_on_for(paused, 500);
    let prepared = frozen.prepare(&hypervisor);
    assert_eq!(count(prepared.memory()), stood);
    // In it, register and memory are compared at each step.
    let clone = counting::go_for(prepared, 500);
    assert!(stood + 500 <= count(clone.memory()) && stood + 500 <= count(original.memory()));
}

#[test]
fn clones_see_neither_each_others_writes_nor_change_what_they_are_made_of() {
    const NAME: &str = "clones_see_neither_each_others_writes_nor_change_what_they_are_made_of";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let paused = counting::run_to(kit::machine(&hypervisor, 1, &counting::program()), 1_000);
    let frozen = Frozen::of(&hypervisor, &paused);
    let stood = count(paused.memory());
    let before = std::fs::read(frozen.memory_path()).unwrap();
    let [one, other] = [0, 1].map(|_| frozen.prepare(&hypervisor));
    one.memory().write_slice(b"a secret", GuestAddress(COUNT + 0x100)).unwrap();
    let one = counting::go_for(one, 1_000);
    assert_eq!(count(other.memory()), stood);
    let mut seen = [0; 8];
    other.memory().read_slice(&mut seen, GuestAddress(COUNT + 0x100)).unwrap();
    assert_eq!(seen, [0; 8]);
    let other = counting::go_for(other, 10);
    assert!(stood + 1_000 <= count(one.memory()) && stood + 10 <= count(other.memory()));
    assert!(std::fs::read(frozen.memory_path()).unwrap() == before, "the file has changed");
    frozen.snapshot().verify_memory(&frozen.memory()).unwrap();
}

#[test]
fn freezing_and_going_on_a_hundred_times_loses_nothing() {
    const NAME: &str = "freezing_and_going_on_a_hundred_times_loses_nothing";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let mut paused = counting::run_to(kit::machine(&hypervisor, 1, &counting::bookkeeper()), 1_000);
    for _ in 0..100 {
        let frozen = Frozen::of(&hypervisor, &paused);
        let stood = whole(paused.memory());
        assert!(counting::is_booked(paused.memory()));
        drop(paused);
        let prepared = frozen.prepare(&hypervisor);
        assert!(whole(prepared.memory()) == stood, "a byte is another one");
        // More than there are pages, so that each is written to after each restore.
        paused = counting::go_for(prepared, 100);
    }
    assert!(11_000 <= count(paused.memory()) && counting::is_booked(paused.memory()));
}

fn whole(memory: &Memory) -> Vec<u8> {
    let mut bytes = vec![0; 2 << 20];
    memory.read_slice(&mut bytes, GuestAddress(0)).unwrap();
    bytes
}
