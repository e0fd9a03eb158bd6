//! Images: made into root filesystems next to what other tools make of them, fetched next to `curl`, and run on next to the
//! host's own toolchain.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::driver::Driver;
use super::fresh_disk::FreshDisk;
use super::hellos::WARM_UP;
use super::row::{Details, Measured, Target};
use super::rows::{Bench, Question, hello};
use super::samples::{rows_side_by_side, side_by_side};
use super::shelves::{Kind, Shelf};
use super::subject::Subject;
use super::workshop::{NAME, Workshop, settled, timed};
use crate::host_packages::all_needed;
use crate::repository::Repository;
use crate::said::{done, said};

/// What is said of an image that was taken in, as far as we read it.
#[derive(Debug, Deserialize)]
struct Taken {
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    blob: String,
}

impl Bench<'_> {
    /// Everything about images.
    pub(super) fn images(&mut self, repository: &Repository) {
        let workshop = repository.metadata().and_then(|metadata| Workshop::new(&metadata.target_directory));
        self.conversions(&workshop);
        self.transfers(&workshop, repository);
        self.jobs_on_images(&workshop);
    }

    fn conversions(&mut self, workshop: &Result<Workshop>) {
        let what = "a Debian with a C compiler, from an OCI layout to a root filesystem";
        let others: [(_, _, Other); 2] = [
            ("image_unpack", "umoci unpack, then sync", umoci),
            ("image_copy", "skopeo copy --dest-decompress, then sync", skopeo),
        ];
        for (id, against, other) in others {
            let question = Question::new(id, what, against, Some(Target::Ratio(1.0)));
            if !self.is_asked_for(std::slice::from_ref(&question)) {
                continue;
            }
            let ready = FreshDisk::can_be().and_then(|()| {
                let workshop = there(workshop)?;
                all_needed(&["umoci"])?;
                Ok((workshop, workshop.debian()?))
            });
            let image = ready.as_ref().ok().copied();
            self.row_if(ready, question, |bench| {
                let (workshop, image) = image.context("there is no image")?;
                bench.conversion(workshop, image, other)
            });
        }
    }

    /// Each onto a disk of its own, until that has all of it: ours has when it says that it is done.
    fn conversion(&self, workshop: &Workshop, image: &str, other: Other) -> Result<(Measured, Details)> {
        let one = |time| Ok(vec![time?]);
        let pair = rows_side_by_side(
            self.runs(5, 1),
            WARM_UP,
            || one(workshop.making(|home| timed(self.take(home, image)))),
            || {
                one(workshop.making(|place| {
                    let mut sync = Command::new("sync");
                    let made = timed(other(image, place))?;
                    sync.arg("--file-system").arg(place);
                    Ok(made + timed(sync)?)
                }))
            },
        )?;
        Ok((Measured::Pair(pair), Details::default()))
    }

    fn transfers(&mut self, workshop: &Result<Workshop>, repository: &Repository) {
        for (id, what, kind) in [
            ("image_pull", "256 MiB from a registry, compared with their digest and on the disk", Kind::Registry),
            ("image_download", "256 MiB from a bucket, compared with their digest and on the disk", Kind::Bucket),
        ] {
            let question = Question::new(id, what, "curl, then sync", Some(Target::Ratio(1.25)));
            if !self.is_asked_for(std::slice::from_ref(&question)) {
                continue;
            }
            let ready = there(workshop).and_then(|workshop| {
                let home = workshop.path("home");
                let image = workshop.noise()?;
                done(&mut self.take(&home, image))?;
                let shelf = Shelf::fill(kind, repository, self.firebox, workshop, image, &home)?;
                Ok((workshop, shelf))
            });
            let (needed, ready) = match ready {
                Ok(ready) => (Ok(()), Some(ready)),
                Err(error) => (Err(error), None),
            };
            self.row_if(needed, question, |bench| {
                let (workshop, shelf) = ready.context("there is no server")?;
                bench.transfer(workshop, &shelf)
            });
        }
    }

    /// Whole processes on both sides. The image is here but for its one layer as it travels, so what ours does is to fetch it,
    /// to compare it, and to have the disk know it.
    fn transfer(&self, workshop: &Workshop, shelf: &Shelf) -> Result<(Measured, Details)> {
        let (home, file) = (workshop.path("home"), workshop.path("fetched"));
        let taken = said(&mut shelf.ours(self.firebox, &home))?;
        let taken: Taken = serde_json::from_str(&taken).context("`firebox rootfs` says something else")?;
        let [Layer { blob }] = taken.layers.as_slice() else { return Err(anyhow::anyhow!("it is to have one layer")) };
        let hex = blob.trim_start_matches("sha256:");
        let kept = home.join("images/blobs").join(hex);
        let length = std::fs::metadata(&kept).with_context(|| format!("there is no {}", kept.display()))?.len();
        let arrived = |at: &Path| {
            let found = std::fs::metadata(at).map_or(0, |found| found.len());
            ensure!(found == length, "{} has {found} bytes and not {length}", at.display());
            std::fs::remove_file(at).with_context(|| format!("cannot remove {}", at.display()))
        };
        arrived(&kept)?;
        let pair = rows_side_by_side(
            self.runs(9, 2),
            WARM_UP,
            || {
                let took = settled(|| timed(shelf.ours(self.firebox, &home)))?;
                arrived(&kept)?;
                Ok(vec![took])
            },
            || {
                let mut sync = Command::new("sync");
                sync.arg(&file);
                let took = settled(|| Ok(timed(shelf.theirs(hex, &file))? + timed(sync)?))?;
                arrived(&file)?;
                Ok(vec![took])
            },
        )?;
        Ok((Measured::Pair(pair), Details::default()))
    }

    fn jobs_on_images(&mut self, workshop: &Result<Workshop>) {
        for id in ["rust", "c", "python", "bash"] {
            let Ok(subject) = hello(id) else { continue };
            let what = format!("{}, paced, on an image", subject.title);
            let question =
                Question::new(&format!("{id}_image"), &what, "on the host's toolchain", Some(Target::Ratio(1.05)));
            if !self.is_asked_for(std::slice::from_ref(&question)) {
                continue;
            }
            let ready = self.needs("image", "jobs on images").and(self.tool(subject)).and_then(|_| {
                let workshop = there(workshop)?;
                let (home, image) = (workshop.path("toolchains"), workshop.toolchains(self.languages())?);
                if !home.exists() {
                    done(&mut self.take(&home, image))?;
                }
                Ok(home)
            });
            let home = ready.as_ref().ok().cloned();
            self.row_if(ready, question, |bench| {
                bench.on_an_image(subject, &home.context("there is no image")?, bench.runs(100, 8))
            });
        }
    }

    /// Two engines of the same kind, in turns, each at rest and with cells that wait. Theirs is the one on the host.
    fn on_an_image(&self, subject: &Subject, home: &Path, runs: usize) -> Result<(Measured, Details)> {
        let (mut image, mut host) = (self.driver_on_image(subject, home, NAME)?, self.driver(&[subject])?);
        let one = |driver: &mut Driver| {
            let job = driver.job()?;
            driver.settle()?;
            job.time()
        };
        let pair = side_by_side(runs, || one(&mut image), || one(&mut host))?;
        Ok((Measured::Pair(pair), Details::default()))
    }

    /// Takes an image into a store, from where a tool has left it.
    fn take(&self, home: &Path, image: &str) -> Command {
        let mut command = self.firebox.rootfs(home, "from-docker");
        command.args(["--name", NAME, "--size", "4000", "--image", image]);
        command
    }
}

/// What another tool does with an image, into a place where there is nothing.
type Other = fn(&str, &Path) -> Command;

fn there(workshop: &Result<Workshop>) -> Result<&Workshop> {
    workshop.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))
}

fn umoci(image: &str, place: &Path) -> Command {
    let mut command = Command::new("umoci");
    command.arg("unpack");
    if !rustix::process::geteuid().is_root() {
        command.arg("--rootless");
    }
    command.args(["--image", image.trim_start_matches("oci:")]).arg(place);
    command
}

/// Copying alone would convert nothing.
fn skopeo(image: &str, place: &Path) -> Command {
    let mut command = Command::new("skopeo");
    command.args(["copy", "--quiet", "--dest-decompress", image, &format!("dir:{}", place.display())]);
    command
}
