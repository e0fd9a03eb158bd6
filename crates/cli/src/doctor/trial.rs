//! Jobs of our own that try what a cell is there to stop.

use std::collections::BTreeMap;
use std::time::Duration;

use firebox_engine::{Cancel, Engine, PreparedCell, Stdin};
use firebox_job::{
    Ask, ByteSize, Enforcement, Isolation, Job, Limits, Outcome, Policy, Require, Seed, SourceFile, SourcePath,
    Sources, TraceId, Verdict,
};

use crate::failure::Failure;

/// Runs trials in cells of one kind.
pub(super) struct Trier<'a> {
    pub(super) engine: &'a Engine,
    pub(super) policy: &'a Policy,
}

/// Too much of something.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trial {
    Memory,
    Tasks,
    Disk,
    CpusAtOnce,
    CpuTime,
}

/// What a probe came back with.
pub(super) struct Seen {
    pub(super) said: String,
    pub(super) enforcement: Enforcement,
}

impl Trier<'_> {
    /// Runs a script in a cell that stands already.
    pub(super) fn probe(&self, cell: PreparedCell, script: &str, arguments: &[String]) -> Result<Seen, Failure> {
        let job = self.job(script, arguments, Ask::default())?;
        let (cancel, _canceller) = Cancel::new().map_err(Failure::host)?;
        let outcome = self.engine.run_in(cell, &job, Stdin::Empty, &mut (), &cancel).map_err(Failure::host)?;
        let said = String::from_utf8_lossy(outcome.stdout.bytes()).into_owned();
        Ok(Seen { said, enforcement: outcome.enforcement })
    }

    /// Whether a job that takes too much of something was kept from it.
    pub(super) fn is_stopped(&self, trial: Trial) -> Result<bool, Failure> {
        let little = Ask { disk: Some(ByteSize::mib(4)), run: Some(Duration::from_secs(3)), ..Ask::default() };
        let (script, ask) = match trial {
            // `tail` keeps all of a line, and this is one.
            Trial::Memory => ("head -c 96M /dev/zero | tail", Ask { memory: Some(ByteSize::mib(16)), ..little }),
            Trial::Tasks => (CROWD, Ask { tasks: Some(12), ..little }),
            Trial::Disk => ("head -c 12M /dev/zero > file && sleep 1", little),
            Trial::CpusAtOnce => (BUSY, Ask { vcpus: Some(1), ..little }),
            Trial::CpuTime => (BUSY, Ask { cpu: Some(Duration::from_millis(100)), ..little }),
        };
        let outcome = self.run(script, ask)?;
        Ok(match trial {
            Trial::CpusAtOnce => self.policy.ceiling.vcpus.get() == 1 || uses_one_cpu(&outcome),
            Trial::Memory | Trial::Tasks | Trial::Disk | Trial::CpuTime => outcome.verdict != Verdict::Ok,
        })
    }

    fn run(&self, script: &str, ask: Ask) -> Result<Outcome, Failure> {
        let job = self.job(script, &[], ask)?;
        let (cancel, _canceller) = Cancel::new().map_err(Failure::host)?;
        self.engine.run(&job, Stdin::Empty, &mut (), &cancel).map_err(Failure::host)
    }

    fn job(&self, script: &str, arguments: &[String], ask: Ask) -> Result<Job, Failure> {
        let path = SourcePath::new("try.sh").map_err(Failure::host)?;
        let file = SourceFile { path, content: script.as_bytes().to_vec() };
        Ok(Job {
            trace_id: TraceId::from_random([0; 16]),
            language: "bash".to_owned(),
            sources: Sources::new(vec![file], None).map_err(Failure::host)?,
            args: arguments.to_vec(),
            env: BTreeMap::new(),
            options: BTreeMap::new(),
            limits: Limits::within(ask, self.policy).map_err(Failure::host)?,
            isolation: Isolation::Auto,
            require: Require::Required,
            seed: Seed::MayBeShared,
        })
    }
}

/// Many processes at once. In a plain shell, since Bash tries again and again when it is refused one.
const CROWD: &str = "exec sh -c 'for i in $(seq 40); do sleep 0.3 & done; wait'";

/// Two busy processes, for a while.
const BUSY: &str = "for each in 1 2; do timeout 0.4 bash -c 'while :; do :; done' & done; wait";

/// How much CPU time a second of wall time may have, for one CPU: what is dealt out in slices is not dealt out to a hair.
const ONE_CPU: f64 = 1.4;

fn uses_one_cpu(outcome: &Outcome) -> bool {
    let wall = outcome.timing.run.max(Duration::from_millis(1));
    outcome.usage.cpu.as_secs_f64() / wall.as_secs_f64() < ONE_CPU
}
