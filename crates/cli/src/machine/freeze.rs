//! `firebox freeze`: boots a machine, has its language made ready, and freezes it, for the process that keeps snapshots.
//!
//! That one has the rights to keep something, and hears nothing of what happens here but how it ended; this one has given them up before it hears
//! more of a guest than that it is there. The order is the one that `run` explains.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use firebox_cell::FrozenInto;
use firebox_engine::{Engine, Installed};
use firebox_job::{Ask, Limits};
use firebox_lang::Catalogue;
use firebox_microvm::MicroVms;
use firebox_vmm::probe;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::boot::Ends;
use super::{HousedInMachine, Start, Steps, Wish, has_kvm, is_usable};
use crate::args::FreezeArgs;
use crate::failure::Failure;
use crate::host;
use crate::isolation::Housed;
use crate::line::{Line, Worth};
use crate::snapshot::verify;
use crate::toolchains::{Found, Toolchains};

/// Freezes one into what it has as its standard input and output, two empty files.
pub(crate) fn freeze(args: FreezeArgs) -> Result<ExitCode, Failure> {
    let FreezeArgs { lang, image, tree, kernel, memory, vcpus, keeper } = args;
    end_with(keeper)?;
    let policy = host::policy()?;
    let language = Catalogue::builtin().find(&lang).map_err(Failure::request)?.clone();
    let toolchains = Toolchains::find();
    let found = toolchains.ready(&language, Some(&image))?;
    if found.image.as_ref().is_none_or(|held| held.digest() != tree) {
        return Err(Failure::host(anyhow!("the image `{image}` has become another meanwhile")));
    }
    let ask = Ask { memory: Some(memory), vcpus: Some(vcpus), ..Ask::default() };
    let limits = Limits::within(ask, &policy).map_err(Failure::request)?;
    let steps = Steps { run: &limits, building: language.builds().then_some(&policy.building) };
    let wish = Wish {
        toolchains: &toolchains,
        language: &language,
        found: &found,
        kernel: Some(&kernel),
        steps,
        start: Start::Boot,
    };
    has_kvm()?;
    let line = Line::begin();
    let show = |words: &'static str| line.show(Worth::AtOnce, || words.to_owned());
    show("booting a microVM");
    let HousedInMachine { housed: Housed { warden, cell }, welcomes } =
        wish.boot(Ends::Frozen, || is_usable(&probe()))?;
    let Found { toolchain, image: _image, groundwork: _groundwork } = found;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    // Whoever becomes somebody else does not end with its parent any more.
    end_with(keeper)?;
    let engine =
        Engine::new(vec![Installed::new(language, toolchain)], Box::new(MicroVms::new(cells, welcomes)), policy);
    let into = FrozenInto { state: rustix::stdio::stdin(), memory: rustix::stdio::stdout() };
    let frozen = engine.take_in(0, cell).and_then(|mut cell| {
        show("starting what jobs begin with");
        engine.start_to_freeze(&mut cell)?;
        show("writing its memory");
        engine.freeze(cell, into)
    });
    let closed = engine.close().map_err(Failure::host);
    frozen.map_err(Failure::host)?;
    closed?;
    show("reading it again");
    is_a_snapshot(into).context("what was frozen is of no use").map_err(Failure::host)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether what was written is what a machine can be made of. Its monitor has met a guest, and has said so; this has no rights to lose any more.
fn is_a_snapshot(into: FrozenInto<'_>) -> anyhow::Result<()> {
    let file = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from);
    Ok(verify(&file(into.state)?, Some(&file(into.memory)?))?)
}

/// A microVM that nobody keeps is not to go on for minutes.
fn end_with(keeper: i32) -> Result<(), Failure> {
    let ended = |error: io::Error| Failure::host(anyhow::Error::new(error).context("cannot end with who started this"));
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| ended(errno.into()))?;
    // It may be gone already.
    let is_there = getppid().is_some_and(|parent| parent.as_raw_pid() == keeper);
    if is_there { Ok(()) } else { Err(ended(io::ErrorKind::NotFound.into())) }
}
