//! A disk on which there was never anything: an ext4 in a file, mounted for as long as it is needed.
//!
//! What was on a disk before decides how long new files take: ext4 leaves the numbers of files alone that were removed in the last
//! minutes, and looks for others one by one. So who makes many files pays for what was removed before.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::said::done;

/// More than anything that is measured on one. A hole until it is written to.
const SIZE: u64 = 6 << 30;

/// Unmounted and gone with this.
pub(super) struct FreshDisk {
    mounted: PathBuf,
    _place: TempDir,
}

impl FreshDisk {
    /// Why there can be none, where that is known from the start.
    pub(super) fn can_be() -> Result<()> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "it is measured on a disk of its own, which root alone may mount"
        );
        let control = Path::new("/dev/loop-control");
        ensure!(
            control.exists(),
            "it is measured on a disk of its own, and without {} there is none",
            control.display()
        );
        Ok(())
    }

    pub(super) fn make(within: &Path) -> Result<FreshDisk> {
        let place = tempfile::Builder::new().prefix("disk-").tempdir_in(within);
        let place = place.with_context(|| format!("cannot make a directory in {}", within.display()))?;
        let (file, mounted) = (place.path().join("ext4"), place.path().join("mounted"));
        std::fs::File::create(&file)
            .and_then(|file| file.set_len(SIZE))
            .and_then(|()| std::fs::create_dir(&mounted))
            .with_context(|| format!("cannot make a disk in {}", place.path().display()))?;
        // What would be put off until the disk is used would be done while something is measured.
        let all_at_once = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        done(Command::new("mkfs.ext4").args(["-q", "-E", all_at_once]).arg(&file))?;
        done(Command::new("mount").args(["-o", "loop"]).args([&file, &mounted]))?;
        Ok(FreshDisk { mounted, _place: place })
    }

    pub(super) fn path(&self) -> &Path {
        &self.mounted
    }
}

impl Drop for FreshDisk {
    fn drop(&mut self) {
        // A disk that stays is seen by whoever looks; a measurement is not wrong because of it.
        if let Err(error) = done(Command::new("umount").arg(&self.mounted)) {
            eprintln!("{error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_empty_when_it_is_made_and_gone_when_it_is_not_needed() {
        if let Err(why) = FreshDisk::can_be() {
            eprintln!("skipped: a disk of its own: {why}");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let disk = FreshDisk::make(place.path()).unwrap();
        let mounted = disk.path().to_owned();
        let names =
            |at: &Path| std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(names(&mounted), ["lost+found"]);
        std::fs::write(mounted.join("file"), "x").unwrap();
        drop(disk);
        assert_eq!(names(place.path()), [""; 0]);
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(mounted.to_str().unwrap()), "{mounts}");
    }
}
