//! `firebox snapshot create`: has another process freeze a microVM, and keeps what comes of it.
//!
//! Two processes, as for all that is made in cells: this one may write to where the user keeps things, and hears nothing of a guest; the other one
//! (`firebox freeze`) has two empty files of this one's, and gives its rights up when the guest has said that it is there.

use std::os::unix::process::ExitStatusExt;
use std::time::{Instant, SystemTime};

use anyhow::{Context, anyhow};
use firebox_guest::PROTOCOL;
use firebox_image::{Frozen, KernelName, SnapshotDraft, SnapshotName, SnapshotRecord, Snapshots};
use firebox_job::{Ask, Limits};
use firebox_lang::Catalogue;

use super::listed::PlacedSnapshot;
use super::told::told_of_store;
use crate::args::{CreateSnapshotArgs, flag_of};
use crate::failure::Failure;
use crate::groundwork::ourselves;
use crate::guest::GUEST;
use crate::line::{Line, Worth};
use crate::machine::{Steps, disk_of, has_kvm, tool_of, view_of};
use crate::rootfs::{making_it, size};
use crate::toolchains::Toolchains;
use crate::{host, kernel, outlet};

/// Makes one.
pub(super) fn create(snapshots: &Snapshots, args: CreateSnapshotArgs, json: bool) -> Result<(), Failure> {
    let began = Instant::now();
    let (limits, frozen, kernel) = planned(args)?;
    let draft = snapshots.begin().map_err(told_of_store)?;
    have_it_frozen(&draft, &limits, &frozen, &kernel)?;
    let line = Line::begin();
    line.show(Worth::AtOnce, || "writing it out to the disk".to_owned());
    let record = draft.keep(frozen).map_err(told_of_store)?;
    drop(line);
    tell(snapshots, &record, began, json)
}

/// What is going to be frozen, if it can be.
fn planned(args: CreateSnapshotArgs) -> Result<(Limits, Frozen, KernelName), Failure> {
    // Exhaustive: a new flag must be decided here.
    let CreateSnapshotArgs { lang, image, kernel, memory, mem, vcpus } = args;
    let policy = host::policy()?;
    let language = Catalogue::builtin().find(&lang).map_err(Failure::request)?.clone();
    let ask = Ask { memory: memory.or(mem), vcpus, ..Ask::default() };
    let limits = Limits::within(ask, &policy).map_err(|error| {
        let flag = flag_of(error.name());
        Failure::request(error).with_help(format!("the flag is `{flag}`"))
    })?;
    let name = name_of(language.name(), &limits)?;
    let steps = Steps { run: &limits, building: language.builds().then_some(&policy.building) };
    let machine_bytes = steps.memory()?.as_u64();
    steps.vcpus()?;
    // What this host lacks first: a disk takes a while.
    has_kvm()?;
    let toolchains = Toolchains::find();
    let found = toolchains.ready(&language, image.as_ref())?;
    view_of(&found)?;
    let (kernel, ready) = kernel::ready(kernel.as_ref(), GUEST)?;
    let disk = making_it(|| disk_of(&toolchains, &found))?;
    let held = found.image.as_ref().ok_or_else(|| Failure::host(anyhow!("{} is on no image", language.name())))?;
    let frozen = Frozen {
        name,
        image: found.toolchain.image.as_deref().unwrap_or_default().parse().map_err(Failure::host)?,
        tree: held.digest(),
        disk: disk.digest(),
        kernel: ready.record.release,
        machine_bytes,
        tool: tool_of(&language, &found.toolchain),
        protocol: PROTOCOL,
        made: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    };
    Ok((limits, frozen, kernel))
}

fn name_of(language: &str, limits: &Limits) -> Result<SnapshotName, Failure> {
    let mebibytes = limits.memory.as_u64().div_ceil(1 << 20);
    let numbers = u32::try_from(mebibytes).ok().zip(u8::try_from(limits.vcpus.get()).ok());
    let (mebibytes, vcpus) =
        numbers.ok_or_else(|| Failure::request(anyhow!("no microVM has so much memory, or so many processors")))?;
    SnapshotName::new(language, mebibytes, vcpus).map_err(Failure::request)
}

fn have_it_frozen(draft: &SnapshotDraft, limits: &Limits, frozen: &Frozen, kernel: &KernelName) -> Result<(), Failure> {
    let words = [
        "freeze".to_owned(),
        format!("--lang={}", frozen.name.language()),
        format!("--image={}", frozen.image),
        format!("--tree={}", frozen.tree),
        format!("--kernel={kernel}"),
        format!("--memory={}", limits.memory.as_u64()),
        format!("--vcpus={}", limits.vcpus),
        format!("--keeper={}", std::process::id()),
    ];
    let status = ourselves(words.iter().map(String::as_str))
        .and_then(|mut command| command.stdin(draft.state().try_clone()?).stdout(draft.memory().try_clone()?).status());
    let status = status.context("cannot start firebox itself").map_err(Failure::host)?;
    // It has said why, unless somebody has killed it.
    let how =
        || status.signal().map_or(String::new(), |signal| format!(": who makes it was killed by signal {signal}"));
    match status.success() {
        true => Ok(()),
        false => Err(Failure::host(anyhow!("the snapshot `{}` could not be made{}", frozen.name, how()))),
    }
}

fn tell(snapshots: &Snapshots, record: &SnapshotRecord, began: Instant, json: bool) -> Result<(), Failure> {
    let placed = PlacedSnapshot::of(snapshots, record).map_err(told_of_store)?;
    if json {
        return outlet::say_json(&placed);
    }
    let Frozen { name, machine_bytes, .. } = &record.frozen;
    outlet::say(&format!(
        "{name}: {} on the disk, of a microVM with {}, frozen in {:.1} s; in {}\n",
        size(placed.bytes()),
        size(*machine_bytes),
        began.elapsed().as_secs_f64(),
        placed.place
    ))
}
