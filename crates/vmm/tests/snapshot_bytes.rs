//! Bytes that are no snapshot, no longer one, or one that somebody has made up: each is refused with words that say why, and none is believed.

mod kit;

use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use firebox_vmm::virtio::Entropy;
use firebox_vmm::{
    Bytes, GuestAddress, Hypervisor, NoSnapshot, Nonsense, OtherMemory, OtherProcessor, Prepared, RestoreError,
    Snapshot, layout,
};
use kit::counting::{self, COUNT};
use kit::frozen::Frozen;
use kit::sealed::{self, DIGEST, LENGTH, STATE, seal};
use kit::virtio_guest::set_up;
use proptest::prelude::*;

/// Where what stands in a snapshot: its format, and for what kind of processor it is.
const VERSION: usize = 8;
const ARCHITECTURE: usize = 12;
/// In the state: size and digest of the memory, how many processors there are, and of the first what it was told of itself.
const MEMORY: usize = STATE;
const CPUS: usize = STATE + 40;
const TOLD: usize = STATE + 44;
const ENTRIES: usize = TOLD + 4;
const ENTRY: usize = 40;

/// A small machine with a device that works.
fn frozen() -> Option<&'static Frozen> {
    static FROZEN: OnceLock<Option<Frozen>> = OnceLock::new();
    let freeze = || {
        let hypervisor = kit::hypervisor("whatever needs a snapshot")?;
        let mut machine = kit::machine(&hypervisor, 1, &counting::after(set_up(layout::VIRTIO)));
        machine.add_virtio(Box::new(Entropy)).unwrap();
        Some(Frozen::of(&hypervisor, &counting::run_to(machine, 100)))
    };
    FROZEN.get_or_init(freeze).as_ref()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn set_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// The snapshot with something changed, and sealed again.
fn changed(frozen: &Frozen, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = frozen.bytes.clone();
    change(&mut bytes);
    seal(&mut bytes);
    bytes
}

fn refused(bytes: &[u8]) -> NoSnapshot {
    Snapshot::decode(bytes).err().expect("it was taken for a snapshot")
}

fn restore(hypervisor: &Hypervisor, frozen: &Frozen, bytes: &[u8]) -> Result<Prepared, RestoreError> {
    Snapshot::decode(bytes).unwrap().restore(hypervisor, frozen.memory(), vec![Box::new(Entropy)])
}

#[test]
fn what_is_written_is_read_as_it_was() {
    let Some(frozen) = frozen() else { return };
    assert!(frozen.snapshot().encode() == frozen.bytes);
    assert!(Snapshot::read_from(frozen.bytes.as_slice()).unwrap().encode() == frozen.bytes);
    assert!(frozen.bytes.len() < 32 << 10, "{} bytes", frozen.bytes.len());
}

#[test]
fn every_beginning_of_a_snapshot_is_refused() {
    let Some(Frozen { bytes, .. }) = frozen() else { return };
    for length in 0..bytes.len() {
        let refused = refused(&bytes[..length]);
        assert!(matches!(refused, NoSnapshot::CutOff { found, .. } if found == length), "{length}: {refused}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(refused(&longer), NoSnapshot::TooLong));
}

#[test]
fn every_flipped_bit_is_refused() {
    let Some(frozen) = frozen() else { return };
    let mut bytes = frozen.bytes.clone();
    for place in 0..bytes.len() * 8 {
        let flip = 1 << (place % 8);
        bytes[place / 8] ^= flip;
        let refused = refused(&bytes);
        let is_as_expected = match place / 8 {
            0..VERSION => matches!(refused, NoSnapshot::Other),
            VERSION..ARCHITECTURE => matches!(refused, NoSnapshot::Version { .. }),
            ARCHITECTURE..LENGTH => matches!(refused, NoSnapshot::Architecture),
            LENGTH..DIGEST => matches!(refused, NoSnapshot::CutOff { .. } | NoSnapshot::TooLong),
            _ => matches!(refused, NoSnapshot::Altered),
        };
        assert!(is_as_expected, "bit {place}: {refused}");
        bytes[place / 8] ^= flip;
    }
}

#[test]
fn other_versions_and_other_files_are_told_apart() {
    let Some(frozen) = frozen() else { return };
    let of_version = |version| refused(&changed(frozen, |bytes| set_u32(bytes, VERSION, version))).to_string();
    for version in [0, 1, 3, u32::MAX] {
        let expected =
            format!("the snapshot is of format {version}, and this Firebox reads format 2: make the snapshot again");
        assert_eq!(of_version(version), expected);
    }
    let other_processor = refused(&changed(frozen, |bytes| set_u32(bytes, ARCHITECTURE, 183)));
    assert!(matches!(other_processor, NoSnapshot::Architecture));
    for other in [b"\x7FELF\x02\x01\x01".as_slice(), b"FBXVMSN ", &[0; 100]] {
        assert!(matches!(refused(other), NoSnapshot::Other), "{other:?}");
    }
    let much = vec![0; Snapshot::MOST_BYTES];
    assert!(matches!(refused(&[frozen.bytes.as_slice(), &much].concat()), NoSnapshot::TooLong));
    assert!(matches!(Snapshot::read_from(std::io::repeat(b'F')), Err(NoSnapshot::Other)));
}

#[test]
fn what_makes_no_sense_is_refused_though_it_is_sealed() {
    let Some(frozen) = frozen() else { return };
    let nonsense = |change: &dyn Fn(&mut Vec<u8>)| match refused(&changed(frozen, change)) {
        NoSnapshot::Nonsense(nonsense) => nonsense,
        other => panic!("{other}"),
    };
    assert_eq!(nonsense(&|bytes| set_u32(bytes, MEMORY, 1)), Nonsense::Impossible("size of memory"));
    assert_eq!(
        nonsense(&|bytes| set_u32(bytes, CPUS, 33)),
        Nonsense::TooMany { what: "processors", count: 33, most: 32 }
    );
    let many = nonsense(&|bytes| set_u32(bytes, TOLD, u32::MAX));
    assert_eq!(many, Nonsense::TooMany { what: "entries of CPUID", count: u32::MAX, most: 256 });
    // At its end: whether its guest is told of its generation.
    let generation = nonsense(&|bytes| *bytes.last_mut().unwrap() = 2);
    assert_eq!(generation, Nonsense::Impossible("word on whether its guest is told of its generation"));
    assert_eq!(nonsense(&|bytes| bytes.extend([0; 3])), Nonsense::Long(3));
    assert_eq!(nonsense(&|bytes| _ = bytes.pop()), Nonsense::Short);
}

/// Where the entry of a leaf of CPUID stands.
fn leaf(frozen: &Frozen, function: u32) -> usize {
    let count = u32_at(&frozen.bytes, TOLD) as usize;
    let mut places = (0..count).map(|number| ENTRIES + number * ENTRY);
    places.find(|at| (u32_at(&frozen.bytes, *at), u32_at(&frozen.bytes, *at + 4)) == (function, 0)).unwrap()
}

#[test]
fn a_feature_that_this_host_has_not_is_named() {
    const NAME: &str = "a_feature_that_this_host_has_not_is_named";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let Some(frozen) = frozen() else { return };
    restore(&hypervisor, frozen, &frozen.bytes).unwrap();
    let refused = |at: usize, value: u32| {
        let bytes = changed(frozen, |bytes| set_u32(bytes, at, value));
        restore(&hypervisor, frozen, &bytes).err().expect("it goes on")
    };
    // Tiles: no host of ours has them, since nobody has asked for them.
    let basic = leaf(frozen, 7);
    let edx = u32_at(&frozen.bytes, basic + 24);
    let lacks = refused(basic + 24, edx | 1 << 24);
    assert!(
        matches!(&lacks, RestoreError::OtherProcessor(OtherProcessor::Lacks(what)) if what == "`amx_tile`"),
        "{lacks}"
    );
    assert!(lacks.to_string().ends_with("make the snapshot again on this host"), "{lacks}");
    let maker = refused(leaf(frozen, 0) + 16, u32::from_le_bytes(*b"Fire"));
    assert!(matches!(maker, RestoreError::OtherProcessor(OtherProcessor::Maker { .. })), "{maker}");
    // The speed of the time counter, behind the last entry. Where KVM can make up for it, it does.
    let speed = ENTRIES + u32_at(&frozen.bytes, TOLD) as usize * ENTRY;
    let faster = u32_at(&frozen.bytes, speed) / 2 * 3;
    let bytes = changed(frozen, |bytes| set_u32(bytes, speed, faster));
    match restore(&hypervisor, frozen, &bytes) {
        Ok(_) => {}
        Err(RestoreError::OtherProcessor(OtherProcessor::Speed { theirs, .. })) => assert_eq!(theirs, faster),
        Err(other) => panic!("{other}"),
    }
}

/// Virtual machines in virtual machines and counters are hidden from guests of ours. KVM would give them to one that is said to have been told of them.
#[test]
fn what_no_guest_of_ours_is_told_is_refused() {
    const NAME: &str = "what_no_guest_of_ours_is_told_is_refused";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let Some(frozen) = frozen() else { return };
    let told = |change: &dyn Fn(&mut Vec<u8>)| {
        let refused = restore(&hypervisor, frozen, &changed(frozen, change)).err().expect("it goes on");
        let RestoreError::OtherProcessor(other) = refused else { panic!("{refused}") };
        other
    };
    // Before the honest one, and in a place where nobody would look for it but KVM.
    let basic = leaf(frozen, 1);
    let beside = told(&|bytes| {
        let mut entry = bytes[basic..basic + ENTRY].to_vec();
        entry[4] = 1;
        entry[20] |= 1 << 5;
        bytes.splice(ENTRIES..ENTRIES, entry);
        let entries = u32_at(bytes, TOLD) + 1;
        set_u32(bytes, TOLD, entries);
    });
    assert_eq!(beside, OtherProcessor::Told(1));
    // Twice, the second time with more.
    let twice = told(&|bytes| {
        let entry = bytes[basic..basic + ENTRY].to_vec();
        bytes.splice(ENTRIES..ENTRIES, entry);
        let entries = u32_at(bytes, TOLD) + 1;
        set_u32(bytes, TOLD, entries);
    });
    assert_eq!(twice, OtherProcessor::Told(1));
    let number = told(&|bytes| bytes[basic + 19] ^= 1);
    assert_eq!(number, OtherProcessor::Told(1), "another processor's number");
    let model = told(&|bytes| bytes[basic + 12] ^= 1 << 4);
    assert!(matches!(model, OtherProcessor::Model { .. }), "{model}");
}

/// What a guest would be refused to write, whoever restores it could.
#[test]
fn a_register_that_kvm_does_not_list_for_guests_of_ours_is_refused_unless_there_is_nothing_in_it() {
    const NAME: &str = "a_register_that_kvm_does_not_list_for_guests_of_ours_is_refused_unless_there_is_nothing_in_it";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let Some(frozen) = frozen() else { return };
    let types = [0x2FF_u64.to_le_bytes(), 0x806_u64.to_le_bytes()].concat();
    let at = frozen.bytes.windows(types.len()).position(|bytes| bytes == types).expect("the types of memory are saved");
    for (index, data) in [(0x4000_0001, 1), (0x1234_5678, 1), (0x1234_5678, 0)] {
        let bytes = changed(frozen, |bytes| {
            set_u32(bytes, at, index);
            set_u32(bytes, at + 8, data);
        });
        match (restore(&hypervisor, frozen, &bytes), data) {
            (Ok(_), 0) => {}
            (Err(RestoreError::OtherProcessor(OtherProcessor::Register(refused))), 1) => assert_eq!(refused, index),
            (Ok(_), _) => panic!("{index:#x} is set"),
            (Err(other), _) => panic!("{other}"),
        }
    }
}

#[test]
fn a_memory_that_is_another_is_refused() {
    const NAME: &str = "a_memory_that_is_another_is_refused";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let Some(frozen) = frozen() else { return };
    let with = |file: File| frozen.snapshot().restore(&hypervisor, file, vec![Box::new(Entropy)]).err().unwrap();
    let short = tempfile::tempfile().unwrap();
    short.set_len((2 << 20) - 4096).unwrap();
    assert!(matches!(with(short), RestoreError::OtherMemory(OtherMemory::Length { .. })));
    assert!(matches!(with(File::open("/dev/zero").unwrap()), RestoreError::OtherMemory(OtherMemory::NotAFile)));
    let writable = OpenOptions::new().read(true).write(true).open(frozen.memory_path()).unwrap();
    assert!(matches!(with(writable), RestoreError::OtherMemory(OtherMemory::Writable)));
    let other = tempfile::tempfile().unwrap();
    other.set_len(2 << 20).unwrap();
    assert!(matches!(frozen.snapshot().verify_memory(&other), Err(OtherMemory::Contents)));
    frozen.snapshot().verify_memory(&frozen.memory()).unwrap();
}

/// Somebody says that a machine has a generation which has none: then its guest finds an identifier where it is for all, and all else as it was.
#[test]
fn a_generation_that_is_made_up_moves_nothing() {
    const NAME: &str = "a_generation_that_is_made_up_moves_nothing";
    const IDENTIFIER: Range<usize> = layout::GENERATION as usize..layout::GENERATION as usize + 16;
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    let Some(frozen) = frozen() else { return };
    let bytes = changed(frozen, |bytes| *bytes.last_mut().unwrap() = 1);
    let clone = counting::go_for(restore(&hypervisor, frozen, &bytes).unwrap(), 100);
    let mut after = vec![0; 2 << 20];
    clone.memory().read_slice(&mut after, GuestAddress(0)).unwrap();
    let before = fs::read(frozen.memory_path()).unwrap();
    let counter = COUNT as usize..COUNT as usize + 8;
    let others = (0..after.len()).filter(|at| before[*at] != after[*at] && !counter.contains(at));
    let others: Vec<usize> = others.collect();
    assert!(!others.is_empty() && others.iter().all(|at| IDENTIFIER.contains(at)), "{others:x?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Some of it is changed and sealed again: it is refused, or a machine is made of it, and nothing else happens.
    #[test]
    fn whatever_somebody_makes_up(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let Some(frozen) = frozen() else { return Ok(()) };
        let bytes = changed(frozen, |bytes| for (place, value) in changes {
            let place = STATE + place.index(bytes.len() - STATE);
            bytes[place] = value;
        });
        sealed::check(&bytes[STATE..]);
        if let Ok(snapshot) = Snapshot::decode(&bytes) {
            let hypervisor = Hypervisor::open().unwrap();
            _ = snapshot.restore(&hypervisor, frozen.memory(), vec![Box::new(Entropy)]);
        }
    }

    /// And the end of it, where our devices are: those changes are ours to refuse.
    #[test]
    fn whatever_somebody_makes_up_about_devices(changes in proptest::collection::vec((0..90_usize, any::<u8>()), 1..8)) {
        let Some(frozen) = frozen() else { return Ok(()) };
        let bytes = changed(frozen, |bytes| for (place, value) in changes {
            let place = bytes.len() - 1 - place;
            bytes[place] = value;
        });
        if let Ok(snapshot) = Snapshot::decode(&bytes) {
            let hypervisor = Hypervisor::open().unwrap();
            if let Ok(prepared) = snapshot.restore(&hypervisor, frozen.memory(), vec![Box::new(Entropy)]) {
                // And what was not refused runs, however badly.
                _ = prepared.go(std::time::Duration::from_millis(5)).unwrap();
            }
        }
    }

    #[test]
    fn whatever_bytes_there_are(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(Snapshot::decode(&bytes).is_err());
        sealed::check(&bytes);
    }
}

#[test]
fn what_a_fuzzer_begins_with_or_has_found_once() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/snapshot");
    let seeds = fs::read_dir(seeds).unwrap().map(|seed| fs::read(seed.unwrap().path()).unwrap());
    let snapshots = seeds.filter(|seed| sealed::check(seed)).count();
    assert!(2 <= snapshots, "{snapshots} of the seeds are snapshots");
}
