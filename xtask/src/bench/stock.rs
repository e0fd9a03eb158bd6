//! What it costs to keep cells ready: memory while they wait, CPU time and time to make them so.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::driver::StockTimes;
use super::row::millis;
use super::rows::Bench;
use super::samples::Samples;

/// Of one cell that waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    pub(super) memory_kib: f64,
    pub(super) cpu_ms: f64,
    pub(super) time_ms: f64,
}

/// The first ones have parts in them that all share.
const BEFORE: usize = 2;

impl Bench<'_> {
    /// Of one of `cells` cells for a language, when others are there already.
    pub(super) fn cost_of_a_cell(&self, language: &str, cells: usize) -> Result<Cost> {
        ensure!(rustix::process::geteuid().is_root(), "only root can see how much memory a cell's processes hold");
        let mut driver = self.firebox.stock(language)?;
        for _ in 0..BEFORE {
            driver.next::<StockTimes>()?;
        }
        let before = driver.settle()?;
        let memory_before = self.firebox.memory(driver.pid())?;
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..cells {
            times.push(driver.next::<StockTimes>()?.prepare());
        }
        let after = driver.settle()?;
        let each = |all: f64| all / cells.max(1) as f64;
        let memory = self.firebox.memory(driver.pid())?.saturating_sub(memory_before);
        let cpu = after.cpu_before_looking().saturating_sub(before.cpu());
        Ok(Cost {
            memory_kib: each(memory as f64 / 1024.0),
            cpu_ms: each(cpu.as_secs_f64() * 1000.0),
            time_ms: millis(&Samples(times), 0.5),
        })
    }
}
