//! The limits of a job as flags.

use std::time::Duration;

use clap::Args;
use firebox_job::{Ask, ByteSize};

use crate::duration::parse_duration;

/// The limits of a job. What is left out has its default; zero, and what is above the ceiling, is refused.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Wall time of the whole job, such as `10s`, `500ms` or `2m`; a plain number is seconds [default: 60s].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Wall time for building the program [default: 30s].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration)]
    pub(crate) compile_time: Option<Duration>,
    /// Wall time of the run [default: 10s].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration)]
    pub(crate) run_time: Option<Duration>,
    /// CPU time of the run, summed over its processes and threads [default: run time times CPUs].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = parse_duration)]
    pub(crate) cpu_time: Option<Duration>,
    /// Memory of the run, such as `512M` or `1G`; a plain number is bytes [default: 512M].
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) memory: Option<ByteSize>,
    /// The same, as a number of MiB.
    #[arg(long, value_name = "MIB", conflicts_with = "memory", value_parser = parse_mib)]
    pub(crate) mem: Option<ByteSize>,
    /// CPUs that the run may use at once [default: 1].
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) vcpus: Option<u32>,
    /// Processes and threads of the run at once [default: 64].
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) tasks: Option<u32>,
    /// Files of the run, in its work directory and `/tmp` [default: 64M].
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) disk: Option<ByteSize>,
    /// How much is kept of standard output, and as much of standard error; beyond it the middle is dropped
    /// [default: 1M].
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) output: Option<ByteSize>,
    /// Code and files together; standard input passes through and does not count [default: 8M].
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) input: Option<ByteSize>,
}

impl LimitArgs {
    /// What is asked for, in the words of the domain.
    pub(crate) fn ask(&self) -> Ask {
        // Exhaustive: a new flag must be decided here.
        let LimitArgs { timeout, compile_time, run_time, cpu_time, memory, mem, vcpus, tasks, disk, output, input } =
            *self;
        let memory = memory.or(mem);
        Ask { timeout, compile: compile_time, run: run_time, cpu: cpu_time, memory, tasks, disk, output, vcpus, input }
    }
}

pub(super) fn parse_mib(words: &str) -> Result<ByteSize, String> {
    let mib: Option<u64> = words.parse().ok();
    let bytes = mib.and_then(|mib| mib.checked_mul(1 << 20)).map(ByteSize::bytes);
    bytes.ok_or_else(|| format!("`{words}` is not a number of MiB, such as `512`; `--memory` takes sizes such as `1G`"))
}

/// The flag that sets the limit which the domain calls so.
pub(crate) fn flag_of(limit: &str) -> &'static str {
    match limit {
        "timeout" => "--timeout",
        "compile_seconds" => "--compile-time",
        "run_seconds" => "--run-time",
        "cpu_seconds" => "--cpu-time",
        "memory_mb" => "--memory",
        "vcpus" => "--vcpus",
        "tasks" => "--tasks",
        "disk_mb" => "--disk",
        "output_kb" => "--output",
        "input" => "--input",
        _ => "one of the flags under Limits in `firebox run --help`",
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use clap::CommandFactory;
    use firebox_job::{Limits, Policy};

    use super::*;
    use crate::args::Args;

    /// Help is written by hand, the policy is what applies: each default that the help names is the policy's.
    #[test]
    fn the_defaults_in_the_help_are_those_that_apply() {
        let Limits { timeout, compile, run, memory, vcpus, tasks, disk, output, input, .. } =
            Policy::for_host(NonZeroU32::MIN, ByteSize::gib(1)).default;
        let command = Args::command();
        let run_command = command.find_subcommand("run").unwrap();
        let check = |flag: &str, applies: &dyn Fn(&str) -> bool| {
            let argument = run_command.get_arguments().find(|argument| argument.get_long() == Some(flag)).unwrap();
            let help = argument.get_help().unwrap().to_string();
            let named = help.rsplit_once("[default: ").and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
            assert!(applies(named), "--{flag}: the help says {named:?}");
        };
        for (flag, duration) in [("timeout", timeout), ("compile-time", compile), ("run-time", run)] {
            check(flag, &|named| parse_duration(named) == Ok(duration));
        }
        for (flag, size) in [("memory", memory), ("disk", disk), ("output", output), ("input", input)] {
            check(flag, &|named| named.parse() == Ok(size));
        }
        for (flag, number) in [("vcpus", vcpus), ("tasks", tasks)] {
            check(flag, &|named| named.parse() == Ok(number));
        }
    }
}
