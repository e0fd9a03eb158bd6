//! A microVM for a job of a command line: the kernel it boots, the image as its disk, and how large it is.
//!
//! What it lacks is told by name, each with what to do. Where nobody insists on one, whoever asked makes something else of that; nothing here does.

use std::fs::File;
use std::num::{NonZeroU8, NonZeroU32};
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::anyhow;
use firebox_cell::{Mount, View};
use firebox_guest::Introduction;
use firebox_image::{HeldDisk, KernelName, ReadyKernel};
use firebox_job::{Building, ByteSize, Limits};
use firebox_microvm::{Blueprint, MONITOR, MicroVms};
use firebox_vmm::{Hypervisor, MemorySize, Probe, Settings, probe};

use crate::agent::AGENT;
use crate::doctor::{elsewhere, of_no_kvm};
use crate::failure::Failure;
use crate::guest::GUEST;
use crate::isolation::Housed;
use crate::kernel;
use crate::toolchains::{Found, Toolchains};

/// Where a guest has its disk mounted.
const IMAGE: &str = "/image";
/// What a guest's kernel, its first process and the agent take beside the job: some 60 MiB, and a sixty-fourth of all for the kernel's books.
const GUESTS_OWN: ByteSize = ByteSize::mib(128);
const MIB: u64 = 1 << 20;

/// A warden with a first cell in a machine, and what its later cells are introduced by.
pub(crate) struct HousedInMachine {
    pub(crate) housed: Housed,
    pub(crate) introduction: Introduction,
}

/// What a machine has to have room for: what each step is granted, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps<'a> {
    pub(crate) run: &'a Limits,
    /// For a language that builds before it runs.
    pub(crate) building: Option<&'a Building>,
}

/// What the parts of a machine are held by, until the warden has them.
struct Parts {
    kernel: ReadyKernel,
    disk: HeldDisk,
}

/// Starts a warden of machines for this language and has it make one. To be called with the caller's rights, and before there is any thread.
pub(crate) fn house(
    toolchains: &Toolchains,
    found: &Found,
    kernel: Option<&KernelName>,
    steps: Steps<'_>,
) -> Result<HousedInMachine, Failure> {
    // What this host lacks for all of them first: whoever has to go elsewhere need not fetch anything here.
    Hypervisor::open().map_err(|none| {
        let help = of_no_kvm(&none);
        Failure::host(none).with_help(help)
    })?;
    boot(toolchains, found, kernel, steps, || is_usable(&probe()))
}

/// What comes of wanting a machine where there may be none.
pub(crate) enum Wanted {
    Housed(Box<HousedInMachine>),
    /// This host lacks something of what it takes.
    Lacks(&'static str),
}

/// The same where this host can run one, has a kernel, and has the language on an image. What goes wrong after that is a failure.
pub(crate) fn house_where_possible(
    toolchains: &Toolchains,
    found: &Found,
    steps: Steps<'_>,
) -> Result<Wanted, Failure> {
    if Hypervisor::open().is_err() {
        return Ok(Wanted::Lacks("there is no KVM that it may use"));
    }
    if view_of(found).is_err() {
        return Ok(Wanted::Lacks(
            "the language comes from the host, or in part, and a microVM needs all of it on an image",
        ));
    }
    if !kernel::is_there() {
        return Ok(Wanted::Lacks("there is no kernel, or more than one"));
    }
    // Its threads have ended when it has, and nothing has been made yet.
    if !matches!(probe(), Probe::Usable(_)) {
        return Ok(Wanted::Lacks("KVM is emulated on this host, or does not work"));
    }
    boot(toolchains, found, None, steps, || Ok(())).map(|housed| Wanted::Housed(Box::new(housed)))
}

fn boot(
    toolchains: &Toolchains,
    found: &Found,
    kernel: Option<&KernelName>,
    steps: Steps<'_>,
    is_usable: impl FnOnce() -> Result<(), Failure>,
) -> Result<HousedInMachine, Failure> {
    let view = view_of(found)?;
    let parts = Parts { kernel: kernel::ready(kernel, GUEST)?, disk: disk_of(toolchains, found)? };
    let blueprint = blueprint(&parts, &steps)?;
    let warden = firebox_microvm::start(&[blueprint], MONITOR).map_err(Failure::host)?;
    // It takes threads of its own, so the warden is there already.
    is_usable()?;
    let introduction = Introduction { agent: AGENT.to_vec(), view };
    let cell = MicroVms::first(warden.cells(), &introduction).map_err(Failure::host)?;
    Ok(HousedInMachine { housed: Housed { warden, cell }, introduction })
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

/// What the cell shows, with the image where the guest has it.
fn view_of(found: &Found) -> Result<View, Failure> {
    let no_image = || {
        let why = anyhow!("a microVM shows a language from an image, and this language is used from the host");
        Failure::host(why).with_help(
            "`firebox rootfs from-docker` takes an image in: under the language's name, or under another that `--image` names; or use `--isolation jail`",
        )
    };
    let held = found.image.as_ref().ok_or_else(no_image)?;
    let tree = held.tree().canonicalize().map_err(Failure::host)?;
    moved(&found.toolchain.view, &tree).ok_or_else(|| {
        let why = anyhow!(
            "this language needs files that are made on the host, and a microVM shows none but its image's yet"
        );
        Failure::host(why).with_help("use `--isolation jail`")
    })
}

/// The view with all that is below this directory where the guest has the image; none if anything else is shown.
fn moved(view: &View, tree: &Path) -> Option<View> {
    let mounts = view.mounts.iter().map(|Mount { outside, inside }| {
        let below = outside.strip_prefix(tree).ok()?;
        Some(Mount { outside: Path::new(IMAGE).join(below), inside: inside.clone() })
    });
    Some(View { mounts: mounts.collect::<Option<_>>()?, ..view.clone() })
}

fn disk_of(toolchains: &Toolchains, found: &Found) -> Result<HeldDisk, Failure> {
    let name = found.toolchain.image.as_deref().unwrap_or_default();
    let gone = || {
        Failure::host(anyhow!("the image `{name}` is gone")).with_help("`firebox rootfs list` has all that are there")
    };
    toolchains.disk(name)?.ok_or_else(gone)
}

fn blueprint(parts: &Parts, steps: &Steps<'_>) -> Result<Blueprint, Failure> {
    let Parts { kernel: ReadyKernel { kernel, initramfs, record: _ }, disk } = parts;
    // The warden opens them anew: what was opened in another mount namespace than its own it could not take along.
    let place = |file: &File| {
        let place = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        place.map_err(|error| Failure::host(anyhow::Error::new(error).context("cannot tell where the kernel is")))
    };
    Ok(Blueprint {
        kernel: place(kernel)?,
        initramfs: place(initramfs)?,
        disk: Some(disk.path().to_owned()),
        memory: steps.memory()?,
        vcpus: steps.vcpus()?,
    })
}

impl Steps<'_> {
    /// Room for the largest of them, its files, and the guest itself. What is not used of it the host keeps.
    fn memory(&self) -> Result<ByteSize, Failure> {
        let step = |memory: ByteSize, disk: ByteSize| memory.as_u64().saturating_add(disk.as_u64());
        let building = self.building.map_or(0, |building| step(building.memory, building.disk));
        let most = step(self.run.memory, self.run.disk).max(building);
        let all = most.saturating_add(most / 64).saturating_add(GUESTS_OWN.as_u64());
        let all = all.div_ceil(MIB).saturating_mul(MIB);
        MemorySize::bytes(all).map_err(|_| {
            let why = anyhow!("a microVM with room for what the job asks for would have {} MiB of memory", all / MIB);
            Failure::request(why).with_help("memory, files and some for the guest itself are 64 GiB together at most: less of `--memory` or `--disk`")
        })?;
        Ok(ByteSize::bytes(all))
    }

    /// As many as a run asks for, and as a build may use where there are so many.
    fn vcpus(&self) -> Result<NonZeroU8, Failure> {
        let most = Settings::MOST_CPUS;
        let of = |vcpus: NonZeroU32| NonZeroU8::try_from(vcpus).ok().filter(|vcpus| vcpus.get() <= most);
        let run = of(self.run.vcpus).ok_or_else(|| {
            let why = anyhow!("a microVM has at most {most} processors, and the job asks for {}", self.run.vcpus);
            Failure::request(why).with_help("fewer of `--vcpus`, or `--isolation jail`")
        })?;
        let building = self.building.map(|building| of(building.vcpus).or(NonZeroU8::new(most)));
        Ok(building.flatten().map_or(run, |building| building.max(run)))
    }
}

#[cfg(test)]
mod tests {
    use firebox_job::Policy;

    use super::*;

    #[test]
    fn what_the_image_shows_is_where_the_guest_has_it_and_nothing_else_is_shown() {
        let mount = |outside: &str, inside: &str| Mount { outside: outside.into(), inside: inside.into() };
        let view = |mounts: &[(&str, &str)]| View {
            mounts: mounts.iter().map(|(outside, inside)| mount(outside, inside)).collect(),
            is_image: true,
            ..View::default()
        };
        let there =
            view(&[("/home/a/images/trees/1/root/usr", "/usr"), ("/home/a/images/trees/1/root/opt/x", "/opt/x")]);
        let tree = Path::new("/home/a/images/trees/1/root");
        assert_eq!(moved(&there, tree), Some(view(&[("/image/usr", "/usr"), ("/image/opt/x", "/opt/x")])));
        assert_eq!(moved(&view(&[("/usr", "/usr")]), tree), None);
        assert_eq!(moved(&view(&[("/home/a/images/trees/11", "/usr")]), tree), None);
    }

    #[test]
    fn a_machine_has_room_for_each_step_and_whole_mebibytes() {
        let policy = Policy::for_host(NonZeroU32::MIN, ByteSize::gib(8));
        let least = policy.building.memory.as_u64() + policy.building.disk.as_u64() + GUESTS_OWN.as_u64();
        let memory = |run: &Limits, building| Steps { run, building }.memory().unwrap().as_u64();
        let built = memory(&policy.default, Some(&policy.building));
        assert!(least <= built && built.is_multiple_of(MIB), "{built}");
        assert!(memory(&policy.default, None) < built);
        let large = Limits { memory: ByteSize::gib(6), ..policy.default };
        assert!(ByteSize::gib(6).as_u64() < memory(&large, Some(&policy.building)));
        let too_large = Limits { memory: ByteSize::gib(64), ..policy.default };
        assert!(Steps { run: &too_large, building: None }.memory().is_err());
    }

    #[test]
    fn a_machine_has_the_processors_of_the_step_that_may_use_most() {
        let policy = Policy::for_host(NonZeroU32::new(100).unwrap(), ByteSize::gib(8));
        let number = |number| NonZeroU32::new(number).unwrap();
        let run = |vcpus| Limits { vcpus: number(vcpus), ..policy.default };
        let builds = |vcpus| Building { vcpus: number(vcpus), ..policy.building };
        for (vcpus, building, expected) in [
            (1, None, Some(1)),
            (3, None, Some(3)),
            (1, Some(4), Some(4)),
            (3, Some(2), Some(3)),
            (1, Some(100), Some(Settings::MOST_CPUS)),
            (100, Some(1), None),
            (300, None, None),
        ] {
            let (run, building) = (run(vcpus), building.map(builds));
            let got = Steps { run: &run, building: building.as_ref() }.vcpus().ok().map(NonZeroU8::get);
            assert_eq!(got, expected, "{vcpus}, {building:?}");
        }
    }
}
