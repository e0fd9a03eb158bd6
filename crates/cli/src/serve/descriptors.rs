//! Descriptors: a service needs one for each connection, and a handful for each cell.

use anyhow::anyhow;
use firebox_server::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// Pipes, sockets, doors to control groups and the files of a toolchain: what a cell, or a job in one, takes at most.
const FOR_A_CELL: u64 = 32;
/// For everything else: the log, the listener, what is open of each language.
const FOR_THE_REST: u64 = 256;

/// Takes as many as the host lets us have, and says so when they are not enough. Before the warden is split off, which needs
/// them for the same cells. A job's own limit is not touched by it.
pub(super) fn claim(settings: &Settings, warm: usize) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    // What fails here shows below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let cells = (settings.running as u64).saturating_add(warm as u64);
    let wanted =
        cells.saturating_mul(FOR_A_CELL).saturating_add(FOR_THE_REST).saturating_add(settings.connections as u64);
    match wanted <= have {
        true => Ok(()),
        false => Err(Failure::request(anyhow!(
            "{} connections and {cells} cells take up to {wanted} descriptors, and this process may have {have}",
            settings.connections
        ))
        .with_help("allow more (`ulimit -n`, or `LimitNOFILE=` of systemd), or ask for fewer with `--connections` or `--running`")),
    }
}
