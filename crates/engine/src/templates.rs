//! The templates of an engine: for each language that can have one, the image that its cells are given a copy of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::RunError;
use crate::image::Image;

/// What copies have in common (where things are in memory, the seed of hashes) does not stay for longer than this.
const RENEWED_AFTER: Duration = Duration::from_secs(10 * 60);

/// The templates of an engine, by the place of their language.
#[derive(Debug)]
pub(crate) struct Templates(Vec<Mutex<State>>);

#[derive(Debug)]
enum State {
    NotMade,
    Made {
        image: Arc<Image>,
        at: Instant,
    },
    /// It cannot be had, or did not prove itself. Tools are started in each cell then.
    Without,
    /// Not even that works.
    NothingAhead,
}

impl Templates {
    /// None yet.
    pub(crate) fn for_so_many(languages: usize) -> Templates {
        Templates((0..languages).map(|_| Mutex::new(State::NotMade)).collect())
    }

    /// The image for a language, made when there is none or when it has become old; none when it cannot be had. Who comes
    /// while it is being made waits: that is never a job, only who prepares for jobs.
    pub(crate) fn get(&self, language: usize, make: impl FnOnce() -> Result<Image, RunError>) -> Option<Arc<Image>> {
        let mut state = self.0.get(language)?.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Without | State::NothingAhead => return None,
            State::Made { image, at } if at.elapsed() < RENEWED_AFTER => return Some(Arc::clone(image)),
            State::Made { .. } | State::NotMade => {}
        }
        match make() {
            Ok(image) => {
                let image = Arc::new(image);
                *state = State::Made { image: Arc::clone(&image), at: Instant::now() };
                Some(image)
            }
            Err(_) => {
                *state = State::Without;
                None
            }
        }
    }

    /// Nothing is started ahead in this language any more.
    pub(crate) fn give_up(&self, language: usize) {
        if let Some(state) = self.0.get(language) {
            *state.lock().unwrap_or_else(PoisonError::into_inner) = State::NothingAhead;
        }
    }

    /// Whether that is so.
    pub(crate) fn are_given_up(&self, language: usize) -> bool {
        let state = self.0.get(language).map(|state| state.lock().unwrap_or_else(PoisonError::into_inner));
        state.is_none_or(|state| matches!(*state, State::NothingAhead))
    }
}
