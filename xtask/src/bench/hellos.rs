//! One program, ours next to bare: back to back, as when jobs keep coming, and paced, when each finds us at rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::bare::{self, WorkDirectory};
use super::driver::{Driver, Job};
use super::row::{CpuTime, Details, Measured};
use super::rows::Bench;
use super::samples::{Pair, Samples, rows_side_by_side, side_by_side};
use super::subject::{Subject, seeded};

/// How often, and how many in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) turns: usize,
    pub(super) length: usize,
}

impl Rows {
    /// Of a row, so many at its beginning do not count: they find what was made ready while the other side was measured.
    pub(super) fn not_counted(self) -> usize {
        self.length / 3
    }
}

/// Turns that are thrown away.
pub(super) const WARM_UP: usize = 1;

/// Ours, what they were made of.
#[derive(Default)]
struct Ours {
    stages: BTreeMap<String, Vec<f64>>,
    cpu: Duration,
    bare_cpu: Duration,
    jobs: u32,
}

impl Bench<'_> {
    /// Rows of jobs without a pause, in turns with rows of bare commands.
    pub(super) fn back_to_back(&self, subject: &Subject, tool: &Path, rows: Rows) -> Result<(Measured, Details)> {
        let mut driver = self.driver(&[subject])?;
        self.rows_of(&mut driver, subject, tool, rows)
    }

    fn rows_of(&self, driver: &mut Driver, subject: &Subject, tool: &Path, rows: Rows) -> Result<(Measured, Details)> {
        let (place, text) = (WorkDirectory::new()?, subject.text(self.root)?);
        let mut seeds = 0..;
        let ours = std::cell::RefCell::new(Ours::default());
        let mut before = driver.settle()?;
        let pair = rows_side_by_side(
            rows.turns,
            WARM_UP,
            || {
                let jobs = driver.jobs(rows.length)?;
                let after = driver.settle()?;
                let mut ours = ours.borrow_mut();
                ours.cpu += after.cpu_before_looking().saturating_sub(before.cpu());
                ours.jobs += u32::try_from(rows.length)?;
                before = after;
                jobs.all().iter().skip(rows.not_counted()).map(|job| ours.note(job)).collect()
            },
            || {
                let before = bare::cpu_time()?;
                let code = || seeded(&text, seeds.next().unwrap_or_default());
                let times = std::iter::repeat_with(code)
                    .take(rows.length)
                    .map(|code| bare::compile_and_run(&place, subject, tool, &code))
                    .collect::<Result<Vec<_>>>()?;
                ours.borrow_mut().bare_cpu += bare::cpu_time()?.saturating_sub(before);
                Ok(times.into_iter().skip(rows.not_counted()).collect())
            },
        )?;
        Ok((Measured::Pair(pair), ours.into_inner().details()))
    }

    /// Single jobs, each when nothing of ours goes on, in turns with single bare commands.
    pub(super) fn paced(&self, subject: &Subject, tool: &Path, runs: usize) -> Result<(Measured, Details)> {
        let (place, text) = (WorkDirectory::new()?, subject.text(self.root)?);
        let mut driver = self.driver(&[subject])?;
        let mut ours = Ours::default();
        let mut seeds = 0..;
        let pair = side_by_side(
            runs,
            || {
                let job = driver.job()?;
                // Before the other side is measured, and before our next.
                driver.settle()?;
                ours.note(&job)
            },
            || bare::compile_and_run(&place, subject, tool, &seeded(&text, seeds.next().unwrap_or_default())),
        )?;
        Ok((Measured::Pair(pair), Details { stages: ours.details().stages, cpu: None }))
    }

    /// How long a job of an engine takes that has just started.
    pub(super) fn first_job(&self, subject: &Subject, starts: usize) -> Result<(Measured, Details)> {
        let mut times = Vec::new();
        for _ in 0..starts {
            times.push(self.driver(&[subject])?.job()?.time()?);
        }
        let ours = super::row::millis(&Samples(times), 0.5);
        Ok((Measured::Number { ours, bare: None, unit: "ms" }, Details::default()))
    }

    /// How long it takes to have a cell, for jobs that come back to back.
    pub(super) fn taking_a_cell(&self, subject: &Subject, rows: Rows) -> Result<(Measured, Details)> {
        let mut driver = self.driver(&[subject])?;
        let mut times = Vec::new();
        for turn in 0..rows.turns + WARM_UP {
            let jobs = driver.jobs(rows.length)?;
            driver.settle()?;
            if WARM_UP <= turn {
                times.extend(jobs.all().iter().map(Job::taking).collect::<Result<Vec<_>>>()?);
            }
        }
        Ok((Measured::Times(Samples(times)), Details::default()))
    }

    /// From the start of our process to its end, with everything that a server would have done before the job.
    pub(super) fn process(&self, subject: &Subject, tool: &Path, runs: usize) -> Result<(Measured, Details)> {
        let (place, our_place, text) = (WorkDirectory::new()?, WorkDirectory::new()?, subject.text(self.root)?);
        let (mut our_seeds, mut seeds) = (0.., 0..);
        let pair: Pair = side_by_side(
            runs,
            || {
                let code = seeded(&text, our_seeds.next().unwrap_or_default());
                self.firebox.run(&our_place.write(subject.source, &code)?)
            },
            || bare::compile_and_run(&place, subject, tool, &seeded(&text, seeds.next().unwrap_or_default())),
        )?;
        Ok((Measured::Pair(pair), Details::default()))
    }
}

impl Ours {
    fn note(&mut self, job: &Job) -> Result<Duration> {
        for (stage, micros) in &job.stages_us {
            self.stages.entry(stage.clone()).or_default().push(*micros);
        }
        job.time()
    }

    fn details(self) -> Details {
        let Ours { stages, cpu, bare_cpu, jobs } = self;
        let stages = stages.into_iter().map(|(stage, micros)| (stage, median(micros))).collect();
        let per_job = |cpu: Duration| cpu.as_secs_f64() * 1000.0 / f64::from(jobs.max(1));
        Details { stages: Some(stages), cpu: Some(CpuTime { ours: per_job(cpu), bare: per_job(bare_cpu) }) }
    }
}

fn median(micros: Vec<f64>) -> f64 {
    let samples = micros.into_iter().map(|micros| Duration::from_secs_f64(micros.max(0.0) / 1e6)).collect();
    Samples(samples).median().as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_our_jobs_is_medians_of_stages_and_cpu_time_per_job() {
        let mut ours =
            Ours { cpu: Duration::from_millis(30), bare_cpu: Duration::from_millis(60), jobs: 3, ..Ours::default() };
        for cell in [5.0, 1.0, 3.0] {
            let json = format!(r#"{{"status":"ok","stdout":"hello 1","total_us":9,"stages_us":{{"cell":{cell}}}}}"#);
            ours.note(&serde_json::from_str(&json).unwrap()).unwrap();
        }
        let Details { stages, cpu } = ours.details();
        assert_eq!(stages.unwrap(), BTreeMap::from([("cell".to_owned(), 3.0)]));
        assert_eq!(cpu, Some(CpuTime { ours: 10.0, bare: 20.0 }));
    }
}
