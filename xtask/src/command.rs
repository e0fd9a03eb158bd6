//! The command line of `cargo xtask`: from words to one [`Command`].

use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::lab::Extent;

pub(crate) const HELP: &str = "\
Usage: cargo xtask <command>

  test                          format, lints, house rules, every test, and the README's first command
  attack                        every attack on a cell as a table: what stopped it, as root, as a user, in a fence
  rules                         the house rules alone: edges between crates, where `unsafe` stands, names, lengths
  bench [--quick] [--only WORD] [--to FOLDER]
                                measure Firebox side by side with the same commands started bare, and write the table,
                                the data and a plot to docs/benchmarks; only rows with WORD in their id, to elsewhere
  load [--clients NUMBER] [--seconds NUMBER] [--jobs NUMBER]
                                many clients of one service at once, 64 for 60 s: is every answer right, does nothing
                                grow, is nothing left; then 5000 jobs, and a kill in the middle of them: is none lost
  lab [--full] [--only WORD] | lab --compare
                                the microVM's tests on KVM that runs kernels: on a PC that QEMU emulates, processor and all;
                                with all jobs in microVMs that have one in jails, of which else some are chosen; only what
                                has WORD in its name; or, in there, how fast our monitor boots Debian's kernel next to
                                QEMU's smallest machine
  fuzz [--seconds NUMBER] [--only WORD]
                                what clients, operators and images say, made up by a fuzzer, 60 s for each parser; only
                                those with WORD in their name
  help                          this text";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Test,
    Attack,
    Rules,
    Lab(LabWork),
    Bench(BenchOptions),
    Load(LoadOptions),
    Fuzz(FuzzOptions),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    pub(crate) length: Length,
    /// Only rows with this in their id.
    pub(crate) only: Option<String>,
    /// Where table, data and plot go.
    pub(crate) to: Option<PathBuf>,
}

/// How much is asked of the service, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadOptions {
    pub(crate) clients: NonZeroU32,
    pub(crate) seconds: NonZeroU32,
    /// That outlive a connection.
    pub(crate) jobs: NonZeroU32,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        const CLIENTS: NonZeroU32 = NonZeroU32::new(64).unwrap();
        const SECONDS: NonZeroU32 = NonZeroU32::new(60).unwrap();
        const JOBS: NonZeroU32 = NonZeroU32::new(5000).unwrap();
        LoadOptions { clients: CLIENTS, seconds: SECONDS, jobs: JOBS }
    }
}

/// What is done in the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LabWork {
    Tests {
        /// Only turns with this in their name.
        only: Option<String>,
        extent: Extent,
    },
    Comparison,
}

/// What is fuzzed, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FuzzOptions {
    /// Each target.
    pub(crate) seconds: NonZeroU32,
    /// Only targets with this in their name.
    pub(crate) only: Option<String>,
}

impl Default for FuzzOptions {
    fn default() -> FuzzOptions {
        const SECONDS: NonZeroU32 = NonZeroU32::new(60).unwrap();
        FuzzOptions { seconds: SECONDS, only: None }
    }
}

/// How long a measurement may take.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Under ten minutes: the numbers one publishes.
    #[default]
    Full,
    /// A minute or two: has something become much slower?
    Quick,
}

/// No words at all mean help.
pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Command> {
    let mut words = words;
    let command = match words.next().as_deref() {
        None | Some("help" | "--help" | "-h") => Command::Help,
        Some("test") => Command::Test,
        Some("attack") => Command::Attack,
        Some("rules") => Command::Rules,
        Some("lab") => return Ok(Command::Lab(lab_work(words)?)),
        Some("load") => return Ok(Command::Load(load_options(words)?)),
        Some("fuzz") => return Ok(Command::Fuzz(fuzz_options(words)?)),
        Some("bench") => return Ok(Command::Bench(bench_options(words)?)),
        Some(other) => bail!("there is no `cargo xtask {other}`; `cargo xtask help` lists what there is"),
    };
    match words.next() {
        None => Ok(command),
        Some(word) => bail!("`{word}` is one word too many; see `cargo xtask help`"),
    }
}

fn bench_options(mut words: impl Iterator<Item = String>) -> Result<BenchOptions> {
    let mut options = BenchOptions::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.length = Length::Quick,
            "--only" => match words.next() {
                Some(word) => options.only = Some(word),
                None => bail!("`--only` needs a part of the id of a row, such as `rust`"),
            },
            "--to" => match words.next() {
                Some(folder) => options.to = Some(PathBuf::from(folder)),
                None => bail!("`--to` needs the name of a folder to write to"),
            },
            other => {
                bail!("`cargo xtask bench` has no option `{other}`; it takes --quick, --only WORD and --to FOLDER")
            }
        }
    }
    Ok(options)
}

fn load_options(mut words: impl Iterator<Item = String>) -> Result<LoadOptions> {
    let mut options = LoadOptions::default();
    while let Some(word) = words.next() {
        let number = match word.as_str() {
            "--clients" => &mut options.clients,
            "--seconds" => &mut options.seconds,
            other => {
                bail!("`cargo xtask load` has no option `{other}`; it takes --clients NUMBER and --seconds NUMBER")
            }
        };
        *number = number_after(&word, &mut words)?;
    }
    Ok(options)
}

fn lab_work(words: impl Iterator<Item = String>) -> Result<LabWork> {
    let words: Vec<String> = words.collect();
    let (extent, words) = match words.split_first() {
        Some((full, words)) if full == "--full" => (Extent::Full, words),
        _ => (Extent::Chosen, words.as_slice()),
    };
    match words {
        [] => Ok(LabWork::Tests { only: None, extent }),
        [word] if word == "--compare" && extent == Extent::Chosen => Ok(LabWork::Comparison),
        [only, word] if only == "--only" => Ok(LabWork::Tests { only: Some(word.clone()), extent }),
        [only] if only == "--only" => bail!("`--only` needs a part of the name of a test program, such as `guests`"),
        [.., other] => bail!("`cargo xtask lab` takes --full, --only WORD, --compare or nothing, not `{other}`"),
    }
}

fn fuzz_options(mut words: impl Iterator<Item = String>) -> Result<FuzzOptions> {
    let mut options = FuzzOptions::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => options.seconds = number_after(&word, &mut words)?,
            "--only" => match words.next() {
                Some(word) => options.only = Some(word),
                None => bail!("`--only` needs a part of the name of a target, such as `request`"),
            },
            other => bail!("`cargo xtask fuzz` has no option `{other}`; it takes --seconds NUMBER and --only WORD"),
        }
    }
    Ok(options)
}

fn number_after(word: &str, words: &mut impl Iterator<Item = String>) -> Result<NonZeroU32> {
    let given = words.next().unwrap_or_default();
    given.parse().with_context(|| format!("`{word}` needs a number above zero, not `{given}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn no_words_mean_help() {
        assert_eq!(parsed("").unwrap(), Command::Help);
    }

    #[test]
    fn bench_takes_its_options_in_any_order() {
        let (only, to) = (Some("rust".to_owned()), Some(PathBuf::from("out")));
        let expected = BenchOptions { length: Length::Quick, only, to };
        assert_eq!(parsed("bench --to out --quick --only rust").unwrap(), Command::Bench(expected));
    }

    #[test]
    fn load_has_defaults_for_all_of_its_numbers() {
        assert_eq!(parsed("load").unwrap(), Command::Load(LoadOptions::default()));
        let seconds = NonZeroU32::new(5).unwrap();
        let expected = LoadOptions { seconds, ..LoadOptions::default() };
        assert_eq!(parsed("load --seconds 5").unwrap(), Command::Load(expected));
    }

    #[test]
    fn the_lab_tests_unless_it_is_to_compare() {
        let tests = |only: Option<&str>, extent| Command::Lab(LabWork::Tests { only: only.map(str::to_owned), extent });
        assert_eq!(parsed("lab").unwrap(), tests(None, Extent::Chosen));
        assert_eq!(parsed("lab --only guests").unwrap(), tests(Some("guests"), Extent::Chosen));
        assert_eq!(parsed("lab --full").unwrap(), tests(None, Extent::Full));
        assert_eq!(parsed("lab --full --only output").unwrap(), tests(Some("output"), Extent::Full));
        assert_eq!(parsed("lab --compare").unwrap(), Command::Lab(LabWork::Comparison));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_word() {
        for line in [
            "tset",
            "test fast",
            "attack me",
            "bench --slow",
            "bench --to",
            "bench --only",
            "load --slow",
            "lab --slow",
            "lab --only",
            "lab --compare --compare-what",
            "lab --full --compare",
            "load --clients 0",
        ] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains(line.split(' ').next_back().unwrap()), "{line}: {error}");
        }
    }
}
