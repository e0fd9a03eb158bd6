//! What this host has to give: the ceilings of the limits, and where programs are looked for.

use std::num::NonZeroU32;
use std::thread::available_parallelism;

use firebox_job::{ByteSize, Policy};
use firebox_lang::Host;

use crate::failure::Failure;
use crate::linker::LINKER;

/// The policy of a command line without configuration: whoever runs it owns the machine, and may use all of it.
pub(crate) fn policy() -> Result<Policy, Failure> {
    let cpus = available_parallelism()
        .map_err(|error| Failure::host(anyhow::Error::new(error).context("cannot count the CPUs of this host")))?;
    let cpus = NonZeroU32::try_from(cpus).unwrap_or(NonZeroU32::MAX);
    Ok(Policy::for_host(cpus, memory()))
}

/// Where programs are looked for, and what firebox adds to them.
pub(crate) fn programs() -> Host {
    Host { linker: Some(LINKER), ..Host::current() }
}

fn memory() -> ByteSize {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "`totalram` is narrower than 64 bits on some targets")]
    let units = u64::from(info.totalram);
    ByteSize::bytes(units.saturating_mul(u64::from(info.mem_unit)))
}
