//! What became of the jobs in microVMs: how many there were, by what they were limited, and which ways of ending were reached.

use std::collections::BTreeSet;

use super::turn::Extent;

/// What a job can end as, but for what only a fence tells, and for what a signal to firebox does, which prints no response.
const STATUSES: [&str; 9] = [
    "memory_limit",
    "disk_limit",
    "cpu_limit",
    "timeout",
    "signaled",
    "compiler_crash",
    "compile_error",
    "runtime_error",
    "ok",
];
/// What a job can be limited by in its cell.
const LIMITS: [&str; 9] =
    ["--timeout", "--compile-time", "--run-time", "--cpu-time", "--memory", "--tasks", "--disk", "--output", "--vcpus"];
/// Each boots a machine.
const MOST_CHOSEN: usize = 40;
/// How the tests' kit tells of them. One that goes on from a snapshot is told otherwise, and boots none.
const BEGUN: &str = "a job in a microvm";
const ENDED: &str = "a job in a microvm ended: ";
const LIMITED: &str = "a job in a microvm limited by: ";

#[derive(Debug, Default)]
pub(super) struct Census {
    begun: usize,
    ended: BTreeSet<String>,
    limited: BTreeSet<String>,
}

impl Census {
    pub(super) fn read(&mut self, line: &str) {
        if line == BEGUN {
            self.begun += 1;
        } else if let Some(status) = line.strip_prefix(ENDED) {
            self.ended.insert(status.to_owned());
        } else if let Some(limit) = line.strip_prefix(LIMITED) {
            self.limited.insert(limit.to_owned());
        }
    }

    pub(super) fn add(&mut self, other: Census) {
        self.begun += other.begun;
        self.ended.extend(other.ended);
        self.limited.extend(other.limited);
    }

    /// What is wrong with that, for a run of all turns.
    pub(super) fn complaint(&self, extent: Extent) -> Option<String> {
        for (all, seen, what) in [(&STATUSES, &self.ended, "ended as"), (&LIMITS, &self.limited, "been limited by")] {
            let missing: Vec<&str> = all.iter().filter(|one| !seen.contains(**one)).copied().collect();
            if !missing.is_empty() {
                return Some(format!("no job in a microVM has {what} {}", missing.join(", ")));
            }
        }
        let too_many = extent == Extent::Chosen && MOST_CHOSEN < self.begun;
        too_many.then(|| format!("{} jobs have booted a microVM, and {MOST_CHOSEN} are the most each time", self.begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(jobs: usize, statuses: &[&str], limits: &[&str]) -> Census {
        let mut census = Census::default();
        (0..jobs).for_each(|_| census.read("a job in a microvm"));
        statuses.iter().for_each(|status| census.read(&format!("a job in a microvm ended: {status}")));
        limits.iter().for_each(|limit| census.read(&format!("a job in a microvm limited by: {limit}")));
        census.read("test a_job_in_a_microvm ... ok");
        census
    }

    #[test]
    fn each_status_and_each_limit_has_to_be_reached_by_at_most_forty_jobs() {
        assert_eq!(census(40, &STATUSES, &LIMITS).complaint(Extent::Chosen), None);
        assert_eq!(census(400, &STATUSES, &LIMITS).complaint(Extent::Full), None);
        let too_many = census(41, &STATUSES, &LIMITS).complaint(Extent::Chosen);
        assert!(too_many.is_some_and(|why| why.contains("41 jobs")));
        for extent in [Extent::Chosen, Extent::Full] {
            let missing = census(9, &STATUSES[1..], &LIMITS).complaint(extent);
            assert!(missing.is_some_and(|why| why.contains("memory_limit")));
            let missing = census(9, &STATUSES, &LIMITS[1..]).complaint(extent);
            assert!(missing.is_some_and(|why| why.contains("--timeout")));
        }
    }
}
