//! Lays the groundwork of a language: has what makes it run in a cell, where no job is, and hands out what came of it.

use std::io;
use std::time::{Duration, Instant};

use firebox_job::{Building, ByteSize, Captured, Limits, Policy, Require, Seed, SourcePath, TraceId, Verdict};
use firebox_lang::{Laying, Step};

use crate::course::Course;
use crate::edge::Listeners;
use crate::session::Session;
use crate::{Cancel, Engine, RunError, Stdin};

/// A whole standard library takes a minute to compile, and ten on a machine that has much else to do.
const MOST_TIME: Duration = Duration::from_secs(20 * 60);
/// Bounds of what comes out, several times what languages are known to need.
pub const MOST_FILES: usize = 10_000;
/// See there.
pub const MOST_BYTES: u64 = 1 << 30;

/// Why there is no groundwork.
#[derive(Debug, thiserror::Error)]
pub enum LayingError {
    /// Nothing could be started, or no cell could be had.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What makes it ended otherwise than well.
    #[error("what makes it ended with {verdict}: {said}")]
    Failed {
        /// How it ended.
        verdict: String,
        /// What it said last.
        said: String,
    },
    /// What it says of a file makes no sense.
    #[error("what makes it says {0:?}, which is no file and its place")]
    Line(String),
    /// A file that it has named cannot be had.
    #[error("what makes it has named `{0}`, which is no file or too large")]
    NoFile(String),
    /// It is more than anything that we know.
    #[error("it comes to more than {MOST_FILES} files or {}", ByteSize::bytes(MOST_BYTES))]
    TooMuch,
    /// It could not be kept.
    #[error("cannot keep it")]
    Keep(#[source] io::Error),
}

/// What may be used for a groundwork, on a host where jobs may use this: the operator's wish, and no job's.
pub fn groundwork_policy(policy: Policy) -> Policy {
    let (memory, disk) = (ByteSize::gib(4).min(policy.ceiling.memory), ByteSize::gib(4));
    let building = Building { memory, disk, inodes: 1_000_000, ..policy.building };
    let default = Limits { timeout: MOST_TIME, compile: MOST_TIME, output: ByteSize::mib(4), ..policy.default };
    Policy { default, building, ..policy }
}

impl Engine {
    /// Has the groundwork of a language (by its place in the list) made in a cell, and each file of it taken. None of what comes
    /// out is believed to be more than bytes: paths are what a job's files may have.
    pub fn lay_groundwork(
        &self,
        language: usize,
        take: &mut dyn FnMut(&SourcePath, &[u8]) -> io::Result<()>,
    ) -> Result<(), LayingError> {
        let supply = self.supply();
        let mut session = supply.make(language)?.into_session();
        let installed = &supply.installed[language];
        let laid = match installed.language.laying(&installed.toolchain, session.layout()) {
            Some(laying) => self.lay(&mut session, &laying, take),
            None => Ok(()),
        };
        let removed = supply.removals.remove(session.let_go());
        laid.and(removed.map_err(RunError::from).map_err(LayingError::from))
    }

    fn lay(
        &self,
        session: &mut Session,
        laying: &Laying,
        take: &mut dyn FnMut(&SourcePath, &[u8]) -> io::Result<()>,
    ) -> Result<(), LayingError> {
        session.end_by(Instant::now() + MOST_TIME);
        session.store(&laying.files)?;
        let list = self.made(session, &laying.step)?;
        let lines: Vec<&str> = list.lines().collect();
        if MOST_FILES < lines.len() {
            return Err(LayingError::TooMuch);
        }
        let mut left = MOST_BYTES;
        for line in lines {
            let told = line
                .split_once(' ')
                .and_then(|(name, path)| Some((SourcePath::new(name).ok()?, SourcePath::new(path).ok()?)));
            let (name, path) = told.ok_or_else(|| LayingError::Line(line.chars().take(100).collect()))?;
            let fetched = session.fetch(&name, left)?.ok_or_else(|| LayingError::NoFile(name.to_string()))?;
            left = left.saturating_sub(fetched.file.content.len() as u64);
            take(&path, &fetched.file.content).map_err(LayingError::Keep)?;
        }
        Ok(())
    }

    /// Runs what makes it. The list of what it made.
    fn made(&self, session: &mut Session, step: &Step) -> Result<String, LayingError> {
        let supply = self.supply();
        let (cancel, _canceller) = Cancel::new().map_err(RunError::Wait)?;
        let course = Course {
            trace_id: &TraceId::from_random([0; 16]),
            files: &[],
            steps: std::slice::from_ref(step),
            limits: &supply.policy.default,
            building: &supply.policy.building,
            require: Require::Required,
            seed: Seed::MayBeShared,
            admitted: Instant::now(),
            keeping: None,
        };
        let mut listeners = Listeners { sink: &mut (), cancel: &cancel };
        let (verdict, report) = course.only_step(session, Stdin::Empty, &mut listeners)?;
        if verdict != Verdict::Ok {
            return Err(LayingError::Failed { verdict: verdict.status().to_string(), said: last_of(&report.stderr) });
        }
        Ok(String::from_utf8_lossy(report.stdout.bytes()).into_owned())
    }
}

/// The end of what was said: that is where the reason stands.
fn last_of(said: &Captured) -> String {
    let said = String::from_utf8_lossy(said.bytes());
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
