//! `firebox freeze`: boots a machine, has its language made ready, and freezes it, for the process that keeps snapshots.
//!
//! That one has the rights to keep something, and hears nothing of what happens here but how it ended; this one has given them up before it hears
//! anything of a guest. The order is the one that `run` explains.

use std::process::ExitCode;

use anyhow::anyhow;
use firebox_cell::FrozenInto;
use firebox_engine::{Engine, Installed};
use firebox_job::{Ask, Limits};
use firebox_lang::Catalogue;
use firebox_microvm::MicroVms;
use firebox_vmm::{Hypervisor, probe};

use super::boot::Ends;
use super::{HousedInMachine, Start, Steps, Wish, is_usable};
use crate::args::FreezeArgs;
use crate::doctor::of_no_kvm;
use crate::failure::Failure;
use crate::host;
use crate::isolation::Housed;
use crate::line::{Line, Worth};
use crate::toolchains::{Found, Toolchains};

/// Freezes one into what it has as its standard input and output, two empty files.
pub(crate) fn freeze(args: FreezeArgs) -> Result<ExitCode, Failure> {
    let FreezeArgs { lang, image, tree, kernel, memory, vcpus } = args;
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
    Hypervisor::open().map_err(|none| {
        let help = of_no_kvm(&none);
        Failure::host(none).with_help(help)
    })?;
    let line = Line::begin();
    let show = |words: &'static str| line.show(Worth::AtOnce, || words.to_owned());
    show("booting a microVM");
    let HousedInMachine { housed: Housed { warden, cell }, welcome } =
        wish.boot(Ends::Frozen, || is_usable(&probe()))?;
    let Found { toolchain, image: _image, groundwork: _groundwork } = found;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    let engine =
        Engine::new(vec![Installed::new(language, toolchain)], Box::new(MicroVms::new(cells, vec![welcome])), policy);
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
    Ok(ExitCode::SUCCESS)
}
