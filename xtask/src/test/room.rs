//! The disk that building and testing take, and whether it is there: a build that finds out in the middle says so a hundred times.

use std::path::Path;

use anyhow::{Context, Result};

use super::step::{Ended, Finding};
use crate::repository::Repository;

/// What the target directory of a fresh checkout holds when everything is built and tested, and a little more.
const TAKEN: u64 = 12 << 30;

pub(super) fn check(repository: &Repository) -> Result<Finding> {
    let target = repository.metadata()?.target_directory;
    std::fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    let disk =
        rustix::fs::statvfs(&target).with_context(|| format!("cannot ask for the disk of {}", target.display()))?;
    Ok(Finding::from(ended(&target, disk.f_bavail * disk.f_frsize, held(&target))))
}

/// What was built before does not have to find room again.
fn ended(target: &Path, free: u64, held: u64) -> Ended {
    if TAKEN <= free + held {
        return Ended::Passed;
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Ended::Failed(format!(
        "{} has {:.1} GiB left, and building and testing take {:.0} more; make room, or set CARGO_TARGET_DIR to where there is some",
        target.display(),
        gib(free),
        gib(TAKEN - held.min(TAKEN)).ceil(),
    ))
}

/// What another build removes meanwhile does not count.
fn held(folder: &Path) -> u64 {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        Some(if about.is_dir() { held(&entry.path()) } else { about.len() })
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_and_what_is_built_already_is_enough_together() {
        let target = Path::new("target");
        assert_eq!(ended(target, TAKEN, 0), Ended::Passed);
        assert_eq!(ended(target, TAKEN / 2, TAKEN / 2), Ended::Passed);
        assert_eq!(ended(target, 0, TAKEN), Ended::Passed);
        let Ended::Failed(why) = ended(target, (1 << 30) / 2, TAKEN / 2) else { panic!("passed") };
        assert!(why.contains("0.5 GiB left") && why.contains("6 more") && why.contains("CARGO_TARGET_DIR"), "{why}");
    }

    #[test]
    fn everything_below_a_folder_counts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/c"), [0; 1000]).unwrap();
        std::fs::write(folder.path().join("d"), [0; 24]).unwrap();
        assert_eq!(held(folder.path()), 1024);
    }
}
