//! Descriptors: a service needs two for each connection, and a handful for each cell.

use anyhow::anyhow;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::serve::config::Config;

/// One to talk on, and one to hear that the client has gone.
const FOR_A_CONNECTION: u64 = 2;
/// Pipes, sockets, doors to control groups and the files of a toolchain: what a cell, or a job in one, takes at most.
const FOR_A_CELL: u64 = 32;
/// For everything else: the log, the listener, what is open of each language.
const FOR_THE_REST: u64 = 256;

/// So few connections are a mistake, and no service.
const FEWEST: usize = 16;

/// Takes as many as the host lets us have, and says so when they are not enough for the connections that were asked for; where
/// none were, there are as many as there are descriptors for. Before the warden is split off, which needs them for the same
/// cells. A job's own limit is not touched by it.
pub(super) fn claim(config: &mut Config) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    // What fails here shows below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let cells = (config.settings.running as u64).saturating_add(config.pools.each as u64);
    let rest = cells.saturating_mul(FOR_A_CELL).saturating_add(FOR_THE_REST);
    let most = usize::try_from(have.saturating_sub(rest) / FOR_A_CONNECTION).unwrap_or(usize::MAX);
    let connections = &mut config.settings.connections;
    if !config.connections_are_asked_for && FEWEST <= most {
        *connections = (*connections).min(most);
    }
    match *connections <= most {
        true => Ok(()),
        false => Err(Failure::request(anyhow!(
            "{connections} connections and {cells} cells take up to {} descriptors, and this process may have {have}",
            rest.saturating_add((*connections as u64).saturating_mul(FOR_A_CONNECTION))
        ))
        .with_help(
            "allow more (`ulimit -n`, or `LimitNOFILE=` of systemd), or ask for fewer with `--connections` or `--running`",
        )),
    }
}
