//! A machine that goes on where another was frozen: which one, and whether it is still what it was.

use std::num::{NonZeroU8, NonZeroU32};

use anyhow::anyhow;
use firebox_engine::mark_of_first_step;
use firebox_guest::PROTOCOL;
use firebox_image::{
    Digest, Frozen, Held, HeldDisk, ReadySnapshot, Release, SnapshotName, SnapshotRecord, Snapshots, StoreError,
};
use firebox_job::{ByteSize, Limits};
use firebox_lang::{Language, Toolchain};
use firebox_microvm::{Beginning, Blueprint, Welcome};

use super::image::{disk_of, view_of};
use super::{HousedInMachine, Steps, Wish, housed, place_of};
use crate::failure::Failure;
use crate::shelf::usual_home;
use crate::snapshot::made_again;
use crate::{host, kernel};

const MIB: u64 = 1 << 20;

/// Machines that go on from a snapshot.
pub(super) struct GoesOn {
    pub(super) blueprint: Blueprint,
    pub(super) welcome: Welcome,
    /// Until a warden has them.
    pub(super) held: (ReadySnapshot, HeldDisk),
}

/// A snapshot that a machine goes on from.
pub(super) struct Chosen {
    pub(super) name: SnapshotName,
    ready: ReadySnapshot,
}

/// What stands in machines that are frozen for a language: the tool of a first step, if any is started ahead.
pub(crate) fn tool_of(language: &Language, toolchain: &Toolchain) -> Option<Digest> {
    mark_of_first_step(language, toolchain).map(|mark| Digest::of(&mark))
}

/// What to do about a snapshot that is of no use.
fn help_for(name: &SnapshotName) -> String {
    format!("{}, and `--boot` does without", made_again(name))
}

impl Wish<'_> {
    /// The smallest snapshot with room for the job, if there is one. One that was meant and is of no use is a failure.
    pub(super) fn frozen(&self) -> Result<Option<Chosen>, Failure> {
        let Some(snapshots) = snapshots()? else { return Ok(None) };
        let Some(name) = self.fitting(&snapshots)? else { return Ok(None) };
        let failed = |error: StoreError| Failure::host(error).with_help(help_for(&name));
        // Removed a moment ago.
        let Some(ready) = snapshots.ready(&name).map_err(failed)? else { return Ok(None) };
        let chosen = Chosen { name, ready };
        self.check(&chosen)?;
        Ok(Some(chosen))
    }

    /// The machine has what it had when it was frozen, so it may have more than is asked for, and never less. What was made of an image of another name is about that.
    fn fitting(&self, snapshots: &Snapshots) -> Result<Option<SnapshotName>, Failure> {
        let room = self.steps.memory()?.as_u64();
        let image = self.found.toolchain.image.as_deref();
        let names = snapshots.names().map_err(Failure::host)?;
        let mut fitting = fitting(names, self.language.name(), self.steps.run.memory, self.steps.run.vcpus);
        // One that cannot be read is told of when it is opened.
        Ok(fitting.find(|name| match snapshots.find(name) {
            Ok(Some(SnapshotRecord { frozen, .. })) => {
                room <= frozen.machine_bytes && Some(frozen.image.to_string().as_str()) == image
            }
            Ok(None) => false,
            Err(_) => true,
        }))
    }

    /// There is none, and it was insisted on one.
    pub(super) fn no_snapshot(&self) -> Failure {
        let (run, language) = (self.steps.run, self.language.name());
        let why = anyhow!(
            "there is no snapshot for {language} with room for {} of memory and {} of files, with {} of `--vcpus`",
            run.memory,
            run.disk,
            run.vcpus
        );
        // Files are in memory there, and one is made for as many as a job may have that asks for none.
        let usual = host::policy().map_or(run.disk, |policy| policy.default.disk);
        let more = run.disk.as_u64().saturating_sub(usual.as_u64());
        let mebibytes = run.memory.as_u64().saturating_add(more).div_ceil(MIB);
        Failure::host(why).with_help(format!(
            "`firebox snapshot create --lang {language} --mem {mebibytes} --vcpus {}` makes one; `firebox snapshot list` has those that are there",
            run.vcpus
        ))
    }

    /// Whether the machine in it is one that would be made now.
    fn check(&self, chosen: &Chosen) -> Result<(), Failure> {
        let Chosen { name, ready } = chosen;
        let kernel = self.kernel.map(kernel::release_of).transpose()?;
        let now = Now {
            tree: self.found.image.as_ref().map(Held::digest),
            tool: tool_of(self.language, &self.found.toolchain),
            kernel,
            bytes: self.of_name(name, |steps| steps.memory())?.as_u64(),
        };
        let misfit = now.misfit(&ready.record.frozen);
        let failure = |what| Failure::host(anyhow!("the snapshot `{name}` was made {what}")).with_help(help_for(name));
        misfit.map_or(Ok(()), |what| Err(failure(what)))
    }

    /// What a machine has that is frozen here for what this name promises: whoever made the snapshot, this host gives it no more.
    fn of_name<T>(
        &self,
        name: &SnapshotName,
        what: impl FnOnce(&Steps<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let vcpus = NonZeroU32::from(NonZeroU8::new(name.vcpus()).unwrap_or(NonZeroU8::MIN));
        let memory = ByteSize::mib(u64::from(name.mebibytes()));
        let run = Limits { memory, vcpus, disk: host::policy()?.default.disk, ..*self.steps.run };
        what(&Steps { run: &run, building: self.steps.building })
    }

    pub(super) fn go_on(
        &self,
        chosen: Chosen,
        is_usable: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<HousedInMachine, Failure> {
        let GoesOn { blueprint, welcome, held: _held } = self.goes_on(chosen)?;
        housed(&[blueprint], vec![welcome], is_usable)
    }

    /// What machines are made of that go on from there.
    pub(super) fn goes_on(&self, chosen: Chosen) -> Result<GoesOn, Failure> {
        // What is not on an image is not in the snapshot either, and is told as for one that boots.
        view_of(self.found)?;
        let disk = disk_of(self.toolchains, self.found)?;
        let Chosen { name, ready } = chosen;
        let ReadySnapshot { record, state, memory, .. } = &ready;
        if record.frozen.disk != disk.digest() {
            let why =
                anyhow!("the snapshot `{name}` was made of another disk than the image `{}` has", record.frozen.image);
            return Err(Failure::host(why).with_help(help_for(&name)));
        }
        let blueprint = Blueprint {
            beginning: Beginning::GoOn { state: place_of(state)?, memory: place_of(memory)? },
            disk: Some(disk.path().to_owned()),
            memory: ByteSize::bytes(record.frozen.machine_bytes),
            // A state with others is refused by the monitor: nothing of it is read here, with the caller's rights.
            vcpus: self.of_name(&name, |steps| steps.of_the_run().vcpus())?,
        };
        let welcome = Welcome::Renewal { has_tool: record.frozen.tool.is_some() };
        Ok(GoesOn { blueprint, welcome, held: (ready, disk) })
    }
}

/// What a snapshot has to be to be of use now.
#[derive(Debug)]
struct Now {
    /// Of the image.
    tree: Option<Digest>,
    tool: Option<Digest>,
    /// When it was named.
    kernel: Option<Release>,
    /// Of a machine for what its name promises.
    bytes: u64,
}

impl Now {
    /// Why that one is not, if it is not.
    fn misfit(&self, frozen: &Frozen) -> Option<&'static str> {
        let Now { tree, tool, kernel, bytes } = self;
        if frozen.protocol != PROTOCOL {
            Some("by another version of Firebox, whose guests are talked to otherwise")
        } else if Some(frozen.tree) != *tree {
            Some("of what its image was before it became another")
        } else if frozen.tool != *tool {
            Some("with another tool waiting than this Firebox starts")
        } else if kernel.as_ref().is_some_and(|kernel| *kernel != frozen.kernel) {
            Some("with another kernel than `--kernel` names")
        } else if *bytes != frozen.machine_bytes {
            Some("of another size than a microVM has here for what its name promises")
        } else {
            None
        }
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
    let Ok(home) = usual_home() else { return Ok(None) };
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
    fn what_does_not_fit_any_more_is_told_by_what_has_changed() {
        let digest = |of: &[u8]| Digest::of(of);
        let kernel = |release: &str| release.parse::<Release>().unwrap();
        let frozen = || Frozen {
            name: "rust-512-1".parse().unwrap(),
            image: "rust".parse().unwrap(),
            tree: digest(b"tree"),
            disk: digest(b"disk"),
            kernel: kernel("6.1.0-1-amd64"),
            machine_bytes: 700 << 20,
            tool: Some(digest(b"tool")),
            protocol: PROTOCOL,
            made: 0,
        };
        let now = |kernel| Now { tree: Some(digest(b"tree")), tool: Some(digest(b"tool")), kernel, bytes: 700 << 20 };
        assert_eq!(now(None).misfit(&frozen()), None);
        assert_eq!(now(Some(kernel("6.1.0-1-amd64"))).misfit(&frozen()), None);
        for (changed, word) in [
            (Frozen { protocol: PROTOCOL + 1, ..frozen() }, "version of Firebox"),
            (Frozen { tree: digest(b"another"), ..frozen() }, "image"),
            (Frozen { tool: None, ..frozen() }, "tool"),
            (Frozen { machine_bytes: 701 << 20, ..frozen() }, "size"),
            (Frozen { machine_bytes: 699 << 20, ..frozen() }, "size"),
        ] {
            let misfit = now(None).misfit(&changed).unwrap();
            assert!(misfit.contains(word), "{misfit}");
        }
        assert!(now(Some(kernel("6.1.0-2-amd64"))).misfit(&frozen()).unwrap().contains("--kernel"));
    }

    #[test]
    fn what_makes_a_snapshot_again_is_said_as_it_is_typed() {
        let words = help_for(&"c++-64-2".parse().unwrap());
        assert!(words.contains("`firebox snapshot create --lang c++ --mem 64 --vcpus 2`"), "{words}");
    }
}
