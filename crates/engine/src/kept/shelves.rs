//! Where builds stand: a shelf for each partition, and no more on all of them than there is room for.
//!
//! What has to make room is the build that was not used for longest, on the fullest shelf. So whoever keeps much puts out
//! their own, and not what others keep.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use firebox_job::ByteSize;

use super::KeptCounts;
use super::build::Build;
use super::key::Key;
use super::partition::Partition;

/// All shelves.
#[derive(Debug)]
pub(super) struct Shelves {
    most: u64,
    shelves: BTreeMap<Partition, Shelf>,
    /// Counts uses: the larger, the later.
    now: u64,
    counts: KeptCounts,
}

/// What one partition keeps.
#[derive(Debug, Default)]
struct Shelf {
    places: HashMap<Key, Place>,
    /// By their last use.
    order: BTreeMap<u64, Key>,
    bytes: u64,
}

#[derive(Debug)]
struct Place {
    build: Arc<Build>,
    last_use: u64,
}

impl Shelves {
    pub(super) fn new(most: ByteSize) -> Shelves {
        Shelves { most: most.as_u64(), shelves: BTreeMap::new(), now: 0, counts: KeptCounts::default() }
    }

    /// Whether a job was served. Counted by whoever looked at what was taken down.
    pub(super) fn count(&mut self, is_served: bool) {
        match is_served {
            true => self.counts.served += 1,
            false => self.counts.built += 1,
        }
    }

    pub(super) fn counts(&self) -> KeptCounts {
        let shelves = || self.shelves.values();
        let builds = shelves().map(|shelf| shelf.places.len() as u64).sum();
        KeptCounts { builds, bytes: shelves().map(|shelf| shelf.bytes).sum(), ..self.counts }
    }

    /// Whether there is a build of this key.
    pub(super) fn has(&self, partition: &Partition, key: Key) -> bool {
        self.shelves.get(partition).is_some_and(|shelf| shelf.places.contains_key(&key))
    }

    /// The build of this key, which has been used now.
    pub(super) fn take_down(&mut self, partition: &Partition, key: Key) -> Option<Arc<Build>> {
        let now = self.tick();
        let shelf = self.shelves.get_mut(partition)?;
        let place = shelf.places.get_mut(&key)?;
        shelf.order.remove(&place.last_use);
        shelf.order.insert(now, key);
        place.last_use = now;
        Some(Arc::clone(&place.build))
    }

    /// Takes a build away because it is not any more what it was. Not another that has taken its place meanwhile.
    pub(super) fn forget(&mut self, partition: &Partition, key: Key, spoilt: &Arc<Build>) {
        let Some(shelf) = self.shelves.get_mut(partition) else { return };
        if shelf.places.get(&key).is_some_and(|place| Arc::ptr_eq(&place.build, spoilt)) {
            shelf.remove(key);
            self.counts.spoilt += 1;
            self.clear_away(partition);
        }
    }

    /// Keeps a build, and makes room for it. One that is larger than all the room there is is not kept, and neither is a
    /// second of the same key: two jobs may have built it at the same time.
    pub(super) fn put_up(&mut self, partition: &Partition, key: Key, build: Build) {
        if self.most < build.bytes() || self.has(partition, key) {
            return;
        }
        let now = self.tick();
        let shelf = self.shelves.entry(partition.clone()).or_default();
        shelf.bytes += build.bytes();
        shelf.order.insert(now, key);
        shelf.places.insert(key, Place { build: Arc::new(build), last_use: now });
        while self.most < self.shelves.values().map(|shelf| shelf.bytes).sum() {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        let fullest = self.shelves.iter_mut().max_by_key(|(_, shelf)| shelf.bytes);
        let Some((partition, shelf)) = fullest else { return };
        let partition = partition.clone();
        if let Some(oldest) = shelf.order.first_key_value().map(|(_, key)| *key) {
            shelf.remove(oldest);
            self.counts.dropped += 1;
        }
        self.clear_away(&partition);
    }

    /// A shelf without builds is none: partitions come and go.
    fn clear_away(&mut self, partition: &Partition) {
        if self.shelves.get(partition).is_some_and(|shelf| shelf.places.is_empty()) {
            self.shelves.remove(partition);
        }
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

impl Shelf {
    fn remove(&mut self, key: Key) {
        if let Some(place) = self.places.remove(&key) {
            self.order.remove(&place.last_use);
            self.bytes -= place.build.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use firebox_job::SourcePath;

    use super::super::build::MadeFile;
    use super::*;

    /// Takes a kibibyte and so many bytes.
    fn build(bytes: usize) -> Build {
        let path = SourcePath::new("o").unwrap();
        Build::new(vec![MadeFile { path, content: vec![b'x'; bytes - 1], is_executable: true }], Vec::new())
    }

    fn shelves(kibibytes: u64) -> Shelves {
        Shelves::new(ByteSize::bytes(kibibytes * 1024))
    }

    fn ann() -> Partition {
        Partition::named("ann")
    }

    fn bob() -> Partition {
        Partition::named("bob")
    }

    /// Which of the first ten keys a partition has something under. Uses all of them.
    fn there(shelves: &mut Shelves, partition: &Partition) -> Vec<u8> {
        (0..10).filter(|number| shelves.take_down(partition, Key::numbered(*number)).is_some()).collect()
    }

    #[test]
    fn the_build_that_was_not_used_for_longest_makes_room() {
        let mut shelves = shelves(4);
        for number in 0..2 {
            shelves.put_up(&ann(), Key::numbered(number), build(1024));
        }
        assert!(shelves.take_down(&ann(), Key::numbered(0)).is_some());
        shelves.put_up(&ann(), Key::numbered(2), build(1024));
        assert_eq!(there(&mut shelves, &ann()), [0, 2]);
        assert_eq!(shelves.counts().dropped, 1);
    }

    #[test]
    fn there_is_never_more_than_there_is_room_for() {
        let mut shelves = shelves(10);
        for number in 0..=u8::MAX {
            let partition = Partition::named(&format!("{}", number % 7));
            shelves.put_up(&partition, Key::numbered(number), build(1 + usize::from(number) * 29 % 5000));
            let counts = shelves.counts();
            assert!(counts.bytes <= 10 * 1024, "{counts:?}");
            let (places, bytes) = shelves
                .shelves
                .values()
                .flat_map(|shelf| shelf.places.values())
                .fold((0, 0), |(places, bytes), place| (places + 1, bytes + place.build.bytes()));
            assert_eq!((counts.builds, counts.bytes), (places, bytes), "what is counted is what there is");
            assert!(shelves.shelves.values().all(|shelf| !shelf.places.is_empty()), "a shelf stands empty");
        }
    }

    #[test]
    fn what_is_larger_than_all_the_room_puts_nothing_out() {
        let mut shelves = shelves(3);
        shelves.put_up(&ann(), Key::numbered(0), build(10));
        shelves.put_up(&ann(), Key::numbered(1), build(2049));
        assert_eq!(there(&mut shelves, &ann()), [0]);
    }

    #[test]
    fn what_one_keeps_is_not_there_for_another() {
        let mut shelves = shelves(10);
        shelves.put_up(&ann(), Key::numbered(0), build(10));
        assert_eq!(there(&mut shelves, &bob()), [0; 0]);
        assert_eq!(there(&mut shelves, &ann()), [0]);
    }

    #[test]
    fn whoever_keeps_much_puts_out_their_own() {
        let mut shelves = shelves(8);
        shelves.put_up(&bob(), Key::numbered(0), build(1024));
        for number in 0..10 {
            shelves.put_up(&ann(), Key::numbered(number), build(1024));
        }
        assert_eq!(there(&mut shelves, &bob()), [0], "what was there first, and not used since");
        assert_eq!(there(&mut shelves, &ann()), [7, 8, 9]);
    }

    #[test]
    fn a_second_build_of_the_same_key_is_not_kept_beside_the_first() {
        let mut shelves = shelves(8);
        shelves.put_up(&ann(), Key::numbered(0), build(10));
        let first = shelves.take_down(&ann(), Key::numbered(0)).unwrap();
        shelves.put_up(&ann(), Key::numbered(0), build(20));
        assert!(Arc::ptr_eq(&first, &shelves.take_down(&ann(), Key::numbered(0)).unwrap()));
        assert_eq!(shelves.counts().builds, 1);
    }

    #[test]
    fn only_the_very_build_that_was_spoilt_is_forgotten() {
        let mut shelves = shelves(8);
        shelves.put_up(&ann(), Key::numbered(0), build(10));
        shelves.forget(&ann(), Key::numbered(0), &Arc::new(build(10)));
        assert_eq!(there(&mut shelves, &ann()), [0]);
        let there_is = shelves.take_down(&ann(), Key::numbered(0)).unwrap();
        shelves.forget(&ann(), Key::numbered(0), &there_is);
        assert_eq!(there(&mut shelves, &ann()), [0; 0]);
        assert_eq!((shelves.counts().spoilt, shelves.counts().bytes), (1, 0));
    }
}
