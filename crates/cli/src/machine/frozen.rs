//! A machine that goes on where another was frozen: which one, and whether it is still what it was.

use std::env;
use std::num::{NonZeroU8, NonZeroU32};

use anyhow::anyhow;
use firebox_engine::Installed;
use firebox_guest::PROTOCOL;
use firebox_image::{Digest, Home, ReadySnapshot, SnapshotName, Snapshots, StoreError};
use firebox_job::ByteSize;
use firebox_lang::{Language, Toolchain};
use firebox_microvm::{Beginning, Blueprint, Welcome};
use firebox_vmm::Snapshot;

use super::image::{disk_of, view_of};
use super::{HousedInMachine, Wish, housed, place_of};
use crate::failure::Failure;
use crate::kernel;

/// A snapshot that a machine goes on from.
pub(super) struct Chosen {
    name: SnapshotName,
    ready: ReadySnapshot,
}

/// What stands in machines that are frozen for a language: the tool of a first step, if any is started ahead.
pub(crate) fn tool_of(language: &Language, toolchain: &Toolchain) -> Option<Digest> {
    let installed = Installed::new(language.clone(), toolchain.clone());
    installed.mark_of_first_step().map(|mark| Digest::of(&mark))
}

/// What to do about a snapshot that is of no use.
fn made_again(name: &SnapshotName) -> String {
    format!("`firebox snapshot create {}` makes it again, and `--boot` does without", words_of(name))
}

/// The words that have it made.
fn words_of(name: &SnapshotName) -> String {
    format!("--lang {} --mem {} --vcpus {}", name.language(), name.mebibytes(), name.vcpus())
}

impl Wish<'_> {
    /// The smallest snapshot with room for the job, if there is one. One that was meant and is of no use is a failure.
    pub(super) fn frozen(&self) -> Result<Option<Chosen>, Failure> {
        let Some(snapshots) = snapshots()? else { return Ok(None) };
        let Some(name) = self.fitting(&snapshots)? else { return Ok(None) };
        let help = made_again(&name);
        let failed = |error: StoreError| Failure::host(error).with_help(help.clone());
        // Removed a moment ago.
        let Some(ready) = snapshots.ready(&name).map_err(failed)? else { return Ok(None) };
        Ok(Some(Chosen { name, ready }))
    }

    /// The machine has what it had when it was frozen, so it may have more than is asked for, and never less.
    fn fitting(&self, snapshots: &Snapshots) -> Result<Option<SnapshotName>, Failure> {
        let room = self.steps.memory()?.as_u64();
        let names = snapshots.names().map_err(Failure::host)?;
        let mut fitting = fitting(names, self.language.name(), self.steps.run.memory, self.steps.run.vcpus);
        // One that cannot be read is told of when it is opened.
        Ok(fitting.find(|name| match snapshots.find(name) {
            Ok(Some(record)) => room <= record.frozen.machine_bytes,
            Ok(None) => false,
            Err(_) => true,
        }))
    }

    /// There is none, and it was insisted on one.
    pub(super) fn no_snapshot(&self) -> Failure {
        let (run, language) = (self.steps.run, self.language.name());
        let mebibytes = run.memory.as_u64().div_ceil(1 << 20);
        let why = anyhow!(
            "there is no snapshot for {language} with room for {mebibytes} MiB and {} on {} of processors",
            run.disk,
            run.vcpus
        );
        let help = format!(
            "`firebox snapshot create --lang {language} --mem {mebibytes} --vcpus {}` makes one; `firebox snapshot list` has those that are there",
            run.vcpus
        );
        Failure::host(why).with_help(help)
    }

    /// Whether the machine in it is the one that would boot now.
    fn check(&self, chosen: &Chosen, disk: Digest) -> Result<(), Failure> {
        let Chosen { name, ready } = chosen;
        let frozen = &ready.record.frozen;
        let kernel = self.kernel.map(kernel::release_of).transpose()?;
        let what = if frozen.protocol != PROTOCOL {
            "by another version of Firebox, whose guests are talked to otherwise"
        } else if frozen.disk != disk {
            "of another image than the one that the language has now"
        } else if frozen.tool != tool_of(self.language, &self.found.toolchain) {
            "with another tool waiting than this Firebox starts"
        } else if kernel.is_some_and(|kernel| kernel != frozen.kernel) {
            "with another kernel than `--kernel` names"
        } else {
            return Ok(());
        };
        Err(Failure::host(anyhow!("the snapshot `{name}` was made {what}")).with_help(made_again(name)))
    }

    pub(super) fn go_on(
        &self,
        chosen: Chosen,
        is_usable: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<HousedInMachine, Failure> {
        // What is not on an image is not in the snapshot either, and is told as for one that boots.
        view_of(self.found)?;
        let disk = disk_of(self.toolchains, self.found)?;
        self.check(&chosen, disk.digest())?;
        let Chosen { name, ready: ReadySnapshot { record, state, memory } } = chosen;
        let unfit = |error: anyhow::Error| Failure::host(error).with_help(made_again(&name));
        let snapshot = Snapshot::read_from(&state)
            .map_err(|error| unfit(anyhow::Error::new(error).context(format!("the snapshot `{name}` is of no use"))))?;
        let vcpus = u8::try_from(snapshot.count_cpus()).ok().and_then(NonZeroU8::new);
        let blueprint = Blueprint {
            beginning: Beginning::GoOn { state: place_of(&state)?, memory: place_of(&memory)? },
            disk: Some(disk.path().to_owned()),
            memory: ByteSize::bytes(record.frozen.machine_bytes),
            vcpus: vcpus.ok_or_else(|| unfit(anyhow!("the snapshot `{name}` has no processor")))?,
        };
        let welcome = Welcome::Renewal { has_tool: record.frozen.tool.is_some() };
        housed(blueprint, welcome, is_usable).map_err(|failure| failure.with_help(made_again(&name)))
    }
}

/// Those in which jobs are promised at least that, the smallest first.
fn fitting(
    names: Vec<SnapshotName>,
    language: &str,
    memory: ByteSize,
    vcpus: NonZeroU32,
) -> impl Iterator<Item = SnapshotName> {
    let is_large_enough = |name: &SnapshotName| {
        let promised = u64::from(name.mebibytes()) << 20;
        memory.as_u64() <= promised && vcpus.get() <= u32::from(name.vcpus())
    };
    let mut fitting: Vec<SnapshotName> =
        names.into_iter().filter(|name| name.language() == language && is_large_enough(name)).collect();
    fitting.sort_by_key(|name| (name.mebibytes(), name.vcpus()));
    fitting.into_iter()
}

/// Where they are kept, if there is such a place.
fn snapshots() -> Result<Option<Snapshots>, Failure> {
    let Ok(home) = Home::find(|name| env::var_os(name)) else { return Ok(None) };
    match Snapshots::open_if_there(&home.snapshots()) {
        // Those of another are nobody's wish: `sudo` may leave root in the home of who called it.
        Err(StoreError::NotOurs { .. }) => Ok(None),
        opened => opened.map_err(Failure::host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_with_room_comes_first() {
        let names = ["rust-1024-1", "rust-512-4", "rust-512-1", "rust-256-8", "python-512-1", "rust-lang-512-1"];
        let names = || names.map(|name| name.parse().unwrap()).to_vec();
        let of = |mebibytes, vcpus| {
            let vcpus = NonZeroU32::new(vcpus).unwrap();
            let found = fitting(names(), "rust", ByteSize::mib(mebibytes), vcpus);
            found.map(|name| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(512, 1), ["rust-512-1", "rust-512-4", "rust-1024-1"]);
        assert_eq!(of(100, 2), ["rust-256-8", "rust-512-4"]);
        assert_eq!(of(513, 1), ["rust-1024-1"]);
        assert!(of(2048, 1).is_empty() && of(1, 9).is_empty());
    }

    #[test]
    fn what_makes_a_snapshot_again_is_said_as_it_is_typed() {
        let words = made_again(&"c++-64-2".parse().unwrap());
        assert!(words.contains("`firebox snapshot create --lang c++ --mem 64 --vcpus 2`"), "{words}");
    }
}
