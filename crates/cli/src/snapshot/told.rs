//! What went wrong with a snapshot, whose doing it was, and what to do about it.

use std::path::Path;

use anyhow::anyhow;
use firebox_image::{SnapshotName, StoreError, TravelError};

use crate::failure::Failure;
use crate::rootfs::{is_full_disk, printable_error, told_of_bucket};
use crate::snapshot::verify::Unsound;

/// The store's is the host's.
pub(super) fn told_of_store(error: StoreError) -> Failure {
    let is_full = is_full_disk(&error);
    Failure::host(printable_error(error)).with_help_if(is_full.then(|| MAKE_ROOM.to_owned()))
}

const MAKE_ROOM: &str = "`firebox snapshot remove` and `firebox rootfs gc` make room; `--home`, or FIREBOX_HOME, keeps snapshots on another disk";

/// One that is kept in this directory, and is not what was frozen.
pub(super) fn told_of_unsound(place: &Path, name: &SnapshotName, unsound: Unsound) -> Failure {
    let file = match unsound {
        Unsound::State(_) => "state",
        Unsound::Memory(_) => "memory",
    };
    let path = place.join(file);
    Failure::host(anyhow!("`{}`: {unsound}", path.display())).with_help(made_again(name))
}

/// What to do about one that is of no use.
pub(crate) fn made_again(name: &SnapshotName) -> String {
    let (language, mebibytes, vcpus) = (name.language(), name.mebibytes(), name.vcpus());
    format!("`firebox snapshot create --lang {language} --mem {mebibytes} --vcpus {vcpus}` makes it again")
}

/// One that did not get into a bucket.
pub(super) fn told_of_sending(error: TravelError, name: &SnapshotName) -> Failure {
    match error {
        // It is the one that is here.
        TravelError::Unsound { .. } => Failure::host(printable_error(error)).with_help(made_again(name)),
        error => told_of_fetching(error),
    }
}

/// One that did not get out of a bucket. What is wrong there, or with what was asked for, is the request's.
pub(super) fn told_of_fetching(error: TravelError) -> Failure {
    let help = match error {
        TravelError::Bucket(error) => return told_of_bucket(error),
        TravelError::Store(error) => return told_of_store(error),
        TravelError::NoSnapshot { .. } => "`firebox snapshot list --remote --bucket …` has all names".to_owned(),
        TravelError::Size { needed, .. } => {
            format!("`--size {}` allows it, if you know the snapshot", needed.div_ceil(1 << 20))
        }
        TravelError::NoRecord { .. }
        | TravelError::Lacks { .. }
        | TravelError::Damaged { .. }
        | TravelError::Unsound { .. } => {
            "`firebox snapshot upload --anew`, on a host that has the snapshot, sends all of it again".to_owned()
        }
    };
    Failure::request(printable_error(error)).with_help(help)
}
