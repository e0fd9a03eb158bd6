//! `firebox keys`, as typed.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use firebox_job::{Ask, ByteSize, CellKind, Grant, Rate};

use crate::args::KindArg;
use crate::duration::parse_duration;

const EXAMPLES: &str = "\
Examples:
  firebox keys create ci
  firebox keys create class-3b --rate 2 --burst 20 --running 2 --queue 50 --cpu-per-day 2h \\
    --languages python --timeout 10s --memory 256M
  firebox keys list
  firebox keys revoke class-3b

  curl localhost:8080/v1/languages -H \"Authorization: Bearer $KEY\"";

/// Creates, lists and revokes the keys of a service.
///
/// A service in whose state directory a key was ever created serves those who show one, from wherever they come, and nobody
/// else. What is created or revoked here holds within a second where the service runs already. Of a key only a hash is kept, so
/// it is shown once, when it is created.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeysArgs {
    /// The state directory of the service [default: where `firebox serve` of this user has it].
    #[arg(long, value_name = "DIRECTORY", env = "FIREBOX_STATE", global = true)]
    pub(crate) state: Option<PathBuf>,
    /// The file with the settings of the service, for the state directory that it names.
    #[arg(long, value_name = "FILE", env = "FIREBOX_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Prints one line of JSON instead.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Creates a key and prints it, this once.
    Create(Box<CreateArgs>),
    /// Lists all keys, those that were revoked among them.
    List,
    /// Revokes a key: nobody is let in by it any more, its jobs that wait are refused when their turn comes, and those that
    /// run come to their end.
    Revoke {
        /// The key's name, or its id: what it begins with.
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
}

/// A key to be created. Limits that are left out are those of everybody.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What to call it. No other key that is good has this name.
    pub(crate) name: String,
    /// Requests per second, in the long run; a fraction is allowed. Beyond it a request is refused with 429.
    #[arg(long, help_heading = "Limits", value_name = "NUMBER")]
    pub(crate) rate: Option<f64>,
    /// Requests at once, after a pause [default: those of one second, and at least one].
    #[arg(long, help_heading = "Limits", value_name = "NUMBER", requires = "rate")]
    pub(crate) burst: Option<NonZeroU32>,
    /// Jobs that run at once. Beyond it a job waits.
    #[arg(long, help_heading = "Limits", value_name = "NUMBER")]
    pub(crate) running: Option<NonZeroU32>,
    /// Jobs that wait. Beyond it a job is refused with 429. In any case no key takes more of the queue than is left to others.
    #[arg(long, help_heading = "Limits", value_name = "NUMBER")]
    pub(crate) queue: Option<u32>,
    /// CPU time of all jobs from one midnight (UTC) to the next, building included, such as `2h`. Once it is used up, no job
    /// begins; what has begun goes on.
    #[arg(long, help_heading = "Limits", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) cpu_per_day: Option<Duration>,
    /// The languages that jobs may be in, by name or alias, with commas between [default: all].
    #[arg(long, help_heading = "Limits", value_name = "LANGUAGES", value_delimiter = ',')]
    pub(crate) languages: Option<Vec<String>>,
    /// The kinds of cell that jobs may run in, with commas between [default: all].
    #[arg(long, help_heading = "Limits", value_name = "KINDS", value_delimiter = ',')]
    pub(crate) isolation: Option<Vec<KindArg>>,
    #[command(flatten)]
    pub(crate) most: MostArgs,
}

/// What one job may ask for at most, where that is less than the service grants. A job that asks for nothing gets no more.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "The most that one job may ask for")]
pub(crate) struct MostArgs {
    /// Wall time of the whole job.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Wall time for building.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) compile_time: Option<Duration>,
    /// Wall time of the run.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) run_time: Option<Duration>,
    /// CPU time of the run.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) cpu_time: Option<Duration>,
    /// Memory of the run, such as `256M`.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,
    /// CPUs that the run may use at once.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) vcpus: Option<u32>,
    /// Processes and threads of the run.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) tasks: Option<u32>,
    /// Files of the run.
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk: Option<ByteSize>,
    /// What is kept of each stream of output.
    #[arg(long, value_name = "SIZE")]
    pub(crate) output: Option<ByteSize>,
    /// Code, files and standard input together.
    #[arg(long, value_name = "SIZE")]
    pub(crate) input: Option<ByteSize>,
}

impl CreateArgs {
    /// What is to be granted, in the words of the domain. Languages are as they were typed.
    pub(crate) fn grant(&self) -> Grant {
        // Exhaustive: a new flag must be decided here.
        let CreateArgs { name: _, rate, burst, running, queue, cpu_per_day, languages, isolation, most } = self;
        let MostArgs { timeout, compile_time, run_time, cpu_time, memory, vcpus, tasks, disk, output, input } = *most;
        // What is no number at all is refused when the grant is checked.
        let of_a_second = |per_second: f64| NonZeroU32::new(per_second.ceil() as u32).unwrap_or(NonZeroU32::MIN);
        Grant {
            rate: rate.map(|per_second| Rate { per_second, burst: burst.unwrap_or(of_a_second(per_second)) }),
            running: *running,
            waiting: *queue,
            cpu_per_day: *cpu_per_day,
            most: Ask {
                timeout,
                compile: compile_time,
                run: run_time,
                cpu: cpu_time,
                memory,
                tasks,
                disk,
                output,
                vcpus,
                input,
            },
            languages: languages.clone(),
            isolation: isolation.as_ref().map(|kinds| kinds.iter().copied().map(CellKind::from).collect()),
        }
    }
}
