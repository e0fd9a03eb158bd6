//! The rows of the table: each asks one question and measures both sides for it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::bare::{self, WorkDirectory};
use super::driver::{CellTimes, Driver};
use super::endurance::{Distance, Endured};
use super::firebox::{Firebox, Language, WARM, program};
use super::hellos::Rows;
use super::row::{CpuTime, Details, Measured, Row, Target};
use super::samples::side_by_side;
use super::stock::Cost;
use super::subject::{COMPUTE, HELLOS, LEDGER, RUST_AGAIN, Subject, UNUSUAL};
use crate::command::Length;
use crate::host_packages::needed;
use crate::repository::Repository;

/// The language whose cells have the fewest mounts: what is measured is the cell.
const PLAINEST: &str = "bash";

/// Everything a row needs besides its question.
pub(super) struct Bench<'a> {
    pub(super) root: &'a Path,
    pub(super) firebox: &'a Firebox,
    languages: Vec<Language>,
    /// What this version's driver can do.
    offers: Vec<String>,
    length: Length,
    /// Only rows with this in their id.
    only: Option<&'a str>,
    rows: Vec<Row>,
}

/// What a row asks.
pub(super) struct Question {
    id: String,
    what: String,
    against: String,
    target: Option<Target>,
}

/// Measures every row that is asked for, in order. A row that fails does not take the others with it.
pub(super) fn measure(
    repository: &Repository,
    firebox: &Firebox,
    length: Length,
    only: Option<&str>,
) -> Result<Vec<Row>> {
    let (languages, offers) = (firebox.languages()?, firebox.offers()?);
    let mut bench = Bench { root: repository.root(), firebox, languages, offers, length, only, rows: Vec::new() };
    bench.latencies();
    bench.cells();
    bench.work();
    bench.service();
    bench.images(repository);
    bench.endurances();
    bench.for_information();
    Ok(bench.rows)
}

impl Bench<'_> {
    /// One job next to one bare command, back to back.
    fn latencies(&mut self) {
        for subject in HELLOS.iter().chain([&LEDGER]) {
            self.compared(subject, |bench, tool| bench.back_to_back(subject, tool, bench.rows_for(subject)));
        }
        let kept = self.needs("kept", "results of compilers that are kept");
        self.row_if(kept, of_subject(&RUST_AGAIN), |bench| {
            bench.back_to_back(&RUST_AGAIN, &bench.tool(&RUST_AGAIN)?, bench.rows_for(&RUST_AGAIN))
        });
        for subject in &UNUSUAL {
            self.compared(subject, |bench, tool| {
                let Rows { turns, length } = bench.rows_for(subject);
                bench.back_to_back(subject, tool, Rows { turns: turns.div_ceil(2), length })
            });
        }
    }

    /// Cells by themselves.
    fn cells(&mut self) {
        let against = "bwrap --unshare-all";
        let question = Question::new("jail", "making and removing a jail", against, Some(Target::Ratio(0.7)));
        self.row_if(bwrap(), question, |bench| {
            let (bwrap, place) = (bwrap()?, WorkDirectory::new()?);
            let mut cells = bench.firebox.cells(PLAINEST)?;
            let ours = || Ok(cells.next::<CellTimes>()?.sum());
            let pair = side_by_side(bench.runs(300, 40), ours, || bare::bwrap(&bwrap, &place))?;
            Ok((Measured::Pair(pair), Details::default()))
        });
        let target = Target::Times { median: 0.3, last_hundredth: 1.0 };
        let warm = self.needs("warm", "cells that are kept warm");
        self.row_if(warm, Question::new("warm_cell", "taking a warm cell", "-", Some(target)), |bench| {
            let bash = hello("bash")?;
            bench.taking_a_cell(bash, Rows { turns: bench.runs(20, 3), length: 50 })
        });
    }

    /// How much is done.
    fn work(&mut self) {
        let target = COMPUTE.target.map(Target::Ratio);
        let question = Question::new(COMPUTE.id, COMPUTE.title, "the same outside", target);
        self.row_if(self.tool(&COMPUTE), question, |bench| bench.compute(&bench.tool(&COMPUTE)?));
        let rows = [
            ("rust", "Rust hello, never seen, on all cores", 1.5, 24),
            ("python", "Python hello on all cores", 3.0, 60),
        ];
        for (id, what, least, length) in rows {
            let Ok(subject) = hello(id) else { continue };
            let question = Question::new(
                &format!("{id}_throughput"),
                what,
                "xargs over the same",
                Some(Target::TimesAsMuch(least)),
            );
            self.row_if(self.tool(subject), question, |bench| {
                bench.throughput(subject, &bench.tool(subject)?, Rows { turns: bench.runs(8, 2), length })
            });
        }
    }

    /// The same engine behind HTTP.
    fn service(&mut self) {
        let Ok(shortest) = hello(PLAINEST) else { return };
        let target = Target::Times { median: 0.5, last_hundredth: 2.0 };
        let question = Question::new("http_added", "what HTTP adds to a Bash hello", "-", Some(target));
        self.row_if(self.tool(shortest), question, |bench| {
            bench.added_by_http(shortest, Rows { turns: bench.runs(20, 3), length: 50 })
        });
        for (id, what, length) in [
            ("rust", "Rust hello, never seen, through HTTP, on all cores", 24),
            ("python", "Python hello through HTTP, on all cores", 60),
            ("bash", "Bash hello through HTTP, on all cores", 120),
        ] {
            let Ok(subject) = hello(id) else { continue };
            let question =
                Question::new(&format!("{id}_http"), what, "the engine without it", Some(Target::Ratio(1.05)));
            self.row_if(self.tool(subject), question, |bench| {
                bench.throughput_of_http(subject, Rows { turns: bench.runs(12, 3), length })
            });
        }
    }

    /// Ten thousand in a row.
    fn endurances(&mut self) {
        let distance = match self.length {
            Length::Full => Distance { jobs: 10_000, warm_up: 500, window: 1_000 },
            Length::Quick => Distance { jobs: 600, warm_up: 100, window: 200 },
        };
        let jobs = distance.jobs;
        let question = |id: &str, what: &str, most| {
            let what = format!("{what} at the end of {jobs} jobs, by that at the beginning");
            Question::new(&format!("endurance_{id}"), &what, "itself before", Some(Target::Within(most)))
        };
        let questions = [
            question("bash", "Bash's ratio to bare", 0.10),
            question("python", "Python's ratio to bare", 0.10),
            question("memory", "our memory", 0.05),
        ];
        if !self.is_asked_for(&questions) {
            return;
        }
        println!("measuring: {jobs} jobs in a row");
        let endured = (|| {
            let (bash, python) = (hello("bash")?, hello("python")?);
            let (bash_tool, python_tool) = (self.tool(bash)?, self.tool(python)?);
            self.endurance([(bash, &bash_tool), (python, &python_tool)], distance)
        })();
        for (place, question) in questions.into_iter().enumerate() {
            let measured = match &endured {
                Err(error) => Measured::Failed { why: format!("{error:#}") },
                Ok(Endured { ratios, memory }) => match ratios.get(place).copied().or(*memory) {
                    Some(ours) => Measured::Number { ours, bare: None, unit: "" },
                    None => Measured::Skipped { why: "only root can see how much memory we hold".to_owned() },
                },
            };
            self.rows.push(question.answered(measured, Details::default()));
        }
    }

    /// What has no target, and is good to know.
    fn for_information(&mut self) {
        for subject in &HELLOS {
            let mut question = of_subject(subject);
            question.id += "_paced";
            question.what += ", paced";
            question.target = None;
            self.row_if(self.tool(subject), question, |bench| {
                bench.paced(subject, &bench.tool(subject)?, bench.runs(60, 8))
            });
        }
        for subject in &HELLOS {
            let mut question = of_subject(subject);
            question.id += "_process";
            question.what = format!("cold start: the whole of firebox run {}", subject.source);
            question.target = None;
            self.row_if(self.tool(subject), question, |bench| {
                bench.process(subject, &bench.tool(subject)?, bench.runs(20, 4))
            });
        }
        for subject in &HELLOS {
            let what = format!("cold start: {}, first job of an engine", subject.title);
            let question = Question::new(&format!("{}_first", subject.id), &what, "-", None);
            self.row_if(self.tool(subject), question, |bench| bench.first_job(subject, bench.runs(9, 3)));
        }
        self.cpu_times();
        for subject in &HELLOS {
            self.cost_of_keeping(subject);
        }
    }

    /// As it was found while the hellos were measured.
    fn cpu_times(&mut self) {
        let known: Vec<(String, String, String, CpuTime)> = self
            .rows
            .iter()
            .filter_map(|row| {
                let cpu = row.details.cpu?;
                Some((row.id.clone(), row.what.clone(), row.against.clone(), cpu))
            })
            .collect();
        for (id, what, against, CpuTime { ours, bare }) in known {
            let question = Question::new(&format!("{id}_cpu"), &format!("CPU time per job: {what}"), &against, None);
            let measured = Measured::Number { ours, bare: Some(bare), unit: "ms" };
            self.rows.push(question.answered(measured, Details::default()));
        }
    }

    fn cost_of_keeping(&mut self, subject: &Subject) {
        let question = |id: &str, what: &str| {
            let what = format!("{what} for {}", subject.language);
            Question::new(&format!("{}_{id}", subject.id), &what, "-", None)
        };
        let questions = [
            question("cell_memory", "memory of a cell that waits"),
            question("cell_cpu", "CPU time of making a cell ready"),
            question("cell_time", "time to make a cell ready"),
        ];
        if !self.is_asked_for(&questions) {
            return;
        }
        println!("measuring: cells that wait, for {}", subject.language);
        let cost = self.tool(subject).map(|_| self.cost_of_a_cell(subject.language, self.runs(16, 4)));
        for (place, question) in questions.into_iter().enumerate() {
            let measured = match &cost {
                Err(error) => Measured::Skipped { why: format!("{error:#}") },
                Ok(Err(error)) => Measured::Failed { why: format!("{error:#}") },
                Ok(Ok(Cost { memory_kib, cpu_ms, time_ms })) => {
                    let (ours, unit) = [(*memory_kib, "KiB"), (*cpu_ms, "ms"), (*time_ms, "ms")][place];
                    Measured::Number { ours, bare: None, unit }
                }
            };
            self.rows.push(question.answered(measured, Details::default()));
        }
    }
}

impl Bench<'_> {
    fn compared(&mut self, subject: &Subject, measure: impl FnOnce(&Self, &Path) -> Result<(Measured, Details)>) {
        self.row_if(self.tool(subject), of_subject(subject), |bench| measure(bench, &bench.tool(subject)?));
    }

    /// Without what it needs, a row is skipped; with it, whatever goes wrong is a failure.
    pub(super) fn row_if<T>(
        &mut self,
        needed: Result<T>,
        question: Question,
        measure: impl FnOnce(&Self) -> Result<(Measured, Details)>,
    ) {
        if !self.is_asked_for(std::slice::from_ref(&question)) {
            return;
        }
        println!("measuring: {}", question.what);
        let start = Instant::now();
        let (measured, details) = match needed {
            Err(error) => (Measured::Skipped { why: format!("{error:#}") }, Details::default()),
            Ok(_) => measure(self)
                .unwrap_or_else(|error| (Measured::Failed { why: format!("{error:#}") }, Details::default())),
        };
        if Duration::from_secs(30) < start.elapsed() {
            println!("  which took {:.0} s", start.elapsed().as_secs_f64());
        }
        self.rows.push(question.answered(measured, details));
    }

    pub(super) fn is_asked_for(&self, questions: &[Question]) -> bool {
        self.only.is_none_or(|only| questions.iter().any(|question| question.id.contains(only)))
    }

    pub(super) fn runs(&self, full: usize, quick: usize) -> usize {
        match self.length {
            Length::Full => full,
            Length::Quick => quick,
        }
    }

    /// What takes less time is measured more often.
    pub(super) fn rows_for(&self, subject: &Subject) -> Rows {
        let (turns, length) = match subject.id {
            "bash" => (12, 60),
            "rust_ledger" | "rust_release" => (8, 12),
            _ => (10, 18),
        };
        Rows { turns: self.runs(turns, 2), length: self.runs(length, length / 2) }
    }

    /// The resolved compiler or interpreter: the same file that Firebox gives to its cells.
    pub(super) fn tool(&self, subject: &Subject) -> Result<PathBuf> {
        program(&self.languages, subject.language, subject.tool).map(Path::to_owned)
    }

    pub(super) fn needs(&self, option: &str, what: &str) -> Result<()> {
        match self.offers.iter().any(|offer| offer == option) {
            true => Ok(()),
            false => bail!("needs {what}, which this version has not"),
        }
    }

    /// Our side, with all that this version has.
    pub(super) fn driver(&self, subjects: &[&Subject]) -> Result<Driver> {
        self.driver_with(subjects, &[])
    }

    /// The same with some more options.
    pub(super) fn driver_with(&self, subjects: &[&Subject], options: &[String]) -> Result<Driver> {
        let options: Vec<String> = with_all(&self.offers).into_iter().chain(options.iter().cloned()).collect();
        self.firebox.jobs(self.root, subjects, &options)
    }

    /// The same on an image of a store.
    pub(super) fn driver_on_image(&self, subject: &Subject, home: &Path, image: &str) -> Result<Driver> {
        let options = with_all(&self.offers).into_iter().chain(["--image".to_owned(), image.to_owned()]);
        self.firebox.jobs_on(self.root, subject, &options.collect::<Vec<_>>(), home)
    }

    pub(super) fn languages(&self) -> &[Language] {
        &self.languages
    }

    /// The program measures its own work: neither side's start and end are in it, and both sides' programs come
    /// from the same compiler with the same options.
    fn compute(&self, compiler: &Path) -> Result<(Measured, Details)> {
        let place = WorkDirectory::new()?;
        place.write(COMPUTE.source, &COMPUTE.text(self.root)?)?;
        bare::run(bare::start_tool(&place, &COMPUTE, compiler))?;
        let file = COMPUTE.path(self.root);
        let pair = side_by_side(
            self.runs(11, 2),
            || own_time(&self.firebox.stdout_of(&file)?),
            || own_time(&String::from_utf8_lossy(&bare::run(bare::start_program(&place))?.stdout)),
        )?;
        Ok((Measured::Pair(pair), Details::default()))
    }
}

impl Question {
    pub(super) fn new(id: &str, what: &str, against: &str, target: Option<Target>) -> Question {
        Question { id: id.to_owned(), what: what.to_owned(), against: against.to_owned(), target }
    }

    fn answered(self, measured: Measured, details: Details) -> Row {
        let Question { id, what, against, target } = self;
        Row { id, what, against, target, measured, details }
    }
}

/// The options with which our side has all that this version has.
fn with_all(offers: &[String]) -> Vec<String> {
    let all: [(&str, &[&str]); 2] = [("warm", &["--warm", WARM]), ("kept", &["--kept"])];
    let there_are = all.into_iter().filter(|(name, _)| offers.iter().any(|offer| offer == name));
    there_are.flat_map(|(_, words)| words).map(|&word| word.to_owned()).collect()
}

fn of_subject(subject: &Subject) -> Question {
    Question::new(subject.id, subject.title, &subject.bare_name(), subject.target.map(Target::Ratio))
}

pub(super) fn hello(id: &str) -> Result<&'static Subject> {
    HELLOS.iter().find(|subject| subject.id == id).with_context(|| format!("there is no hello `{id}`"))
}

fn bwrap() -> Result<PathBuf> {
    needed("bwrap", "bubblewrap")
}

/// `elapsed_us=1234 ...`, as the program prints it.
fn own_time(stdout: &str) -> Result<Duration> {
    let word = stdout.split_whitespace().next().unwrap_or_default();
    match word.strip_prefix("elapsed_us=").and_then(|digits| digits.parse().ok()) {
        Some(micros) => Ok(Duration::from_micros(micros)),
        None => bail!("the program did not say how long it took; it printed `{}`", stdout.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Verdict;
    use super::*;

    fn bench<'a>(firebox: &'a Firebox, only: Option<&'a str>) -> Bench<'a> {
        let offers = vec!["warm".to_owned()];
        Bench { root: Path::new("/"), firebox, languages: vec![], offers, length: Length::Quick, only, rows: vec![] }
    }

    fn question(id: &str) -> Question {
        Question::new(id, "a", "b", None)
    }

    #[test]
    fn the_programs_own_time_is_its_first_word() {
        assert_eq!(own_time("elapsed_us=1500 primes=3\n").unwrap(), Duration::from_micros(1500));
        assert!(own_time("primes=3").unwrap_err().to_string().contains("primes=3"));
    }

    #[test]
    fn what_is_lacking_skips_its_row_and_a_failing_measurement_fails_it() {
        let firebox = Firebox::new(PathBuf::from("/nonexistent"));
        let mut bench = bench(&firebox, None);
        let lacking = bench.needs("kept", "what is kept");
        bench.row_if(lacking, question("x"), |_| bail!("not reached"));
        let there = bench.needs("warm", "warm cells");
        bench.row_if(there, question("y"), |_| bail!("broke"));
        let [skipped, failed] = bench.rows.as_slice() else { panic!("two rows, not {}", bench.rows.len()) };
        assert!(matches!(&skipped.measured, Measured::Skipped { why } if why.starts_with("needs what is kept")));
        assert!(matches!(&failed.measured, Measured::Failed { why } if why == "broke"));
    }

    #[test]
    fn our_side_has_all_that_is_offered_and_nothing_that_is_not() {
        let with = |offers: &[&str]| with_all(&offers.iter().map(|&offer| offer.to_owned()).collect::<Vec<_>>());
        assert_eq!(with(&["same", "clients"]), [""; 0]);
        assert_eq!(with(&["kept", "warm"]), ["--warm", WARM, "--kept"]);
    }

    #[test]
    fn rows_that_are_not_asked_for_are_left_out() {
        let firebox = Firebox::new(PathBuf::from("/nonexistent"));
        let mut bench = bench(&firebox, Some("rust"));
        for id in ["rust_paced", "bash"] {
            let measured = || Ok((Measured::Number { ours: 1.0, bare: None, unit: "" }, Details::default()));
            bench.row_if(Ok(()), question(id), |_| measured());
        }
        assert_eq!(bench.rows.len(), 1);
        assert_eq!(bench.rows[0].verdict(), Verdict::Information);
    }
}
