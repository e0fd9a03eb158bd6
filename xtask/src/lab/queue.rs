//! The turns that wait, for all PCs: whichever is free takes the next, so that none is done long before the others.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::turn::Turn;

pub(super) struct Queue<'a> {
    turns: Vec<Turn<'a>>,
    /// Which of them, in their order.
    waiting: Mutex<VecDeque<usize>>,
}

/// What a PC is told that has nothing left to do: no line's number.
pub(super) const NOTHING_LEFT: usize = 0;

impl<'a> Queue<'a> {
    /// The longest first: what begins last should not take long.
    pub(super) fn of(mut turns: Vec<Turn<'a>>) -> Queue<'a> {
        turns.sort_by_key(|turn| std::cmp::Reverse(turn.takes()));
        let waiting = Mutex::new((0..turns.len()).collect());
        Queue { turns, waiting }
    }

    pub(super) fn turns(&self) -> &[Turn<'a>] {
        &self.turns
    }

    /// The next, and the number by which PCs know it: that of its line in [`Queue::list`].
    pub(super) fn take(&self) -> Option<(usize, &Turn<'a>)> {
        let at = self.waiting().pop_front()?;
        Some((at + 1, &self.turns[at]))
    }

    /// Somebody has to take it once more, before all others.
    pub(super) fn put_back(&self, name: &str) {
        let at = self.turns.iter().position(|turn| turn.name == name).expect("it was taken from here");
        self.waiting().push_front(at);
    }

    /// For `init.sh`, which is told a line's number.
    pub(super) fn list(&self) -> String {
        self.turns.iter().map(Turn::line).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::lab::every_kind::{Kinds, Test, TestsOfFile};
    use crate::lab::programs::Program;
    use crate::lab::turn::Extent;

    #[test]
    fn each_is_taken_once_the_longest_first_and_what_is_put_back_before_all_others() {
        let list: Vec<TestsOfFile> = (1..4)
            .map(|many| TestsOfFile {
                file: format!("file{many}"),
                kinds: Kinds::MicroVms,
                tests: (0..many).map(|number| Test { name: format!("test{number}"), is_chosen: true }).collect(),
            })
            .collect();
        let program = |file: &TestsOfFile| Program {
            name: file.file.clone(),
            path: PathBuf::from("/t/p"),
            folder: PathBuf::from("/r"),
            is_test: true,
        };
        let programs: Vec<Program> = list.iter().map(program).collect();
        let queue = Queue::of(Turn::in_every_kind(&list, &programs, Extent::Full).unwrap());
        let take = || queue.take().map(|(number, turn)| (number, turn.name.as_str()));
        assert_eq!(take(), Some((1, "file3:microvm")));
        assert_eq!(take(), Some((2, "file2:microvm")));
        queue.put_back("file3:microvm");
        assert_eq!(take(), Some((1, "file3:microvm")));
        assert_eq!(take(), Some((3, "file1:microvm")));
        assert_eq!(take(), None);
        let list = queue.list();
        for (line, turn) in list.lines().zip(queue.turns()) {
            assert!(line.starts_with(&format!("{} ", turn.name)), "{list}");
        }
    }
}
