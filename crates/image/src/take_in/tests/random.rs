//! Layers that nobody would write, by chance: each image is either refused, or taken in as a whole and sound.

use super::{Bench, Shelf};
use crate::layer::tar::tests::Maker;

/// Numbers that are the same each time the test runs, so that what it finds can be found again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// Few names, so that entries meet.
    fn path(&mut self) -> String {
        let parts = 1 + self.below(3);
        let names = ["a", "b", "c", "d", "a", "b", "c", "d", ".", "..", "", ".wh.a", ".wh.b", ".wh..wh..opq"];
        // Most parts are ordinary, or nothing would be taken in.
        let of = if self.below(8) == 0 { names.len() } else { 4 };
        (0..parts).map(|_| self.one_of(&names[..of])).collect::<Vec<_>>().join("/")
    }

    fn layer(&mut self) -> Vec<u8> {
        let mut maker = Maker::default();
        for _ in 0..1 + self.below(10) {
            let path = self.path();
            let target = match self.below(4) {
                0 => "../../..".to_owned(),
                1 => format!("/{}", self.path()),
                _ => self.path(),
            };
            let whiteout = match path.rsplit_once('/') {
                Some((above, name)) => format!("{above}/.wh.{name}"),
                None => format!(".wh.{path}"),
            };
            maker = match self.below(8) {
                0 | 1 => maker.directory(&path),
                2 | 3 => maker.file(&path, &vec![7; self.below(9000)]),
                4 => maker.symlink(&path, &target),
                5 => maker.hard_link(&path, &target),
                6 => maker.file(&whiteout, b""),
                _ => maker.entry(b'6', path.as_bytes(), b"", 0o644, b""),
            };
        }
        maker.end()
    }
}

#[test]
fn whatever_layers_say_they_are_refused_or_make_a_sound_image() {
    let bench = Bench::new();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let (mut taken_in, mut refused) = (0, 0);
    for round in 0..400 {
        let layers: Vec<Vec<u8>> = (0..1 + chance.below(3)).map(|_| chance.layer()).collect();
        match bench.take_in("x", &Shelf::of(&layers)) {
            Ok(record) => {
                taken_in += 1;
                let disk = bench.store.filesystem_image(&"x".parse().unwrap()).unwrap().unwrap();
                assert_eq!(std::fs::metadata(disk.path()).unwrap().len() % 4096, 0);
                assert!(record.bytes <= 64 << 20, "round {round}");
            }
            Err(_) => refused += 1,
        }
        if round % 50 == 49 {
            bench.assert_sound();
        }
    }
    assert!(50 < taken_in && 50 < refused, "{taken_in} taken in, {refused} refused");
}
