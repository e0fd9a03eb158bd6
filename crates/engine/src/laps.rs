//! A clock that is read wherever a stage of a job ends.
//!
//! Each reading gives the time since the one before to one stage, so that there are no gaps. A reading is a call of the
//! vDSO: tens of nanoseconds, a dozen times per job.

use std::time::{Duration, Instant};

use firebox_job::Stages;

/// What the stages of a job have taken so far, and when the last of them ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Laps {
    stages: Stages,
    last: Instant,
}

impl Laps {
    /// From this moment on.
    pub(crate) fn since(start: Instant) -> Laps {
        Laps { stages: Stages::default(), last: start }
    }

    /// A stage has ended; it may end once per step.
    pub(crate) fn end(&mut self, stage: impl FnOnce(&mut Stages) -> &mut Duration) {
        let now = Instant::now();
        *stage(&mut self.stages) += now.saturating_duration_since(self.last);
        self.last = now;
    }

    /// What each has taken.
    pub(crate) fn stages(&self) -> Stages {
        self.stages
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    #[test]
    fn stages_leave_no_gap_and_one_that_ends_twice_is_summed() {
        const STEP: Duration = Duration::from_millis(2);
        let start = Instant::now();
        let mut laps = Laps::since(start);
        for _ in 0..2 {
            sleep(STEP);
            laps.end(|stages| &mut stages.store);
            sleep(STEP);
            laps.end(|stages| &mut stages.run);
        }
        let stages = laps.stages();
        assert!(2 * STEP <= stages.store && 2 * STEP <= stages.run, "{stages:?}");
        assert_eq!(stages.sum(), laps.last - start);
    }

    #[test]
    fn a_reading_costs_less_than_a_microsecond() {
        const READINGS: u32 = 10_000;
        let start = Instant::now();
        let mut laps = Laps::since(start);
        for _ in 0..READINGS {
            laps.end(|stages| &mut stages.run);
        }
        // Half of a time slice may go to somebody else meanwhile.
        assert!(start.elapsed() / READINGS < Duration::from_micros(5), "{:?}", start.elapsed());
    }
}
