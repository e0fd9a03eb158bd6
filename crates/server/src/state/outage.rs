//! A disk that takes or gives nothing: said when it begins, again now and then, and when it is over, however many are affected.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::StateError;
use crate::answer::in_one_line;

/// How soon it is said again.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether there is one, and what of it has been said.
#[derive(Debug)]
pub(super) struct Outage {
    /// What cannot be done: "written" or "read".
    what: &'static str,
    directory: PathBuf,
    since: Option<Instant>,
    said: Option<Instant>,
    /// How often it has failed since it was said last.
    unsaid: u64,
}

/// What there is to say.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Fails { times: u64 },
    Over { lasted: Duration },
}

impl Outage {
    pub(super) fn of(what: &'static str, directory: &Path) -> Outage {
        Outage { what, directory: directory.to_owned(), since: None, said: None, unsaid: 0 }
    }

    /// It failed, by no fault of what was to be done.
    pub(super) fn fails(&mut self, error: &StateError) {
        if let Some(Word::Fails { times }) = self.failed(Instant::now()) {
            let (cause, directory) = (in_one_line(error), self.directory.display());
            error!(cause, times, %directory, "jobs that are kept cannot be {}; look at the disk, it is tried again", self.what);
        }
    }

    /// It went well.
    pub(super) fn passes(&mut self) {
        if let Some(Word::Over { lasted }) = self.passed(Instant::now()) {
            info!(seconds = lasted.as_secs_f64(), "jobs that are kept can be {} again", self.what);
        }
    }

    fn failed(&mut self, now: Instant) -> Option<Word> {
        self.since.get_or_insert(now);
        self.unsaid += 1;
        // One that comes and goes is said no more often than one that stays.
        if self.said.is_some_and(|said| now.duration_since(said) < PAUSE) {
            return None;
        }
        self.said = Some(now);
        Some(Word::Fails { times: std::mem::take(&mut self.unsaid) })
    }

    fn passed(&mut self, now: Instant) -> Option<Word> {
        let since = self.since.take()?;
        // Nobody waits to hear that something is over that they never heard of.
        self.said.filter(|said| since <= *said).map(|_| Word::Over { lasted: now.duration_since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_begins_now_and_then_and_when_it_is_over() {
        let mut outage = Outage::of("written", Path::new("/a"));
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(outage.passed(at(0)), None);
        assert_eq!(outage.failed(at(1)), Some(Word::Fails { times: 1 }));
        let said: Vec<Word> = (2..=61).filter_map(|second| outage.failed(at(second))).collect();
        assert_eq!(said, [Word::Fails { times: 60 }]);
        assert_eq!(outage.passed(at(71)), Some(Word::Over { lasted: Duration::from_secs(70) }));
        assert_eq!(outage.passed(at(72)), None);
    }

    #[test]
    fn one_that_comes_and_goes_is_not_said_each_time() {
        let mut outage = Outage::of("written", Path::new("/a"));
        let begin = Instant::now();
        let said = (0..1200).filter_map(|tenth| {
            let now = begin + Duration::from_millis(100 * tenth);
            if tenth % 2 == 0 { outage.failed(now) } else { outage.passed(now) }
        });
        assert_eq!(said.count(), 4);
    }
}
