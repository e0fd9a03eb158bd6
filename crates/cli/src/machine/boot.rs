//! A machine that boots.

use firebox_guest::Introduction;
use firebox_image::ReadyKernel;
use firebox_microvm::{Beginning, Blueprint, Kernel, Welcome};

use super::image::{disk_of, view_of};
use super::{HousedInMachine, Wish, housed, place_of};
use crate::agent::AGENT;
use crate::failure::Failure;
use crate::guest::GUEST;
use crate::kernel;

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// With its job.
    ByItself,
    /// It is frozen.
    Frozen,
}

impl Wish<'_> {
    pub(super) fn boot(
        &self,
        ends: Ends,
        is_usable: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<HousedInMachine, Failure> {
        let Wish { toolchains, found, kernel, steps, .. } = *self;
        let view = view_of(found)?;
        // They are held until the warden has them.
        let (_, ReadyKernel { kernel, initramfs, record: _ }) = kernel::ready(kernel, GUEST)?;
        let disk = disk_of(toolchains, found)?;
        let parts = Kernel { kernel: place_of(&kernel)?, initramfs: place_of(&initramfs)? };
        let blueprint = Blueprint {
            beginning: match ends {
                Ends::ByItself => Beginning::Boot(parts),
                Ends::Frozen => Beginning::Freeze(parts),
            },
            disk: Some(disk.path().to_owned()),
            memory: steps.memory()?,
            vcpus: match ends {
                Ends::ByItself => steps.vcpus()?,
                // As its name promises, wherever it goes on: a build takes longer there than where all processors are its own.
                Ends::Frozen => steps.of_the_run().vcpus()?,
            },
        };
        let introduction = Introduction { agent: AGENT.to_vec(), view };
        housed(&[blueprint], vec![Welcome::from(&introduction)], is_usable)
    }
}
