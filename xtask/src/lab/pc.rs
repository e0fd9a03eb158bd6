//! One PC of the lab: what it runs, and what came of it.
//!
//! A PC keeps hardly more than one processor of this host busy, however many it has itself: its tests run one after the other, and a test waits for its guest.
//! So there are two PCs where this host has two processors. Both have the files for all turns, and each asks for its next one when it is free.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::{self, available_parallelism};

use anyhow::{Context, Result};

use super::equipment::Equipment;
use super::files::Files;
use super::machine::{Ending, Machine};
use super::programs::Program;
use super::queue::{NOTHING_LEFT, Queue};
use super::turn::Turn;
use super::verdict::Verdict;
use crate::repository::Repository;
use crate::test::Show;

/// The first process.
const INIT: &str = include_str!("init.sh");
/// What of the repository is read by tests: attacks; and sources, by which a failed property test finds where to keep what it has found.
const READ: [&str; 3] = ["crates/vmm", "tests/attacks", "tests/mission"];
/// What guards a kernel against speculation guards it here against what is not emulated, and takes its time; and so does one instruction that copies word by word, where
/// a loop is translated as a whole.
const WORDS: &str = "mitigations=off clearcpuid=rep_good";
/// Each takes the memory of a PC, and its files in it.
const MOST: usize = 2;
/// How `init.sh` asks for the number of the next turn.
const ASKS: &str = "lab: next";

/// What all PCs are made with.
pub(super) struct Parts<'a> {
    pub(super) repository: &'a Repository,
    pub(super) equipment: &'a Equipment,
    /// What tests start.
    pub(super) started: Vec<&'a Program>,
    /// The disk with a Debian.
    pub(super) disk: &'a Path,
}

struct Pc<'a> {
    place: PathBuf,
    parts: &'a Parts<'a>,
    queue: &'a Queue<'a>,
    verdict: Verdict,
    pace: Pace,
}

/// Runs these turns in as many PCs as are of use, and tells of each PC how it ended.
pub(super) fn run(parts: &Parts<'_>, turns: Vec<Turn<'_>>) -> Result<Vec<(Verdict, Ending)>> {
    if turns.is_empty() {
        return Ok(Vec::new());
    }
    let many = available_parallelism().map_or(1, usize::from).min(MOST).min(turns.len());
    let pace = if many == 1 { Pace::Lines } else { Pace::Turns };
    let queue = Queue::of(turns);
    write(&initramfs(parts), parts, &queue)?;
    let mut ended = thread::scope(|scope| {
        let pcs: Vec<_> = (1..=many).map(|number| Pc::new(parts, number, &queue, pace)).collect();
        let running: Vec<_> = pcs.into_iter().map(|pc| scope.spawn(move || pc.run())).collect();
        running.into_iter().map(|pc| pc.join().expect("a PC's thread panics")).collect::<Result<Vec<_>>>()
    })?;
    // Where PCs have ended too early.
    while let Some((_, turn)) = queue.take() {
        ended.iter_mut().take(1).for_each(|(verdict, _)| verdict.expect(&turn.name, turn.expected()));
    }
    Ok(ended)
}

/// The files of all PCs.
fn initramfs(parts: &Parts<'_>) -> PathBuf {
    parts.equipment.place().join("initramfs")
}

impl<'a> Pc<'a> {
    fn new(parts: &'a Parts<'a>, number: usize, queue: &'a Queue<'a>, pace: Pace) -> Pc<'a> {
        let place = parts.equipment.place().join(format!("pc{number}"));
        Pc { place, parts, queue, verdict: Verdict::default(), pace }
    }

    /// What has not ended when it stands still has one more chance.
    fn run(mut self) -> Result<(Verdict, Ending)> {
        let ending = self.sit()?;
        let Some(unended) = self.verdict.give_another_chance(&ending) else { return Ok((self.verdict, ending)) };
        println!("\na PC stood still, with this unended: {}; another goes on\n", unended.join(", "));
        unended.iter().for_each(|name| self.queue.put_back(name));
        let ending = self.sit()?;
        Ok((self.verdict, ending))
    }

    /// Runs turns until there is none left, and shows what they say.
    fn sit(&mut self) -> Result<Ending> {
        let Pc { place, parts, queue, verdict, pace } = self;
        std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let mut given: Option<(usize, &Turn<'_>)> = None;
        let mut machine = Machine::start(parts.equipment, place, &initramfs(parts), WORDS, Some(parts.disk))?;
        let mut page = Page { lines: String::new(), pace: *pace };
        let ending = machine.watch(|line| {
            if line.ends_with(ASKS) {
                // An answer may be lost on its way.
                if !given.is_some_and(|(_, turn)| verdict.is_waiting_for(&turn.name)) {
                    given = queue.take();
                    given.iter().for_each(|(_, turn)| verdict.expect(&turn.name, turn.expected()));
                }
                return Some(given.map_or(NOTHING_LEFT, |(number, _)| number).to_string());
            }
            if verdict.read(line) == Show::Yes {
                page.add(line);
            }
            None
        })?;
        if matches!(ending, Ending::TimedOut | Ending::StoodStill) {
            let processors = machine.processors().unwrap_or_else(|error| format!("{error:#}"));
            page.add(&format!("where its processors are:\n{processors}"));
        }
        if !verdict.has_passed(&ending) {
            page.add(&format!("what the lab's kernel said last:\n{}", machine.last_words()));
        }
        page.print();
        Ok(ending)
    }
}

fn write(to: &Path, parts: &Parts<'_>, queue: &Queue<'_>) -> Result<()> {
    let Parts { repository, equipment, started, disk: _ } = parts;
    let mut files = Files::of_system(equipment, INIT)?;
    files.add_kernel("generic-kernel", &equipment.generic_kernel)?;
    files.add_program("lab/s3s-fs", equipment.s3.program())?;
    files.add_program("lab/docker-registry", &equipment.registry)?;
    files.add("lab/init", INIT.as_bytes());
    files.add("lab/turns", queue.list().as_bytes());
    let programs: BTreeMap<&Path, &Program> = queue
        .turns()
        .iter()
        .map(|turn| turn.program)
        .chain(started.iter().copied())
        .map(|program| (program.path.as_path(), program))
        .collect();
    for program in programs.into_values() {
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
