//! Devices and the rules of their queues, driven without a guest and without KVM.

mod kit;

use std::fs::{self, File, OpenOptions};

use firebox_vmm::virtio::{Block, Entropy, NoDisk};
use firebox_vmm::{BusDevice, Bytes, GuestAddress};
use kit::driver::{BUFFER, Driver, NEEDS_RESET, NEXT, READY, STATUS, WRITE};
use tempfile::NamedTempFile;

const SECTOR: usize = 512;
/// The request itself, and where the answer goes.
const HEADER: u64 = BUFFER;
const ANSWER: u64 = BUFFER + 0x100;
const DATA: u64 = BUFFER + 0x1000;
const UNTOUCHED: u8 = 0xEE;

/// A disk whose sectors are full of their numbers.
fn disk(sectors: u8) -> (NamedTempFile, Block) {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), (0..sectors).flat_map(|number| [number; SECTOR]).collect::<Vec<u8>>()).unwrap();
    let block = Block::new(File::open(file.path()).unwrap()).unwrap();
    (file, block)
}

/// One request to a disk: its answer, and how many bytes it says were written.
fn ask(driver: &mut Driver, kind: u32, sector: u64, data: &[(u64, u32, u16)]) -> (u8, u32) {
    driver.put(HEADER, &[kind.to_le_bytes(), [0; 4]].concat());
    driver.put(HEADER + 8, &sector.to_le_bytes());
    driver.put(ANSWER, &[UNTOUCHED]);
    let request = [&[(HEADER, 16, 0)], data, &[(ANSWER, 1, WRITE)]].concat();
    driver.send(&request);
    let written = driver.collect().expect("nothing came back");
    (driver.fetch(ANSWER, 1)[0], written)
}

#[test]
fn a_disk_is_read_across_spans() {
    let (_file, block) = disk(8);
    let mut driver = Driver::ready(block);
    let spans = [(DATA, 100, WRITE), (DATA + 0x1000, 924, WRITE)];
    assert_eq!(ask(&mut driver, 0, 3, &spans), (0, 1025));
    assert_eq!(driver.fetch(DATA, 100), [3; 100]);
    assert_eq!(driver.fetch(DATA + 0x1000, 924), [[3; 412].as_slice(), [4; 512].as_slice()].concat());
    assert_eq!((driver.bell.rung(), driver.get(0x60)), (1, 1));
    driver.set(0x64, 1);
    assert_eq!(driver.get(0x60), 0);
}

#[test]
fn what_a_disk_has_not_is_not_read() {
    let (_file, block) = disk(8);
    let mut driver = Driver::ready(block);
    for (sector, length) in
        [(8, 512), (7, 1024), (u64::MAX, 512), (1 << 55, 512), (0, 511), (0, 513), (0, (2 << 20) + 512)]
    {
        // The longest is made of spans that overlap: a guest can announce more than it has.
        let spans = vec![(DATA, length.min(1 << 20), WRITE); (length as usize).div_ceil(1 << 20)];
        driver.put(DATA, &[UNTOUCHED; 512]);
        let (answer, _) = ask(&mut driver, 0, sector, &spans);
        assert_eq!(answer, 1, "{length} bytes at sector {sector}");
        assert_eq!(driver.fetch(DATA, 512), [UNTOUCHED; 512], "{length} bytes at sector {sector}");
    }
    assert_eq!(driver.get(STATUS), READY);
}

#[test]
fn nothing_a_guest_asks_for_changes_a_disk() {
    let (file, block) = disk(4);
    let before = fs::read(file.path()).unwrap();
    let mut driver = Driver::ready(block);
    // Every kind of request there could be, with data to read and with room to write.
    for kind in (0..32).chain([u32::MAX, 0x8000_0000]) {
        driver.put(DATA, &[UNTOUCHED; SECTOR]);
        let (answer, _) = ask(&mut driver, kind, 1, &[(DATA, SECTOR as u32, 0)]);
        match kind {
            0 => assert_eq!(answer, 0, "reading nothing"),
            1 | 8 => assert_eq!(answer, 1, "writing, and an identity that has no room"),
            _ => assert_eq!(answer, 2, "kind {kind}"),
        }
    }
    assert_eq!(fs::read(file.path()).unwrap(), before);
}

#[test]
fn a_file_that_could_be_written_to_is_no_disk() {
    let (file, _block) = disk(1);
    for mut options in [OpenOptions::new().write(true).clone(), OpenOptions::new().append(true).clone()] {
        for readable in [true, false] {
            let opened = options.read(readable).open(file.path()).unwrap();
            assert!(matches!(Block::new(opened), Err(NoDisk::Writable)));
        }
    }
    assert!(matches!(Block::new(File::open("/").unwrap()), Err(NoDisk::NotAFile)));
    assert!(matches!(Block::new(File::open("/dev/null").unwrap()), Err(NoDisk::NotAFile)));
    fs::write(file.path(), [0; SECTOR + 1]).unwrap();
    assert!(matches!(Block::new(File::open(file.path()).unwrap()), Err(NoDisk::Size(513))));
}

#[test]
fn a_disk_that_became_shorter_gives_errors() {
    let (file, block) = disk(8);
    let mut driver = Driver::ready(block);
    file.as_file().set_len(SECTOR as u64).unwrap();
    assert_eq!(ask(&mut driver, 0, 0, &[(DATA, 512, WRITE)]), (0, 513));
    assert_eq!(ask(&mut driver, 0, 1, &[(DATA, 512, WRITE)]).0, 1);
}

#[test]
fn a_disk_says_what_it_is() {
    let (_file, block) = disk(9);
    let mut driver = Driver::ready(block);
    assert_eq!((driver.get(0), driver.get(4), driver.get(8)), (0x7472_6976, 2, 2));
    assert_eq!((driver.get(0x100), driver.get(0x104), driver.get(0x114)), (9, 0, 4096));
    let mut byte = [0];
    driver.transport.read(0x100, &mut byte);
    // What it is told is the longest request is one that is answered.
    assert!(u64::from(driver.get(0x108)) * u64::from(driver.get(0x10C)) <= 2 << 20);
    assert_eq!((byte, driver.get(0x118), driver.get(0xFFC)), ([9], 0, 0));
    assert_eq!(ask(&mut driver, 8, 0, &[(DATA, 20, WRITE)]), (0, 21));
    assert_eq!(driver.fetch(DATA, 8), b"firebox\0");
}

#[test]
fn entropy_fills_what_it_is_given_up_to_a_page() {
    let mut driver = Driver::ready(Entropy);
    driver.send(&[(DATA, 32, WRITE), (DATA + 64, 8000, WRITE)]);
    assert_eq!(driver.collect(), Some(4096));
    let bytes = driver.fetch(DATA, 64 + 8000);
    assert_ne!(bytes[..32], [0; 32]);
    assert_eq!((&bytes[32..64], &bytes[64 + 4064..]), ([0; 32].as_slice(), vec![0; 3936].as_slice()));
    driver.send(&[(DATA, 32, 0)]);
    assert_eq!(driver.collect(), Some(0));
}

#[test]
fn features_that_were_not_offered_are_not_agreed_on() {
    const VERSION_1: u64 = 1 << 32;
    const READ_ONLY: u64 = 1 << 5;
    for (features, is_agreed) in [
        (VERSION_1, true),
        (VERSION_1 | READ_ONLY, true),
        (READ_ONLY, false),
        (0, false),
        (VERSION_1 | 1 << 28, false),
        (VERSION_1 | 1 << 34, false),
        (u64::MAX, false),
    ] {
        let mut driver = Driver::new(disk(1).1);
        driver.agree_on(features);
        assert_eq!(driver.get(STATUS), if is_agreed { 0xB } else { 3 }, "{features:#x}");
    }
}

#[test]
fn nothing_can_be_set_up_once_the_driver_is_ready() {
    let (_file, block) = disk(8);
    let mut driver = Driver::ready(block);
    driver.agree_on_nothing_and_move_the_queue();
    assert_eq!(driver.get(0x44), 1, "the queue was taken down");
    // It is still where it was, and as long.
    assert_eq!(ask(&mut driver, 0, 5, &[(DATA, 512, WRITE)]), (0, 513));
    for _ in 0..40 {
        assert_eq!(ask(&mut driver, 0, 6, &[(DATA, 512, WRITE)]), (0, 513));
    }
}

impl Driver {
    /// All that a driver may do before, done too late.
    fn agree_on_nothing_and_move_the_queue(&mut self) {
        for (register, value) in [
            (0x24, 0),
            (0x20, u32::MAX),
            (0x30, 0),
            (0x44, 0),
            (0x38, 2),
            (0x80, 0x10_0000),
            (0x84, 1),
            (0x90, 0x10_0000),
            (0x94, 1),
            (0xA0, 0x10_0000),
            (0xA4, 1),
            (0x44, 1),
            (STATUS, 3),
            (STATUS, 0xB),
            (STATUS, 0x1F),
        ] {
            self.set(register, value);
        }
    }
}

#[test]
fn a_queue_outside_of_memory_takes_the_device_away() {
    const IN: u64 = 0x1_0000;
    const END: u64 = 2 << 20;
    for (table, available, used) in [
        (END - 16, IN, IN + 0x1000),
        (IN, END - 2, IN + 0x1000),
        (IN, IN + 0x1000, END - 4),
        (u64::MAX - 15, IN, IN + 0x1000),
        (IN, u64::MAX - 1, IN + 0x1000),
        (IN, IN + 0x1000, 1 << 40),
    ] {
        let mut driver = Driver::new(Entropy);
        driver.agree_on(1 << 32);
        driver.set_queue(table, available, used);
        driver.set(STATUS, READY);
        assert_eq!(driver.get(STATUS), 0xB | NEEDS_RESET, "{table:#x}, {available:#x}, {used:#x}");
        driver.set(0x50, 0);
        driver.set(STATUS, READY);
        assert_eq!(driver.get(STATUS), 0xB | NEEDS_RESET);
    }
}

/// The driver does something, and has the device no longer, until it begins anew.
fn breaks(what: &str, with: impl FnOnce(&mut Driver)) {
    let (_file, block) = disk(8);
    let mut driver = Driver::ready(block);
    driver.put(HEADER, &[0; 16]);
    with(&mut driver);
    assert_eq!(driver.get(STATUS), READY | NEEDS_RESET, "{what}");
    assert_eq!((driver.collect(), driver.get(0x60)), (None, 2), "{what}");
    assert_eq!(driver.bell.rung(), 1, "{what}");
    driver.set_up();
    assert_eq!(ask(&mut driver, 0, 0, &[(DATA, 512, WRITE)]), (0, 513), "{what}: a reset does not bring it back");
}

#[test]
fn whoever_breaks_the_rules_of_a_queue_loses_the_device_until_a_reset() {
    breaks("a chain that leads to itself", |driver| {
        driver.descriptor(0, (HEADER, 16, NEXT, 0));
        driver.announce(0);
    });
    breaks("a chain that leads out of the table", |driver| {
        driver.descriptor(0, (HEADER, 16, NEXT, 999));
        driver.announce(0);
    });
    // Both have all that a request needs before that.
    for next in [1, 999] {
        breaks("a chain without an end after a whole request", |driver| {
            driver.descriptor(0, (HEADER, 16, NEXT, 1));
            driver.descriptor(1, (ANSWER, 1, NEXT | WRITE, next));
            driver.announce(0);
        });
    }
    breaks("a chain that begins outside of the table", |driver| driver.announce(999));
    breaks("a chain of four billion bytes and more", |driver| {
        driver.send(&vec![(0, 2 << 20, WRITE); 15]);
        driver.descriptor(0, (0, u32::MAX, NEXT, 1));
        driver.announce(0);
    });
    breaks("a chain out of memory", |driver| driver.send(&[(HEADER, 16, 0), (2 << 20, 1, WRITE)]));
    breaks("a chain around the end of all addresses", |driver| {
        driver.send(&[(u64::MAX - 7, 16, 0), (ANSWER, 1, WRITE)])
    });
    breaks("what is to be written before what is to be read", |driver| {
        driver.send(&[(ANSWER, 1, WRITE), (HEADER, 16, 0)]);
    });
    breaks("a request that is too short", |driver| driver.send(&[(HEADER, 15, 0), (ANSWER, 1, WRITE)]));
    breaks("a request without room for the answer", |driver| driver.send(&[(HEADER, 16, 0), (DATA, 0, WRITE)]));
    breaks("more requests than there is room for", |driver| {
        driver.put(kit::driver::AVAILABLE + 2, &17_u16.to_le_bytes());
        driver.set(0x50, 0);
    });
}

#[test]
fn a_table_in_a_table_in_a_table_is_not_followed() {
    const INDIRECT: u16 = 4;
    breaks("a table that holds itself", |driver| {
        driver.descriptor(0, (kit::driver::TABLE, 16, INDIRECT, 0));
        driver.announce(0);
    });
    breaks("a table of 65,535 descriptors without an end", |driver| {
        for place in 0..0x8000_u64 {
            let entry = [DATA.to_le_bytes(), [1, 0, 0, 0, 1, 0, 1, 0]].concat();
            driver.memory.write_slice(&entry, GuestAddress(0x10_0000 + place * 16)).unwrap();
        }
        driver.descriptor(0, (0x10_0000, 0x8000 * 16, INDIRECT, 0));
        driver.announce(0);
    });
}

#[test]
fn registers_that_are_not_words_are_not_there() {
    let mut driver = Driver::new(Entropy);
    for (offset, width) in [(0, 1), (0, 2), (0, 8), (0x70, 1), (2, 2)] {
        let mut bytes = [UNTOUCHED; 8];
        driver.transport.read(offset, &mut bytes[..width]);
        assert_eq!(bytes[..width], [0; 8][..width], "{width} bytes at {offset:#x}");
        assert!(driver.transport.write(offset, &[1; 8][..width]).is_continue());
    }
    assert_eq!(driver.get(STATUS), 0);
}
