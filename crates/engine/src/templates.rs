//! The templates of an engine: for each language that can have one, what its cells are given a copy of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use firebox_lang::{Sighting, Step};

use crate::RunError;
use crate::image::Image;

/// What copies have in common (where things are in memory, the seed of hashes) does not stay for longer than this. What could not
/// be had is tried again then, too: it may have been for lack of time or memory, which a job can bring about.
const RENEWED_AFTER: Duration = Duration::from_secs(10 * 60);

/// What cells are given a copy of.
#[derive(Debug)]
pub(crate) struct Template {
    /// What the process was when it was frozen.
    pub(crate) image: Image,
    /// What it was started as: the step that it serves, or what does the same as that.
    pub(crate) tool: Step,
}

/// The templates of an engine, by the place of their language.
#[derive(Debug)]
pub(crate) struct Templates(Vec<Mutex<State>>);

#[derive(Debug)]
enum State {
    NotMade,
    Made {
        template: Arc<Template>,
        at: Instant,
        /// What the toolchain looked like before.
        of: Option<Vec<Sighting>>,
    },
    /// It could not be had then, or did not prove itself. Tools are started in each cell.
    Without {
        since: Instant,
    },
    /// Not even that worked.
    NothingAhead {
        since: Instant,
    },
}

impl Templates {
    /// None yet.
    pub(crate) fn for_so_many(languages: usize) -> Templates {
        Templates((0..languages).map(|_| Mutex::new(State::NotMade)).collect())
    }

    /// The template of a language, made when there is none, when it has become old, or when its toolchain does not look any more
    /// as it did; none when it cannot be had. Who comes while it is being made waits: that is never a job, only who prepares
    /// for jobs.
    pub(crate) fn get(
        &self,
        language: usize,
        seen: Option<Vec<Sighting>>,
        make: impl FnOnce() -> Result<Template, RunError>,
    ) -> Option<Arc<Template>> {
        let mut state = self.0.get(language)?.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Without { since } | State::NothingAhead { since } if since.elapsed() < RENEWED_AFTER => return None,
            State::Made { template, at, of } if at.elapsed() < RENEWED_AFTER && *of == seen => {
                return Some(Arc::clone(template));
            }
            State::Made { .. } | State::Without { .. } | State::NothingAhead { .. } | State::NotMade => {}
        }
        match make() {
            Ok(template) => {
                let template = Arc::new(template);
                *state = State::Made { template: Arc::clone(&template), at: Instant::now(), of: seen };
                Some(template)
            }
            Err(_) => {
                *state = State::Without { since: Instant::now() };
                None
            }
        }
    }

    /// The template of a language if there is one now: for a job, which waits for nobody. One that has more to do before it asks
    /// for something is of use only where there is time for that. The toolchain is looked at only when there is one.
    pub(crate) fn at_hand(
        &self,
        language: usize,
        look: impl FnOnce() -> Option<Vec<Sighting>>,
    ) -> Option<Arc<Template>> {
        match &*self.0.get(language)?.try_lock().ok()? {
            State::Made { template, at, of } if at.elapsed() < RENEWED_AFTER && template.image.asks() => {
                (*of == look()).then(|| Arc::clone(template))
            }
            State::Made { .. } | State::NotMade | State::Without { .. } | State::NothingAhead { .. } => None,
        }
    }

    /// For now, nothing is started ahead in this language any more.
    pub(crate) fn give_up(&self, language: usize) {
        if let Some(state) = self.0.get(language) {
            let since = Instant::now();
            *state.lock().unwrap_or_else(PoisonError::into_inner) = State::NothingAhead { since };
        }
    }

    /// Whether that is so.
    pub(crate) fn are_given_up(&self, language: usize) -> bool {
        let state = self.0.get(language).map(|state| state.lock().unwrap_or_else(PoisonError::into_inner));
        state.is_none_or(|state| match *state {
            State::NothingAhead { since } => since.elapsed() < RENEWED_AFTER,
            State::NotMade | State::Made { .. } | State::Without { .. } => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use firebox_job::StepKind;
    use firebox_lang::Marks;

    use super::*;
    use crate::image::ImageBuilder;

    fn seen(changed: i64) -> Vec<Sighting> {
        let marks = Marks { device: 1, inode: 2, size: 3, modified: (4, 5), changed: (changed, 0) };
        vec![Sighting { path: "/bin/tool".into(), marks: Some(marks) }]
    }

    fn template() -> Result<Template, RunError> {
        let tool = Step {
            name: "run".to_owned(),
            kind: StepKind::Run,
            argv: Vec::new(),
            env: Vec::new(),
            crash_codes: Vec::new(),
            makes: None,
        };
        Ok(Template { image: ImageBuilder::new()?.finish(true)?, tool })
    }

    #[test]
    fn a_template_is_of_one_toolchain_and_goes_with_it() {
        let templates = Templates::for_so_many(1);
        assert!(templates.at_hand(0, || panic!("it is looked at")).is_none());
        let first = templates.get(0, Some(seen(1)), template).unwrap();
        let again = templates.get(0, Some(seen(1)), || panic!("it is there")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(templates.at_hand(0, || Some(seen(1))).is_some_and(|same| Arc::ptr_eq(&first, &same)));
        // Another toolchain, or one that can no longer be looked at.
        assert!(templates.at_hand(0, || Some(seen(2))).is_none());
        assert!(templates.at_hand(0, || None).is_none());
        let other = templates.get(0, Some(seen(2)), template).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
    }

    fn given_up(since: Instant) -> Templates {
        Templates(vec![Mutex::new(State::NothingAhead { since })])
    }

    #[test]
    fn what_could_not_be_started_is_left_alone_for_a_while_and_tried_again() {
        let now = given_up(Instant::now());
        assert!(now.are_given_up(0));
        assert!(now.get(0, None, || panic!("it is tried")).is_none());
        // A host that has just started has no such time.
        let Some(long_ago) = Instant::now().checked_sub(RENEWED_AFTER) else { return };
        let then = given_up(long_ago);
        assert!(!then.are_given_up(0));
        let mut tried = false;
        let made = then.get(0, None, || {
            tried = true;
            Err(RunError::Silent { doing: "try" })
        });
        assert!(tried && made.is_none());
        // From here on tools are started in each cell, for as long.
        assert!(!then.are_given_up(0));
        assert!(then.get(0, None, || panic!("it is tried at once")).is_none());
    }
}
