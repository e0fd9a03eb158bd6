//! The thread that keeps the shelves as the policy wants them. It decides nothing.
//!
//! It gives way to jobs by when it works, not by its priority: jobs wait for whoever talks to the warden, and a thread of
//! low priority stays in the middle of that when the CPUs are busy. What costs CPU in a new cell is not this thread's.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::pool::policy::Filling;
use crate::pool::shelves::{Errand, Shelves};
use crate::supply::Supply;

/// The filler of some shelves. Its thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Filler {
    shelves: Arc<Shelves>,
    thread: Option<JoinHandle<()>>,
}

impl Filler {
    /// Starts the thread. Not before privileges are dropped: each thread has its own.
    pub(crate) fn start(shelves: Arc<Shelves>, supply: Arc<Supply>) -> io::Result<Filler> {
        let filled = Arc::clone(&shelves);
        let thread = thread::Builder::new().name("filler".to_owned()).spawn(move || fill(&filled, &supply))?;
        Ok(Filler { shelves, thread: Some(thread) })
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        drop(self.shelves.close());
        // It has panicked at worst, and has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn fill(shelves: &Shelves, supply: &Supply) {
    loop {
        match shelves.errand() {
            Errand::End => return,
            Errand::GiveBack(cells) => cells.into_iter().for_each(|cell| supply.discard(cell)),
            Errand::Make(language, filling) => {
                supply.removals.make_room();
                let made = match filling {
                    Filling::Tool => supply.prepare(language),
                    Filling::Nothing => supply.make(language),
                };
                match made {
                    Ok(cell) => {
                        let unwanted = shelves.put(language, cell);
                        unwanted.into_iter().for_each(|cell| supply.discard(cell));
                    }
                    Err(_) => shelves.put_off(language),
                }
            }
        }
    }
}
