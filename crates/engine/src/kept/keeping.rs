//! One job's way to the store, and back with what it made.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use firebox_job::{Building, ByteSize, Captured, CellKind, Job, StepKind, StepReport, Usage, Verdict};
use firebox_lang::Step;

use super::build::{Build, Said};
use super::key::Ingredients;
use super::{Kept, Key, Partition};
use crate::capture::Capture;
use crate::edge::Listeners;
use crate::session::Session;
use crate::{Installed, RunError, Sink, Stream};

/// What a build may have made to be kept: far more than a program that people wait for, and a fraction of the store.
const MOST_FETCHED: u64 = 16 << 20;

/// One job's way to the store.
pub(crate) struct Keeping<'a> {
    kept: &'a Kept,
    partition: &'a Partition,
    key: Key,
    /// The steps that build.
    building: &'a [Step],
}

/// A build that did not have to be made.
pub(crate) struct Served {
    pub(crate) reports: Vec<StepReport>,
    /// Nothing but `Ok`, unless nobody listens any more.
    pub(crate) verdict: Verdict,
}

/// Nothing yet.
impl Default for Served {
    fn default() -> Served {
        Served { reports: Vec::new(), verdict: Verdict::Ok }
    }
}

/// A job that was admitted, and what its language needs on this host.
pub(crate) struct Admitted<'a> {
    pub(crate) job: &'a Job,
    pub(crate) installed: &'a Installed,
    /// In the layout that most cells have.
    pub(crate) steps: &'a [Step],
    pub(crate) building: &'a Building,
    /// What kind of cell it will have.
    pub(crate) cell: CellKind,
}

impl<'a> Keeping<'a> {
    /// For a job that has something to keep. Of use only in a cell where builds do not depend on which cell it is.
    pub(crate) fn begin(kept: &'a Kept, partition: &'a Partition, admitted: Admitted<'a>) -> Option<Keeping<'a>> {
        let Admitted { job, installed, steps, building, cell } = admitted;
        let Installed { language, toolchain, .. } = installed;
        if !language.is_repeatable(&job.sources) {
            return None;
        }
        let runs = steps.iter().position(|step| step.kind == StepKind::Run)?;
        let sightings = installed.look()?;
        let key = Key::of(Ingredients {
            partition,
            language: language.name(),
            toolchain,
            sightings: &sightings,
            steps: &steps[..runs],
            files: job.sources.files(),
            building,
            cell,
        });
        Some(Keeping { kept, partition, key, building: &steps[..runs] })
    }

    /// Whether what the job would build is there, as far as can be told without looking at it.
    pub(crate) fn is_served(&self) -> bool {
        self.kept.has(self.partition, self.key)
    }

    /// Puts what was kept into the cell, and says again what was said when it was built; none if it is not there.
    pub(crate) fn serve(
        &self,
        session: &mut Session,
        output: ByteSize,
        listeners: &mut Listeners<'_>,
    ) -> Result<Option<Served>, RunError> {
        let began = Instant::now();
        let Some(build) = self.kept.find(self.partition, self.key) else { return Ok(None) };
        build.files.iter().try_for_each(|file| session.store_made(file))?;
        let mut served = Served::default();
        for Said { step, stdout, stderr } in &build.steps {
            let mut say = |stream, bytes| {
                let (captured, is_heard) = say_again(bytes, stream, output, listeners.sink);
                if !is_heard {
                    served.verdict = Verdict::Cancelled;
                }
                captured
            };
            let (stdout, stderr) = (say(Stream::Stdout, stdout), say(Stream::Stderr, stderr));
            served.reports.push(StepReport {
                name: step.clone(),
                kind: StepKind::Build,
                exit_code: served.verdict.exit_code(),
                kept: true,
                wall: Duration::ZERO,
                usage: Usage::default(),
                stdout,
                stderr,
            });
            if served.verdict != Verdict::Ok {
                break;
            }
        }
        // All of it took one time, which is the first step's.
        if let Some(first) = served.reports.first_mut() {
            first.wall = began.elapsed();
        }
        Ok(Some(served))
    }

    /// Keeps what the steps have made, all of which have built successfully. To be called before anything else runs in the
    /// cell: a program could change what it was made of.
    pub(crate) fn keep(&self, session: &mut Session, reports: &[StepReport]) -> Result<(), RunError> {
        let said = reports.iter().map(|report| Said::whole(&report.name, &report.stdout, &report.stderr));
        let Some(said) = said.collect::<Option<Vec<Said>>>() else { return Ok(()) };
        let made: BTreeSet<_> = self.building.iter().filter_map(|step| step.makes.as_ref()).collect();
        let (mut files, mut blocks, mut growth) = (Vec::new(), 0, None);
        let mut left = MOST_FETCHED;
        for path in made {
            let Some(fetched) = session.fetch(path, left)? else { return Ok(()) };
            left -= fetched.file.content.len() as u64;
            blocks = i64::try_from(fetched.blocks).unwrap_or(i64::MAX).saturating_add(blocks);
            growth = Some(fetched.since_stored);
            files.push(fetched.file);
        }
        // Whatever else a build has left, or changed, the program could read: then what it made is not all of it.
        let is_all = growth.is_some_and(|growth| growth.inodes == files.len() as i64 && growth.blocks == blocks);
        if is_all {
            self.kept.put(self.partition, self.key, Build::new(files, said));
        }
        Ok(())
    }
}

/// What a stream's bytes come to for a job that is granted so much of them, and whether somebody listened.
fn say_again(bytes: &[u8], stream: Stream, output: ByteSize, sink: &mut dyn Sink) -> (Captured, bool) {
    let mut capture = Capture::new(output);
    let within = capture.push(bytes);
    let is_heard = within.is_empty() || sink.output(StepKind::Build, stream, within).is_ok();
    (capture.finish(), is_heard)
}

/// For whoever plays a course without a language.
#[cfg(test)]
impl<'a> Keeping<'a> {
    pub(crate) fn of_steps(kept: &'a Kept, partition: &'a Partition, building: &'a [Step]) -> Keeping<'a> {
        Keeping { kept, partition, key: Key::numbered(1), building }
    }

    /// Has this kept, as the one file that an earlier build made.
    pub(crate) fn fill(&self, content: &[u8]) {
        let path = self.building[0].makes.clone().expect("it makes something");
        let file = super::build::MadeFile { path, content: content.to_vec(), is_executable: true };
        let said = Said::whole("compile", &Captured::default(), &Captured::whole(b"a warning".to_vec()));
        self.kept.put(self.partition, self.key, Build::new(vec![file], vec![said.expect("nothing was cut")]));
    }

    /// What is kept, file by file.
    pub(crate) fn files(&self) -> Option<Vec<Vec<u8>>> {
        let build = self.kept.find(self.partition, self.key)?;
        Some(build.files.iter().map(|file| file.content.clone()).collect())
    }
}
