//! Examining one kind of cell, by making one and trying from inside what it is there to stop.
//!
//! Runs in a process of its own: it gives up its rights on the way, like every firebox that runs a job.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::slice;

use firebox_cell::View;
use firebox_engine::{Engine, Installed};
use firebox_job::{CellKind, Enforcement, Protection, Safeguard};
use firebox_lang::{Catalogue, Host};

use super::advice::explained;
use super::finding::{Examined, State};
use super::microvm;
use super::trial::{Trial, Trier};
use crate::failure::Failure;
use crate::host;
use crate::isolation::{self, Housed, NoCell, in_one_line};

const PROBE: &str = include_str!("probe.sh");

/// What to change where there is no jail.
const JAIL_NEEDS: &str = "start firebox as root on the host itself; or let users have namespaces: `sysctl -w \
    user.max_user_namespaces=15000`, on Ubuntu `kernel.apparmor_restrict_unprivileged_userns=0`, on older Debian \
    `kernel.unprivileged_userns_clone=1`; in a container, `--security-opt seccomp=unconfined \
    --security-opt systempaths=unconfined`";
/// What to change where there is no fence.
const FENCE_NEEDS: &str = "use Linux 6.12 or newer, started with `landlock` in its `lsm=`";

/// What makes a first cell of a kind.
type Make = fn(&[View]) -> Result<Housed, NoCell>;

/// What of the host the probe tries to get at.
struct Bait<'a> {
    file: &'a Path,
    listener: TcpListener,
}

/// Finds out how this host makes one kind of cell. `file` is one that anybody may read.
pub(super) fn examine(kind: CellKind, file: &Path) -> Result<Examined, Failure> {
    let (make, needs): (Make, _) = match kind {
        CellKind::MicroVm => return Ok(microvm::examine()),
        CellKind::Jail => (isolation::jail, JAIL_NEEDS),
        CellKind::Fence => (isolation::fence, FENCE_NEEDS),
    };
    let policy = host::policy()?;
    let catalogue = Catalogue::builtin();
    let language = catalogue.find("bash").map_err(Failure::host)?.clone();
    let toolchain = language.find_toolchain(&Host::current()).map_err(Failure::host)?;
    let Housed { warden, cell } = match make(slice::from_ref(&toolchain.view)) {
        Ok(housed) => housed,
        Err(none) => return Ok(Examined::missing(kind, in_one_line(&none), needs)),
    };
    let bait = Bait::lay(file).map_err(|error| {
        Failure::host(anyhow::Error::new(error).context("cannot make a listener to try cells with"))
    })?;
    let cells = warden.drop_privileges().map_err(Failure::host)?;
    let engine = Engine::new(vec![Installed::new(language, toolchain)], Box::new(cells), policy);
    let trier = Trier { engine: &engine, policy: &policy };
    let found = engine.take_in(0, cell).map_err(Failure::host).and_then(|cell| {
        let seen = trier.probe(cell, PROBE, &bait.arguments())?;
        Ok((bait.states(&seen.said), limits(&trier, seen.enforcement)?))
    });
    let closed = engine.close().map_err(Failure::host);
    let (seen, limits) = found?;
    closed?;
    let state = |safeguard: Safeguard| {
        let found = seen.iter().chain(&limits).find(|(of, _)| *of == safeguard);
        found.map_or(State::Missing, |(_, state)| *state)
    };
    let safeguards = Safeguard::ALL.map(|safeguard| explained(kind, safeguard, state(safeguard)));
    Ok(Examined { kind: kind.to_string(), available: true, why: None, change: None, safeguards: safeguards.into() })
}

/// The four that are a matter of how much: each is tried with too much of it.
fn limits(trier: &Trier<'_>, held: Enforcement) -> Result<Vec<(Safeguard, State)>, Failure> {
    let Enforcement { memory, tasks, cpu, disk } = held;
    // Where nobody deals CPUs out, their time is what is watched.
    let of_cpu = if cpu == Protection::Enforced { Trial::CpusAtOnce } else { Trial::CpuTime };
    let mut states = Vec::new();
    for (safeguard, trial, held) in [
        (Safeguard::Memory, Trial::Memory, memory),
        (Safeguard::Tasks, Trial::Tasks, tasks),
        (Safeguard::Cpu, of_cpu, cpu),
        (Safeguard::Disk, Trial::Disk, disk),
    ] {
        let stopped = trier.is_stopped(trial)?;
        states.push((safeguard, if stopped { held.into() } else { State::Missing }));
    }
    Ok(states)
}

impl Bait<'_> {
    fn lay(file: &Path) -> io::Result<Bait<'_>> {
        Ok(Bait { file, listener: TcpListener::bind("127.0.0.1:0")? })
    }

    fn arguments(&self) -> Vec<String> {
        let port = self.listener.local_addr().map_or(0, |address| address.port());
        vec![self.file.to_string_lossy().into_owned(), port.to_string(), std::process::id().to_string()]
    }

    /// What the probe has seen, as safeguards.
    fn states(&self, said: &str) -> Vec<(Safeguard, State)> {
        let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let closed = |name| value(name) == Some("closed");
        let other = |name, ours: &str| value(name).is_some_and(|theirs| theirs != ours);
        let ipc = std::fs::read_link("/proc/self/ns/ipc").unwrap_or_default();
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let device = Path::new("/usr/bin/env").metadata().map_or(0, |metadata| metadata.dev()).to_string();
        let leased = value("outer_user").and_then(|uid| uid.parse::<u32>().ok()).is_some_and(|uid| 1_000_000_000 < uid);
        let powerless = value("no_new_privileges") == Some("1") && value("capabilities") == Some("[none]");
        [
            (Safeguard::Files, closed("files")),
            (Safeguard::Names, closed("names")),
            (Safeguard::Inodes, other("device", &device)),
            (Safeguard::Processes, closed("processes")),
            (Safeguard::Network, closed("network")),
            (Safeguard::Ipc, other("ipc_namespace", &ipc.to_string_lossy()) || closed("shared_memory")),
            (Safeguard::HostName, other("host_name", &name)),
            (Safeguard::SystemCalls, closed("system_calls")),
            (Safeguard::Privileges, powerless),
            (Safeguard::OwnUser, leased),
            (Safeguard::Landlock, closed("landlock")),
        ]
        .map(|(safeguard, held)| (safeguard, if held { State::Enforced } else { State::Missing }))
        .into()
    }
}
