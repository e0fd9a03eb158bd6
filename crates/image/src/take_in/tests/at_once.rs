//! Layers travel several at once, and as many as is wanted.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::*;

/// A source that answers a question about a layer when as many are asked at once as it waits for, or time is up.
struct Meeting {
    shelf: Shelf,
    waits_for: usize,
    within: Duration,
    counts: Mutex<Counts>,
    came: Condvar,
}

#[derive(Default)]
struct Counts {
    now: usize,
    most: usize,
}

/// A layer on its way.
struct Inside<'a> {
    meeting: &'a Meeting,
    layer: Box<dyn Read + Send + 'a>,
}

impl Source for Meeting {
    fn root(&self, most: u64) -> Result<Vec<u8>, SourceError> {
        self.shelf.root(most)
    }

    fn document(&self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, SourceError> {
        self.shelf.document(descriptor, most)
    }

    fn blob(&self, descriptor: &Descriptor, from: u64) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        let layer = self.shelf.blob(descriptor, from)?;
        // The configuration comes first, and alone.
        if self.shelf.asked.load(Ordering::Relaxed) == 1 {
            return Ok(layer);
        }
        let mut counts = self.counts.lock().unwrap();
        counts.now += 1;
        counts.most = counts.most.max(counts.now);
        self.came.notify_all();
        let is_lonely = |counts: &mut Counts| counts.most < self.waits_for;
        drop(self.came.wait_timeout_while(counts, self.within, is_lonely).unwrap());
        Ok(Box::new(Inside { meeting: self, layer }))
    }
}

impl Read for Inside<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.layer.read(buffer)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.meeting.counts.lock().unwrap().now -= 1;
    }
}

/// How many layers were on their way at once, where it waited for so many to meet.
fn most_at_once(parallel: usize, waits_for: usize, within: Duration) -> usize {
    let layers: Vec<_> = (0..6).map(|number| Maker::default().file("x", &[number]).end()).collect();
    let (counts, came) = (Mutex::default(), Condvar::new());
    let meeting = Meeting { shelf: Shelf::of(&layers), waits_for, within, counts, came };
    let bench = Bench::new();
    let platform = Platform::of_this_host();
    let name = "x".parse().unwrap();
    let request = Request { name, from: "test".into(), platform, size: 64 << 20, parallel };
    take_in(&bench.store, &meeting, &request, &|_| ()).unwrap();
    meeting.counts.into_inner().unwrap().most
}

#[test]
fn as_many_layers_travel_at_once_as_is_wanted_and_no_more() {
    for parallel in [2, 4] {
        let met = most_at_once(parallel, parallel, Duration::from_secs(60));
        assert_eq!(met, parallel, "of {parallel}");
    }
    for parallel in [1, 3] {
        assert_eq!(most_at_once(parallel, parallel + 1, Duration::from_millis(50)), parallel, "of {parallel}");
    }
}
