//! How large a machine has to be.

use std::num::{NonZeroU8, NonZeroU32};

use anyhow::anyhow;
use firebox_job::{Building, ByteSize, Limits};
use firebox_vmm::{MemorySize, Settings};

use crate::failure::Failure;

/// What a guest's kernel, its first process and the agent take beside the job: some 60 MiB, and a sixty-fourth of all for the kernel's books.
const GUESTS_OWN: ByteSize = ByteSize::mib(128);
const MIB: u64 = 1 << 20;

/// What a machine has to have room for: what each step is granted, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps<'a> {
    pub(crate) run: &'a Limits,
    /// For a language that builds before it runs.
    pub(crate) building: Option<&'a Building>,
}

impl Steps<'_> {
    /// As if nothing were built.
    pub(super) fn of_the_run(&self) -> Steps<'_> {
        Steps { run: self.run, building: None }
    }

    /// Room for the largest of them, its files, and the guest itself. What is not used of it the host keeps.
    pub(crate) fn memory(&self) -> Result<ByteSize, Failure> {
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
    pub(crate) fn vcpus(&self) -> Result<NonZeroU8, Failure> {
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
