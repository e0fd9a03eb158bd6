//! What builds have made, kept for the next job with the same code.
//!
//! A build is a function: of the code, the toolchain, the steps' arguments and environment, and what building may use. All
//! of it goes into a [`key::Key`], and what a successful build made of it is kept under that key. A job that has the same
//! key gets the same files put into its cell, hears the same warnings, and goes right to its run. What a run does is never
//! kept: programs run every time.
//!
//! ```text
//! partition   whose jobs share with each other, and with nobody else
//! key         everything that a build depends on, as one number
//! encoder     how things become bytes that nothing else becomes
//! build       what a build made and said, with a checksum
//! shelves     where builds stand, for each partition: bounded, least recently used out
//! fetching    files out of a cell and into one
//! keeping     one job's way to the store and back
//! ```
//!
//! Written only here, from what the host itself fetched between the end of a successful build and the start of the run;
//! nothing in a cell can write to it or look into it. The agent that hands a file out is hostile: whatever it hands out
//! instead goes under the key of the very job that made it so, and reaches nobody who does not run the same code.

mod build;
mod encoder;
mod fetching;
mod keeping;
mod key;
mod partition;
mod shelves;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firebox_job::ByteSize;

use build::Build;
pub(crate) use keeping::{Admitted, Keeping, Served};
use key::Key;
pub(crate) use key::mark_of;
pub use partition::Partition;
use shelves::Shelves;

/// What builds have made, for an engine to keep. Lives in memory, and as long as its engine.
#[derive(Debug)]
pub struct Kept {
    shelves: Mutex<Shelves>,
}

/// What has come of keeping so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptCounts {
    /// Jobs that were served.
    pub served: u64,
    /// Jobs that were not, and were built.
    pub built: u64,
    /// Builds that went out again to make room.
    pub dropped: u64,
    /// Builds that were not any more what had been kept, and were forgotten.
    pub spoilt: u64,
    /// Builds that are kept now.
    pub builds: u64,
    /// And the room that they take.
    pub bytes: u64,
}

impl Kept {
    /// Keeps no more than so much, of the toolchains that [are held](crate::Installed::take_hold).
    pub fn new(most: ByteSize) -> Kept {
        Kept { shelves: Mutex::new(Shelves::new(most)) }
    }

    /// What has come of it so far.
    pub fn counts(&self) -> KeptCounts {
        self.shelves().counts()
    }

    /// The build of this key, if it is there and still what it was.
    fn find(&self, partition: &Partition, key: Key) -> Option<Arc<Build>> {
        let found = self.shelves().take_down(partition, key);
        // Not while others wait.
        let found = found.filter(|build| {
            let is_sound = build.is_sound();
            if !is_sound {
                self.shelves().forget(partition, key, build);
            }
            is_sound
        });
        self.shelves().count(found.is_some());
        found
    }

    /// Whether there is one. Nothing is counted, and it does not become used by that.
    fn has(&self, partition: &Partition, key: Key) -> bool {
        self.shelves().has(partition, key)
    }

    fn put(&self, partition: &Partition, key: Key, build: Build) {
        self.shelves().put_up(partition, key, build);
    }

    /// Nothing of ours is left half done by a panic: each change of the shelves is whole.
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use firebox_job::SourcePath;

    use super::build::MadeFile;
    use super::*;

    fn build() -> Build {
        let path = SourcePath::new("runbin").unwrap();
        Build::new(vec![MadeFile { path, content: b"a program".to_vec(), is_executable: true }], Vec::new())
    }

    #[test]
    fn a_build_that_is_not_what_was_kept_is_noticed_forgotten_and_counted() {
        let kept = Kept::new(ByteSize::mib(1));
        let (partition, key) = (Partition::named("ann"), Key::numbered(0));
        let mut spoilt = build();
        spoilt.spoil();
        kept.put(&partition, key, spoilt);
        assert!(kept.find(&partition, key).is_none(), "a spoilt build is served");
        let after = kept.counts();
        assert_eq!((after.spoilt, after.builds, after.built, after.served), (1, 0, 1, 0));

        kept.put(&partition, key, build());
        assert!(kept.find(&partition, key).is_some(), "it is built anew, and kept");
        assert_eq!(kept.counts().served, 1);
    }
}
