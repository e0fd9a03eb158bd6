//! One PC of the lab: what it runs, and what came of it.
//!
//! A PC keeps hardly more than one processor of this host busy, however many it has itself: its tests run one after the other, and a test waits for its guest.
//! So the turns are dealt out to two PCs where this host has two processors.

use std::path::{Path, PathBuf};
use std::thread::{self, available_parallelism};
use std::time::Duration;

use anyhow::{Context, Result};

use super::equipment::Equipment;
use super::files::Files;
use super::machine::{Ending, Machine};
use super::programs::Program;
use super::turn::Turn;
use super::verdict::Verdict;
use crate::repository::Repository;
use crate::test::Show;

/// The first process.
const INIT: &str = include_str!("init.sh");
/// What of the repository is read by tests: seeds; attacks; and sources, by which a failed property test finds where to keep what it has found.
const READ: [&str; 4] = ["crates/vmm", "fuzz/seeds", "tests/attacks", "tests/mission"];
/// Each takes the memory of a PC, and its files in it.
const MOST: usize = 2;

/// What all PCs are made with.
pub(super) struct Parts<'a> {
    pub(super) repository: &'a Repository,
    pub(super) equipment: &'a Equipment,
    /// What tests start.
    pub(super) started: Vec<&'a Program>,
    /// The disk with a Debian.
    pub(super) disk: &'a Path,
}

pub(super) struct Pc<'a> {
    place: PathBuf,
    turns: Vec<Turn<'a>>,
    verdict: Verdict,
}

/// Runs these turns in as many PCs as are of use, and tells of each PC how it ended.
pub(super) fn run<'a>(parts: &Parts<'a>, turns: Vec<Turn<'a>>) -> Result<Vec<(Verdict, Ending)>> {
    let most = available_parallelism().map_or(1, usize::from).min(MOST);
    let pcs: Vec<Pc<'a>> =
        dealt_out(turns, most).into_iter().zip(1..).map(|(turns, number)| Pc::new(parts, number, turns)).collect();
    let show = if pcs.len() == 1 { Pace::Lines } else { Pace::Turns };
    thread::scope(|scope| {
        let running: Vec<_> = pcs.into_iter().map(|pc| scope.spawn(move || pc.run(parts, show))).collect();
        running.into_iter().map(|pc| pc.join().expect("a PC's thread panics")).collect()
    })
}

/// The longest first, each to whoever has least to do.
fn dealt_out(mut turns: Vec<Turn<'_>>, hands: usize) -> Vec<Vec<Turn<'_>>> {
    let mut dealt: Vec<(Duration, Vec<Turn<'_>>)> = Vec::new();
    dealt.resize_with(hands, Default::default);
    turns.sort_by_key(|turn| std::cmp::Reverse(turn.takes()));
    for turn in turns {
        if let Some((busy, hand)) = dealt.iter_mut().min_by_key(|(busy, _)| *busy) {
            *busy += turn.takes();
            hand.push(turn);
        }
    }
    dealt.into_iter().map(|(_, turns)| turns).filter(|turns| !turns.is_empty()).collect()
}

impl<'a> Pc<'a> {
    fn new(parts: &Parts<'_>, number: usize, turns: Vec<Turn<'a>>) -> Pc<'a> {
        let verdict = Verdict::of(turns.iter().map(|turn| (turn.name.as_str(), turn.expected())));
        Pc { place: parts.equipment.place().join(format!("pc{number}")), turns, verdict }
    }

    /// What has not ended when it stands still has one more chance.
    fn run(mut self, parts: &Parts<'a>, pace: Pace) -> Result<(Verdict, Ending)> {
        let mut ending = self.sit(parts, pace)?;
        let unended = self.verdict.give_another_chance(&ending);
        if !unended.is_empty() {
            println!("\nthe PC stood still before the end of {}: once more, in another PC\n", unended.join(", "));
            self.turns.retain(|turn| unended.contains(&turn.name));
            ending = self.sit(parts, pace)?;
        }
        Ok((self.verdict, ending))
    }

    /// Runs its turns, and shows what they say.
    fn sit(&mut self, parts: &Parts<'a>, pace: Pace) -> Result<Ending> {
        std::fs::create_dir_all(&self.place).with_context(|| format!("cannot make {}", self.place.display()))?;
        let initramfs = self.place.join("initramfs");
        write(&initramfs, parts, &self.turns)?;
        let mut machine = Machine::start(parts.equipment, &self.place, &initramfs, Some(parts.disk))?;
        let mut page = Page { lines: String::new(), pace };
        let ending = machine.watch(|line| {
            if self.verdict.read(line) == Show::Yes {
                page.add(line);
            }
        })?;
        if matches!(ending, Ending::TimedOut | Ending::StoodStill) {
            let processors = machine.processors().unwrap_or_else(|error| format!("{error:#}"));
            page.add(&format!("where its processors are:\n{processors}"));
        }
        if !self.verdict.has_passed(&ending) {
            page.add(&format!("what the lab's kernel said last:\n{}", machine.last_words()));
        }
        page.print();
        Ok(ending)
    }
}

fn write(to: &Path, parts: &Parts<'_>, turns: &[Turn<'_>]) -> Result<()> {
    let Parts { repository, equipment, started, disk: _ } = parts;
    let mut files = Files::of_system(equipment, INIT)?;
    files.add_kernel("generic-kernel", &equipment.generic_kernel)?;
    files.add_program("lab/s3s-fs", equipment.s3.program())?;
    files.add_program("lab/docker-registry", &equipment.registry)?;
    files.add("lab/init", INIT.as_bytes());
    files.add("lab/turns", turns.iter().map(Turn::line).collect::<String>().as_bytes());
    for program in turns.iter().map(|turn| turn.program).chain(started.iter().copied()) {
        files.copy_program(&program.path)?;
        files.add_folder(&program.folder);
    }
    for file in repository.files()?.iter().filter(|file| READ.iter().any(|folder| file.starts_with(folder))) {
        files.copy(&repository.root().join(file))?;
    }
    files.write(to)
}

/// How what tests say is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// As it comes.
    Lines,
    /// All that a turn has said, at its end: two PCs talk at the same time.
    Turns,
}

/// What is still to be shown.
struct Page {
    lines: String,
    pace: Pace,
}

impl Page {
    fn add(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
        if self.pace == Pace::Lines || line.starts_with("lab: ") && line.contains(" ended with ") {
            self.print();
        }
    }

    fn print(&mut self) {
        print!("{}", std::mem::take(&mut self.lines));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::every_kind::{Kinds, Test, TestsOfFile};
    use crate::lab::turn::Extent;

    #[test]
    fn each_turn_is_dealt_out_once_and_nobody_has_much_more_to_do_than_the_others() {
        let list: Vec<TestsOfFile> = (1..8)
            .map(|many| TestsOfFile {
                file: format!("file{many}"),
                kinds: Kinds::Every,
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
        let turns = || Turn::in_every_kind(&list, &programs, Extent::Full).unwrap();
        let names = |turns: &[Turn<'_>]| turns.iter().map(|turn| turn.name.clone()).collect::<Vec<_>>();
        let dealt = dealt_out(turns(), 2);
        let [one, other] = dealt.as_slice() else { panic!("not two") };
        let (mut all, mut expected) = ([names(one), names(other)].concat(), names(&turns()));
        all.sort();
        expected.sort();
        assert_eq!(all, expected);
        let takes = |turns: &[Turn<'_>]| turns.iter().map(Turn::takes).sum::<Duration>();
        let (one, other) = (takes(one), takes(other));
        assert!(one.abs_diff(other) * 10 < one + other, "{one:?} and {other:?}");
        assert_eq!(dealt_out(turns().into_iter().take(1).collect(), 2).len(), 1);
        assert_eq!(dealt_out(turns(), 1).len(), 1);
    }
}
