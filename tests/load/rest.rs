//! What a service holds when nothing is asked of it: what must not grow with the jobs that it has run.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kit::{Connection, Lineage, Service, family, firebox, is_root};

/// How long the service has to come to rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at, and how often in a row it must look the same.
const GLANCE: Duration = Duration::from_millis(200);
const IN_A_ROW: u32 = 4;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Proportional set size of all processes, in bytes; none where only root may look.
    pub(crate) family: Option<u64>,
    /// The same of the process that serves.
    pub(crate) server: Option<u64>,
    /// Those of the process that serves, by what they are of.
    descriptors: BTreeMap<String, usize>,
    pub(crate) processes: usize,
}

impl Rest {
    /// Waits until no job runs and the cells that wait for the next ones are there.
    pub(crate) fn of(service: &Service) -> Rest {
        let until = Instant::now() + PATIENCE;
        let (mut before, mut same) = (None, 0);
        loop {
            let now = (counted(service), family(service.call.pid(), Lineage::Jail).len());
            let idle = now.0.get("firebox_jobs_running") == Some(&0) && now.0.get("firebox_jobs_waiting") == Some(&0);
            same = if idle && before.as_ref() == Some(&now) { same + 1 } else { 0 };
            if same == IN_A_ROW {
                return Rest::now(service);
            }
            assert!(Instant::now() < until, "the service does not come to rest: {now:?}");
            before = Some(now);
            std::thread::sleep(GLANCE);
        }
    }

    pub(crate) fn descriptors(&self) -> usize {
        self.descriptors.values().sum()
    }

    fn now(service: &Service) -> Rest {
        let server = service.call.pid().as_raw_nonzero().get().unsigned_abs();
        let mut descriptors = BTreeMap::new();
        for descriptor in fs::read_dir(format!("/proc/{server}/fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            let target = target.to_string_lossy();
            let kind =
                if target.starts_with('/') { "file" } else { target.split([':', '[']).next().unwrap_or_default() };
            let kind = if kind == "anon_inode" { target.as_ref() } else { kind };
            *descriptors.entry(kind.to_owned()).or_default() += 1;
        }
        let memory = is_root("how much memory the service holds").then(|| memory(server));
        let of = |field: &str| memory.as_ref().and_then(|memory| memory[field].as_u64());
        let processes = family(service.call.pid(), Lineage::Jail).len();
        Rest { family: of("bytes"), server: of("own_bytes"), descriptors, processes }
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1048576.0));
        let Rest { family, server, descriptors, processes } = self;
        let (family, server) = (mib(*family), mib(*server));
        write!(f, "{family} MiB in {processes} processes, {server} of them the server's; descriptors: {descriptors:?}")
    }
}

/// Of a process and all that descend from it.
fn memory(pid: u32) -> Value {
    let measured = firebox().args(["measure", "memory", &pid.to_string()]).run();
    serde_json::from_slice(&measured.stdout).unwrap_or_else(|error| panic!("{error}: {measured}"))
}

/// What the service counts, by name and labels.
pub(crate) fn counted(service: &Service) -> BTreeMap<String, u64> {
    let asked = Connection::open(service.address).and_then(|mut connection| connection.get("/metrics"));
    let reply = asked.unwrap_or_else(|error| panic!("no metrics: {error}"));
    let text = reply.text();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    lines
        .filter(|(name, _)| !name.contains("seconds"))
        .filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
        .collect()
}
