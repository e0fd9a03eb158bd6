//! A microVM for a job of a command line: it boots a kernel, or goes on where another was frozen.
//!
//! What it lacks is told by name, each with what to do. Where nobody insists on one, whoever asked makes something else of that; nothing here does.

mod boot;
mod fleet;
mod freeze;
mod frozen;
mod image;
mod steps;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use anyhow::anyhow;
use firebox_image::KernelName;
use firebox_lang::Language;
use firebox_microvm::{Blueprint, MONITOR, MicroVms, Welcome};
use firebox_vmm::{Hypervisor, Probe, probe};

use crate::doctor::{elsewhere, of_no_kvm};
use crate::failure::Failure;
use crate::isolation::Housed;
use crate::kernel;
use crate::outlet;
use crate::toolchains::{Found, Toolchains};

pub(crate) use fleet::Fleet;
pub(crate) use freeze::freeze;
pub(crate) use frozen::tool_of;
pub(crate) use image::{disk_of, view_of};
pub(crate) use steps::Steps;

use boot::Ends;
use frozen::Chosen;

/// A warden with a first cell in a machine, and what is said to the guests of later ones.
pub(crate) struct HousedInMachine {
    pub(crate) housed: Housed,
    /// In the order of its views.
    pub(crate) welcomes: Vec<Welcome>,
}

/// How a machine is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Start {
    /// From a snapshot where there is one, else it boots.
    #[default]
    Any,
    /// From a snapshot.
    Snapshot,
    /// It boots.
    Boot,
}

/// A machine that somebody wants.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) toolchains: &'a Toolchains,
    pub(crate) language: &'a Language,
    pub(crate) found: &'a Found,
    /// The kernel, when it was named.
    pub(crate) kernel: Option<&'a KernelName>,
    pub(crate) steps: Steps<'a>,
    pub(crate) start: Start,
}

/// What comes of wanting a machine where there may be none.
pub(crate) enum Wanted {
    Housed(Box<HousedInMachine>),
    /// This host lacks something of what it takes.
    Lacks(&'static str),
}

impl Wish<'_> {
    /// Starts a warden of machines for this language and has it make one. To be called with the caller's rights, and before there is any thread.
    pub(crate) fn house(&self) -> Result<HousedInMachine, Failure> {
        has_kvm()?;
        self.begin(self.chosen()?, || is_usable(&probe()))
    }

    /// The same where this host can run one, has a kernel or a snapshot, and has the language on an image. What goes wrong after that is a failure.
    pub(crate) fn house_where_possible(&self) -> Result<Wanted, Failure> {
        if Hypervisor::open().is_err() {
            return Ok(Wanted::Lacks("there is no KVM that it may use"));
        }
        if image::view_of(self.found).is_err() {
            return Ok(Wanted::Lacks(
                "the language comes from the host, or in part, and a microVM needs all of it on an image",
            ));
        }
        let chosen = self.chosen()?;
        if chosen.is_none() && !kernel::is_there() {
            return Ok(Wanted::Lacks("there is no kernel, or more than one"));
        }
        if !is_real() {
            return Ok(Wanted::Lacks("KVM is emulated on this host, or does not work"));
        }
        self.begin(chosen, || Ok(())).map(|housed| Wanted::Housed(Box::new(housed)))
    }

    /// The same where there is a snapshot, and this host can run it. None where there is none; or where one is of no use, which is said.
    pub(crate) fn house_where_frozen(&self) -> Option<HousedInMachine> {
        if self.found.image.is_none() || Hypervisor::open().is_err() {
            return None;
        }
        let housed = match self.frozen() {
            Ok(Some(chosen)) if is_real() => self.begin(Some(chosen), || Ok(())).map(Some),
            Ok(_) => Ok(None),
            Err(of_no_use) => Err(of_no_use),
        };
        housed.unwrap_or_else(|of_no_use| {
            let why = of_no_use.message().unwrap_or_default();
            outlet::remark(&format!("firebox: this runs in no microVM:\n{why}"));
            None
        })
    }

    fn chosen(&self) -> Result<Option<Chosen>, Failure> {
        match self.start {
            Start::Boot => Ok(None),
            Start::Any => self.frozen(),
            Start::Snapshot => self.frozen()?.map_or_else(|| Err(self.no_snapshot()), |chosen| Ok(Some(chosen))),
        }
    }

    fn begin(
        &self,
        chosen: Option<Chosen>,
        is_usable: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<HousedInMachine, Failure> {
        match chosen {
            Some(chosen) => self.go_on(chosen, is_usable),
            None => self.boot(Ends::ByItself, is_usable),
        }
    }
}

/// What this host lacks for all machines, which is asked first: whoever has to go elsewhere need not fetch anything here.
pub(crate) fn has_kvm() -> Result<(), Failure> {
    Hypervisor::open().map(drop).map_err(|none| {
        let help = of_no_kvm(&none);
        Failure::host(none).with_help(help)
    })
}

/// A warden of machines by these blueprints, with one by the first, whose guest is said the first of these welcomes. Of each of the others one is made as well, since
/// that is how it is known whether there are any; it goes again.
fn housed(
    blueprints: &[Blueprint],
    welcomes: Vec<Welcome>,
    is_usable: impl FnOnce() -> Result<(), Failure>,
) -> Result<HousedInMachine, Failure> {
    let warden = firebox_microvm::start(blueprints, MONITOR).map_err(Failure::host)?;
    // It takes threads of its own, so the warden is there already.
    is_usable()?;
    let make = |(view, welcome)| MicroVms::one(warden.cells(), view, welcome).map_err(Failure::host);
    let mut cells = (0..).zip(&welcomes).map(make);
    let Some(cell) = cells.next() else { return Err(Failure::host(anyhow!("there is no microVM to be made"))) };
    let cell = cell?;
    cells.try_for_each(|cell| cell.map(drop))?;
    Ok(HousedInMachine { housed: Housed { warden, cell }, welcomes })
}

/// Whether guests run here as fast as on their own. The threads that this takes have ended when it has, and nothing has been made yet.
fn is_real() -> bool {
    matches!(probe(), Probe::Usable(_))
}

/// Where an open file is. A warden opens it anew: what was opened in another mount namespace than its own it could not take along.
fn place_of(file: &File) -> Result<PathBuf, Failure> {
    let place = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    place.map_err(|error| Failure::host(anyhow::Error::new(error).context("cannot tell where a file of a microVM is")))
}

fn is_usable(probe: &Probe) -> Result<(), Failure> {
    let what = match probe {
        Probe::Usable(_) => return Ok(()),
        Probe::Emulated(speed) => anyhow!(
            "KVM is emulated on this host: a guest's kernel would boot for minutes, at {} ns for each instruction",
            speed.kernel.as_nanos()
        ),
        Probe::No(none) => return Err(Failure::host(anyhow!("{none}")).with_help(of_no_kvm(none))),
        Probe::Broken(failed) => anyhow!("KVM is there but does not work: {failed}"),
    };
    Err(Failure::host(what).with_help(elsewhere()))
}
