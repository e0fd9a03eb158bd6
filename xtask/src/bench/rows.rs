//! The rows of the table: each asks one question and measures both sides for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::bare::{self, WorkDirectory};
use super::firebox::{CellTimes, Firebox, Jobs, Language, program};
use super::samples::{Pair, side_by_side};
use super::subject::{COMPUTE, HELLOS, Subject, seeded};
use crate::command::Length;
use crate::host_packages::{install, may_install, on_path};
use crate::repository::Repository;

/// Making and removing a jail, by what `bwrap` needs for the same.
const JAIL_TARGET: f64 = 0.7;
/// The language whose jail has the fewest mounts: what is compared is the jail.
const JAIL_LANGUAGE: &str = "bash";

pub(super) struct Row {
    pub(super) what: String,
    pub(super) against: String,
    /// At most this; `None` for a row that is there for information.
    pub(super) target: Option<f64>,
    pub(super) measured: Measured,
}

pub(super) enum Measured {
    Pair(Pair),
    /// The host lacks something: says what.
    Skipped {
        why: String,
    },
    Failed {
        why: String,
    },
}

/// Everything a row needs besides its question.
struct Bench<'a> {
    root: &'a Path,
    firebox: &'a Firebox,
    languages: Vec<Language>,
    length: Length,
}

/// All rows in order, each named before it is measured. A row that fails does not take the others with it.
pub(super) fn measure(repository: &Repository, firebox: &Firebox, length: Length) -> Result<Vec<Row>> {
    let bench = Bench { root: repository.root(), firebox, languages: firebox.languages()?, length };
    let mut rows = Vec::new();
    for subject in &HELLOS {
        rows.push(row(subject.title, &subject.bare_name(), subject.target, bench.tool(subject), |tool| {
            bench.hello(subject, tool)
        }));
    }
    let compute = bench.tool(&COMPUTE);
    rows.push(row(COMPUTE.title, "the same outside", COMPUTE.target, compute, |tool| bench.compute(tool)));
    rows.push(row("making and removing a jail", "bwrap --unshare-all", Some(JAIL_TARGET), bwrap(), |bwrap| {
        bench.jail(bwrap)
    }));
    for subject in &HELLOS {
        let what = format!("whole process: firebox run {}", subject.source);
        rows.push(row(&what, &subject.bare_name(), None, bench.tool(subject), |tool| bench.process(subject, tool)));
    }
    Ok(rows)
}

/// Without its tool, a row is skipped; with it, whatever goes wrong is a failure.
fn row<T>(
    what: &str,
    against: &str,
    target: Option<f64>,
    tool: Result<T>,
    measure: impl FnOnce(&T) -> Result<Pair>,
) -> Row {
    println!("measuring: {what}");
    let measured = match tool {
        Err(error) => Measured::Skipped { why: format!("{error:#}") },
        Ok(tool) => match measure(&tool) {
            Ok(pair) => Measured::Pair(pair),
            Err(error) => Measured::Failed { why: format!("{error:#}") },
        },
    };
    Row { what: what.to_owned(), against: against.to_owned(), target, measured }
}

impl Bench<'_> {
    fn runs(&self, full: usize, quick: usize) -> usize {
        match self.length {
            Length::Full => full,
            Length::Quick => quick,
        }
    }

    /// The resolved compiler or interpreter: the same file that Firebox gives to its cells.
    fn tool(&self, subject: &Subject) -> Result<PathBuf> {
        program(&self.languages, subject.language, subject.tool).map(Path::to_owned)
    }

    fn hello(&self, subject: &Subject, tool: &Path) -> Result<Pair> {
        let (place, text) = (WorkDirectory::new()?, subject.text(self.root)?);
        let mut jobs = self.firebox.jobs(&subject.path(self.root))?;
        let mut seeds = 0..;
        side_by_side(
            self.runs(60, 10),
            || jobs.next::<Jobs>()?.total(),
            || bare::compile_and_run(&place, subject, tool, &seeded(&text, next(&mut seeds))),
        )
    }

    /// The program measures its own work: neither side's start and end are in it, and both sides' programs come
    /// from the same compiler with the same options.
    fn compute(&self, compiler: &Path) -> Result<Pair> {
        let place = WorkDirectory::new()?;
        place.write(COMPUTE.source, &COMPUTE.text(self.root)?)?;
        bare::run(bare::start_tool(&place, &COMPUTE, compiler))?;
        let file = COMPUTE.path(self.root);
        side_by_side(
            self.runs(15, 3),
            || own_time(&self.firebox.stdout_of(&file)?),
            || own_time(&String::from_utf8_lossy(&bare::run(bare::start_program(&place))?.stdout)),
        )
    }

    fn jail(&self, bwrap: &Path) -> Result<Pair> {
        let place = WorkDirectory::new()?;
        let mut cells = self.firebox.cells(JAIL_LANGUAGE)?;
        side_by_side(self.runs(200, 40), || Ok(cells.next::<CellTimes>()?.sum()), || bare::bwrap(bwrap, &place))
    }

    /// From the start of our process to its end, with everything that a server would have done before the job.
    fn process(&self, subject: &Subject, tool: &Path) -> Result<Pair> {
        let (place, our_place, text) = (WorkDirectory::new()?, WorkDirectory::new()?, subject.text(self.root)?);
        let (mut our_seeds, mut seeds) = (0.., 0..);
        side_by_side(
            self.runs(20, 4),
            || {
                let file = our_place.write(subject.source, &seeded(&text, next(&mut our_seeds)))?;
                self.firebox.run(&file)
            },
            || bare::compile_and_run(&place, subject, tool, &seeded(&text, next(&mut seeds))),
        )
    }
}

fn next(seeds: &mut std::ops::RangeFrom<u64>) -> u64 {
    let seed = seeds.start;
    seeds.start += 1;
    seed
}

fn bwrap() -> Result<PathBuf> {
    if on_path("bwrap").is_none() && may_install() {
        install(&["bubblewrap"])?;
    }
    on_path("bwrap").context("`bwrap` is missing; `apt-get install bubblewrap` brings it")
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
    use super::*;

    #[test]
    fn the_programs_own_time_is_its_first_word() {
        assert_eq!(own_time("elapsed_us=1500 primes=3\n").unwrap(), Duration::from_micros(1500));
        assert!(own_time("primes=3").unwrap_err().to_string().contains("primes=3"));
    }

    #[test]
    fn a_missing_tool_skips_its_row_and_a_failing_measurement_fails_it() {
        let skipped = row("a", "b", None, Err::<(), _>(anyhow::anyhow!("no tool")), |()| bail!("not reached"));
        assert!(matches!(skipped.measured, Measured::Skipped { why } if why == "no tool"));
        let failed = row("a", "b", None, Ok(()), |()| bail!("broke"));
        assert!(matches!(failed.measured, Measured::Failed { why } if why == "broke"));
    }
}
