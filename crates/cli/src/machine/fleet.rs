//! Machines for a service: of each of its languages some that go on from one snapshot, in the order of its views.

use anyhow::anyhow;
use firebox_job::{Ask, ByteSize, Policy};
use firebox_lang::Language;
use firebox_vmm::probe;

use super::frozen::GoesOn;
use super::{HousedInMachine, Start, Steps, Wish, has_kvm, housed, is_usable};
use crate::failure::Failure;
use crate::toolchains::{Found, Toolchains};

/// What machines of a service are made of.
pub(crate) struct Fleet {
    policy: Policy,
    kinds: Vec<GoesOn>,
    /// What all of them promise.
    most: Ask,
}

impl Fleet {
    /// One without any machine yet, for jobs that get what this policy gives.
    pub(crate) fn new(policy: Policy) -> Result<Fleet, Failure> {
        has_kvm()?;
        // A machine has room for the files of a job that asks for none.
        let most = Ask { disk: Some(policy.default.disk), ..Ask::default() };
        Ok(Fleet { policy, kinds: Vec::new(), most })
    }

    /// Adds those for a language, where there is a snapshot with room for a job that asks for nothing. Whether there is one.
    pub(crate) fn add(&mut self, toolchains: &Toolchains, language: &Language, found: &Found) -> Result<bool, Failure> {
        let steps = Steps { run: &self.policy.default, building: language.builds().then_some(&self.policy.building) };
        let wish = Wish { toolchains, language, found, kernel: None, steps, start: Start::Snapshot };
        let Some(chosen) = wish.frozen()? else { return Ok(false) };
        let (memory, vcpus) = (ByteSize::mib(chosen.name.mebibytes().into()), u32::from(chosen.name.vcpus()));
        let kind = wish.goes_on(chosen)?;
        self.most.memory = Some(self.most.memory.map_or(memory, |most| most.min(memory)));
        self.most.vcpus = Some(self.most.vcpus.map_or(vcpus, |most| most.min(vcpus)));
        self.kinds.push(kind);
        Ok(true)
    }

    /// What to say where one has to be there, and is not.
    pub(crate) fn lacks(language: &Language) -> Failure {
        let name = language.name();
        Failure::host(anyhow!("there is no snapshot for {name} with room for a job that asks for nothing"))
            .with_help(format!("`firebox snapshot create --lang {name}` makes one"))
    }

    /// What jobs may ask for.
    pub(crate) fn policy(&self) -> Policy {
        self.policy.at_most(&self.most)
    }

    /// Starts the warden of all of them, and has it make one. To be called with the caller's rights, and before there is any thread.
    pub(crate) fn house(self) -> Result<HousedInMachine, Failure> {
        let (mut blueprints, mut welcomes, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for GoesOn { blueprint, welcome, held: files } in self.kinds {
            blueprints.push(blueprint);
            welcomes.push(welcome);
            held.push(files);
        }
        housed(&blueprints, welcomes, || is_usable(&probe()))
    }
}
