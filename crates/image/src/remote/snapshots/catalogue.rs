//! Which snapshots a bucket has.

use futures_util::StreamExt;

use crate::remote::Bucket;
use crate::remote::bucket::Question;
use crate::remote::error::is_missing;
use crate::remote::snapshots::{TravelError, named};
use crate::snapshot::{SnapshotName, SnapshotRecord};

/// A name in a bucket, and what it stands for there.
#[derive(Debug)]
pub struct CataloguedSnapshot {
    /// The name.
    pub name: SnapshotName,
    /// By what the bucket says: the snapshot, and how many bytes of its memory are not zero; or why it is none.
    pub snapshot: Result<(SnapshotRecord, u64), TravelError>,
}

impl Bucket {
    /// The names of all snapshots. What is no possible name is none.
    pub fn names_of_all_snapshots(&self) -> Result<Vec<SnapshotName>, TravelError> {
        let names = self.handle().block_on(self.names_below(&self.names_of_snapshots(), "list the snapshots"));
        let mut names: Vec<SnapshotName> = names?;
        names.sort();
        Ok(names)
    }

    /// All snapshots, by name.
    pub fn snapshots(&self) -> Result<Vec<CataloguedSnapshot>, TravelError> {
        let questions = futures_util::stream::iter(self.names_of_all_snapshots()?).map(|name| async {
            let question = Question { objects: self.objects.clone(), object: self.place_of_snapshot(&name) };
            (name, question.document(named::MOST).await)
        });
        let answers: Vec<_> = self.handle().block_on(questions.buffered(self.parallel).collect());
        let mut snapshots = Vec::new();
        for (name, answer) in answers {
            match answer {
                Ok(bytes) => {
                    let snapshot = self.read_named(&name, &bytes).map(|named| (named.record, named.bytes));
                    snapshots.push(CataloguedSnapshot { name, snapshot });
                }
                // Removed a moment ago.
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(self.wrong(&format!("look for snapshot `{name}`"))(error).into()),
            }
        }
        Ok(snapshots)
    }
}
