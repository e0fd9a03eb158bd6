//! Thousands of jobs in a row: is the last as fast as the first, and do we hold as much memory?

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::bare::{self, WorkDirectory};
use super::driver::Driver;
use super::rows::Bench;
use super::samples::{Pair, Samples};
use super::subject::{Subject, seeded};

/// How far it goes, in jobs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distance {
    pub(super) jobs: usize,
    /// So many at the beginning do not count.
    pub(super) warm_up: usize,
    /// So many after that are compared with so many at the end.
    pub(super) window: usize,
}

/// What the end is by the beginning: 1 when nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Endured {
    /// Of each subject, the ratio to the bare command.
    pub(super) ratios: [f64; 2],
    /// None where we may not look.
    pub(super) memory: Option<f64>,
}

/// Jobs of each of the two languages in a round, and bare commands after them.
const IN_A_ROW: usize = 10;
const BARE: usize = 2;

/// What was measured in one of the two windows.
#[derive(Default)]
struct Window {
    ours: [Vec<Duration>; 2],
    bare: [Vec<Duration>; 2],
    memory: Vec<u64>,
}

impl Bench<'_> {
    /// Two languages in turns, with bare commands in between.
    pub(super) fn endurance(&self, subjects: [(&Subject, &Path); 2], distance: Distance) -> Result<Endured> {
        let Distance { jobs, warm_up, window } = distance;
        ensure!(warm_up + 2 * window <= jobs, "{distance:?} has no two windows");
        let place = WorkDirectory::new()?;
        let texts = [subjects[0].0.text(self.root)?, subjects[1].0.text(self.root)?];
        let mut driver = self.driver(&subjects.map(|(subject, _)| subject))?;
        let (mut first, mut last) = (Window::default(), Window::default());
        let mut done = 0;
        while done < jobs {
            let mut nowhere = Window::default();
            let current = match done {
                _ if (warm_up..warm_up + window).contains(&done) => &mut first,
                _ if jobs - window <= done => &mut last,
                _ => &mut nowhere,
            };
            for place_in_list in 0..subjects.len() {
                let jobs = driver.jobs_of(IN_A_ROW, place_in_list)?;
                let times = jobs.all().iter().map(super::driver::Job::time).collect::<Result<Vec<_>>>()?;
                current.ours[place_in_list].extend(times);
            }
            done += IN_A_ROW * subjects.len();
            driver.settle()?;
            current.memory.extend(self.memory(&driver)?);
            for (number, (subject, tool)) in subjects.iter().enumerate() {
                for seed in 0..BARE {
                    let code = seeded(&texts[number], (done + seed) as u64);
                    current.bare[number].push(bare::compile_and_run(&place, subject, tool, &code)?);
                }
            }
        }
        Ok(Endured {
            ratios: [last.ratio(0) / first.ratio(0), last.ratio(1) / first.ratio(1)],
            memory: last.memory().zip(first.memory()).map(|(last, first)| last / first),
        })
    }

    /// None where we may not look.
    fn memory(&self, driver: &Driver) -> Result<Option<u64>> {
        match rustix::process::geteuid().is_root() {
            true => self.firebox.memory(driver.pid()).map(Some),
            false => Ok(None),
        }
    }
}

impl Window {
    fn ratio(&self, subject: usize) -> f64 {
        let (ours, bare) = (Samples(self.ours[subject].clone()), Samples(self.bare[subject].clone()));
        Pair { ours, bare }.ratio()
    }

    fn memory(&self) -> Option<f64> {
        let mut sorted = self.memory.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|&bytes| bytes as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_a_ratio_per_subject_and_a_median_of_memory() {
        let times = |millis: &[u64]| millis.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        let window = Window {
            ours: [times(&[1, 2, 3]), times(&[30])],
            bare: [times(&[4]), times(&[10])],
            memory: vec![9, 1, 5],
        };
        assert!((window.ratio(0) - 0.5).abs() < 1e-9 && (window.ratio(1) - 3.0).abs() < 1e-9);
        assert_eq!(window.memory(), Some(5.0));
        assert_eq!(Window::default().memory(), None);
    }
}
