//! How much is done when all cores are busy: as many clients of one engine as there are cores, against `xargs` over the
//! bare commands.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::bare::{self, WorkDirectory};
use super::hellos::Rows;
use super::row::{Details, Measured};
use super::rows::Bench;
use super::samples::{Pair, rows_side_by_side};
use super::subject::{Subject, seeded};

impl Bench<'_> {
    /// The times are those of a job, so that they can be read next to the others: the whole, divided by the jobs.
    pub(super) fn throughput(&self, subject: &Subject, tool: &Path, rows: Rows) -> Result<(Measured, Details)> {
        let (place, text) = (WorkDirectory::new()?, subject.text(self.root)?);
        let clients = std::thread::available_parallelism()?.get();
        let mut driver = self.driver_with(&[subject], &["--clients".to_owned(), clients.to_string()])?;
        let each = |whole: Duration| whole.div_f64(rows.length.max(1) as f64);
        let mut seeds = 0..;
        let pair: Pair = rows_side_by_side(
            rows.turns,
            1,
            || {
                let whole = driver.jobs(rows.length)?.wall()?;
                driver.settle()?;
                Ok(vec![each(whole)])
            },
            || {
                let sources: Vec<String> =
                    seeds.by_ref().take(rows.length).map(|seed: u64| seeded(&text, seed)).collect();
                Ok(vec![each(bare::at_once(&place, subject, tool, &sources, clients)?)])
            },
        )?;
        Ok((Measured::Pair(pair), Details::default()))
    }
}
