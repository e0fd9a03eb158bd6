//! What one job may consume: asked for by a client, granted within the operator's policy.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::{ByteSize, Policy};

/// What one job may consume. A `Limits` that came from [`Limits::within`] always fits the operator's ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of the whole job from admission; past it the job ends as `timeout`.
    pub timeout: Duration,
    /// Wall time of all build steps together; past it the job ends as `timeout` in that step.
    pub compile: Duration,
    /// Wall time of the run; past it the job ends as `timeout`.
    pub run: Duration,
    /// CPU time of the run summed over its tasks; past it the job ends as `cpu_limit`.
    pub cpu: Duration,
    /// Memory of the run; past it the kernel kills, and the job ends as `memory_limit`.
    pub memory: ByteSize,
    /// Live processes and threads of the run; at the limit `fork` fails with EAGAIN and the run goes on.
    pub tasks: NonZeroU32,
    /// Bytes the run may put into its work directory and `/tmp`; past it writes fail with ENOSPC.
    pub disk: ByteSize,
    /// Files and directories the run may make; past it creating fails with ENOSPC.
    pub inodes: u32,
    /// What is kept of each output stream; past it the middle is dropped and the run goes on.
    pub output: ByteSize,
    /// CPUs the run may use at once.
    pub vcpus: NonZeroU32,
    /// Code, files and stdin together; a job above it is refused.
    pub input: ByteSize,
}

/// What a client asks for; `None` leaves the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// See [`Limits::timeout`].
    pub timeout: Option<Duration>,
    /// See [`Limits::compile`].
    pub compile: Option<Duration>,
    /// See [`Limits::run`].
    pub run: Option<Duration>,
    /// See [`Limits::cpu`].
    pub cpu: Option<Duration>,
    /// See [`Limits::memory`].
    pub memory: Option<ByteSize>,
    /// See [`Limits::tasks`].
    pub tasks: Option<u32>,
    /// See [`Limits::disk`].
    pub disk: Option<ByteSize>,
    /// See [`Limits::output`].
    pub output: Option<ByteSize>,
    /// See [`Limits::vcpus`].
    pub vcpus: Option<u32>,
    /// See [`Limits::input`].
    pub input: Option<ByteSize>,
}

/// Why an [`Ask`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Zero would mean "nothing" to one reader and "no limit" to another.
    #[error("limit `{name}` is zero; give it a value, or leave it out for the default")]
    Zero {
        /// The limit's name.
        name: &'static str,
    },
    /// Refused, not clamped: nobody runs under limits they did not ask for.
    #[error("limit `{name}` asks for {asked}, the ceiling is {ceiling}; ask for less")]
    AboveCeiling {
        /// The limit's name.
        name: &'static str,
        /// What was asked for.
        asked: String,
        /// What is the most there is.
        ceiling: String,
    },
    /// A part of the job may take no longer than the whole.
    #[error("limit `{name}` asks for {asked}, and no more than {whole} fit; raise {limited_by} as well")]
    AboveWhole {
        /// The limit's name.
        name: &'static str,
        /// What was asked for.
        asked: String,
        /// What the whole may take.
        whole: String,
        /// The limits that say so.
        limited_by: &'static str,
    },
    /// Below this, not even an interpreter starts, and the message would blame the program.
    #[error("limit `{name}` asks for {asked}, the least that works is {least}; ask for more")]
    TooLittle {
        /// The limit's name.
        name: &'static str,
        /// What was asked for.
        asked: String,
        /// What is the least there is.
        least: String,
    },
}

impl LimitsError {
    /// The limit at fault.
    pub fn name(&self) -> &'static str {
        match self {
            LimitsError::Zero { name }
            | LimitsError::AboveCeiling { name, .. }
            | LimitsError::AboveWhole { name, .. }
            | LimitsError::TooLittle { name, .. } => name,
        }
    }
}

impl Limits {
    /// Whether the run's CPU time is all that its wall time and its CPUs allow, as it is where nobody asked for less.
    pub fn is_cpu_of_whole_run(&self) -> bool {
        self.run.saturating_mul(self.vcpus.get()) <= self.cpu
    }

    /// The least memory a run can be given: smaller control groups kill even `true`.
    pub const LEAST_MEMORY: ByteSize = ByteSize::mib(4);
    /// The least disk: the source and a little room must fit.
    pub const LEAST_DISK: ByteSize = ByteSize::kib(64);
    /// The least output kept: enough for a message's head and tail.
    pub const LEAST_OUTPUT: ByteSize = ByteSize::kib(1);

    /// Resolves an ask against the operator's policy.
    pub fn within(ask: Ask, policy: &Policy) -> Result<Limits, LimitsError> {
        // Exhaustive: a new limit must be decided here.
        let Ask { timeout, compile, run, cpu, memory, tasks, disk, output, vcpus, input } = ask;
        let Policy { default, ceiling, building: _ } = policy;

        let timeout = granted("timeout", timeout.map(Seconds), Seconds(default.timeout), Seconds(ceiling.timeout))?.0;
        // The parts' defaults are cut to fit the whole; asked for by name, they must fit by themselves.
        let part = |name, asked: Option<Duration>, default: Duration, ceiling: Duration| {
            let most = ceiling.min(timeout);
            fits(name, asked, timeout, ceiling, "`timeout`")?;
            granted(name, asked.map(Seconds), Seconds(default.min(most)), Seconds(most))
        };
        let compile = part("compile_seconds", compile, default.compile, ceiling.compile)?.0;
        let run = part("run_seconds", run, default.run, ceiling.run)?.0;
        let vcpus = NonZeroU32::new(granted("vcpus", vcpus, default.vcpus.get(), ceiling.vcpus.get())?);
        let vcpus = vcpus.ok_or(LimitsError::Zero { name: "vcpus" })?;
        let all_of_the_run = run.saturating_mul(vcpus.get());
        fits("cpu_seconds", cpu, all_of_the_run, ceiling.cpu, "`run_seconds` or `vcpus`")?;
        let most_cpu = Seconds(all_of_the_run.min(ceiling.cpu));
        let cpu = granted("cpu_seconds", cpu.map(Seconds), most_cpu, most_cpu)?.0;
        let tasks = NonZeroU32::new(granted("tasks", tasks, default.tasks.get(), ceiling.tasks.get())?);
        let tasks = tasks.ok_or(LimitsError::Zero { name: "tasks" })?;
        let memory = granted("memory_mb", memory, default.memory, ceiling.memory)?;
        let disk = granted("disk_mb", disk, default.disk, ceiling.disk)?;
        let output = granted("output_kb", output, default.output, ceiling.output)?;
        Ok(Limits {
            timeout,
            compile,
            run,
            cpu,
            memory: at_least("memory_mb", memory, Limits::LEAST_MEMORY)?,
            tasks,
            disk: at_least("disk_mb", disk, Limits::LEAST_DISK)?,
            inodes: default.inodes,
            output: at_least("output_kb", output, Limits::LEAST_OUTPUT)?,
            vcpus,
            input: granted("input", input, default.input, ceiling.input)?,
        })
    }
}

/// A duration as limits show it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

/// The one thing all kinds of limit must be able to say of themselves.
trait Amount: Copy + PartialOrd + fmt::Display {
    fn is_zero(self) -> bool;
}

impl Amount for Seconds {
    fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl Amount for ByteSize {
    fn is_zero(self) -> bool {
        self.as_u64() == 0
    }
}

impl Amount for u32 {
    fn is_zero(self) -> bool {
        self == 0
    }
}

fn granted<T: Amount>(name: &'static str, asked: Option<T>, default: T, ceiling: T) -> Result<T, LimitsError> {
    match asked {
        None => Ok(default),
        Some(asked) if asked.is_zero() => Err(LimitsError::Zero { name }),
        Some(asked) if asked > ceiling => {
            Err(LimitsError::AboveCeiling { name, asked: asked.to_string(), ceiling: ceiling.to_string() })
        }
        Some(asked) => Ok(asked),
    }
}

/// Refuses what would be granted if the whole were larger, and says so: the ceiling is not what stands in the way.
fn fits(
    name: &'static str,
    asked: Option<Duration>,
    whole: Duration,
    ceiling: Duration,
    limited_by: &'static str,
) -> Result<(), LimitsError> {
    match asked {
        Some(asked) if whole < asked && asked <= ceiling => {
            let (asked, whole) = (Seconds(asked).to_string(), Seconds(whole).to_string());
            Err(LimitsError::AboveWhole { name, asked, whole, limited_by })
        }
        _ => Ok(()),
    }
}

fn at_least<T: Amount>(name: &'static str, asked: T, least: T) -> Result<T, LimitsError> {
    if asked < least {
        return Err(LimitsError::TooLittle { name, asked: asked.to_string(), least: least.to_string() });
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::for_host(NonZeroU32::new(2).unwrap(), ByteSize::gib(8))
    }

    fn resolve(ask: Ask) -> Result<Limits, LimitsError> {
        Limits::within(ask, &policy())
    }

    #[test]
    fn an_empty_ask_is_granted_the_defaults() {
        assert_eq!(resolve(Ask::default()), Ok(policy().default));
    }

    #[test]
    fn on_a_small_host_the_defaults_fit_too() {
        let policy = Policy::for_host(NonZeroU32::MIN, ByteSize::mib(400));
        let limits = Limits::within(Ask::default(), &policy).unwrap();
        assert_eq!(limits.memory, ByteSize::mib(400));
    }

    #[test]
    fn the_parts_are_cut_to_fit_a_short_timeout() {
        let limits = resolve(Ask { timeout: Some(Duration::from_secs(2)), ..Ask::default() }).unwrap();
        assert_eq!((limits.compile, limits.run), (Duration::from_secs(2), Duration::from_secs(2)));
        assert_eq!(limits.cpu, Duration::from_secs(2));
    }

    #[test]
    fn the_cpu_default_grows_with_the_cpus() {
        let ask = Ask { vcpus: Some(2), run: Some(Duration::from_secs(3)), ..Ask::default() };
        let limits = resolve(ask).unwrap();
        assert_eq!((limits.cpu, limits.is_cpu_of_whole_run()), (Duration::from_secs(6), true));
        let limits = resolve(Ask { cpu: Some(Duration::from_secs(5)), ..ask }).unwrap();
        assert!(!limits.is_cpu_of_whole_run(), "{limits:?}");
    }

    #[test]
    fn above_the_ceiling_is_refused_with_both_numbers() {
        let ask = Ask { memory: Some(ByteSize::gib(9)), ..Ask::default() };
        let error = resolve(ask).unwrap_err();
        assert_eq!(error.name(), "memory_mb");
        assert!(error.to_string().contains("9 GiB") && error.to_string().contains("8 GiB"), "{error}");
    }

    #[test]
    fn zero_is_never_no_limit() {
        let second = Some(Duration::ZERO);
        for ask in [
            Ask { timeout: second, ..Ask::default() },
            Ask { run: second, ..Ask::default() },
            Ask { cpu: second, ..Ask::default() },
            Ask { memory: Some(ByteSize::bytes(0)), ..Ask::default() },
            Ask { tasks: Some(0), ..Ask::default() },
            Ask { output: Some(ByteSize::bytes(0)), ..Ask::default() },
            Ask { vcpus: Some(0), ..Ask::default() },
        ] {
            assert!(matches!(resolve(ask), Err(LimitsError::Zero { .. })), "{ask:?}");
        }
    }

    #[test]
    fn a_part_longer_than_the_whole_is_refused() {
        let ask = Ask { timeout: Some(Duration::from_secs(5)), run: Some(Duration::from_secs(6)), ..Ask::default() };
        let error = resolve(ask).unwrap_err();
        assert_eq!(error.name(), "run_seconds");
        let said = error.to_string();
        assert!(said.contains("6 s") && said.contains("5 s") && said.contains("`timeout`"), "{said}");
    }

    #[test]
    fn more_cpu_time_than_the_run_can_use_is_refused_with_what_to_raise() {
        let error = resolve(Ask { cpu: Some(Duration::from_secs(11)), ..Ask::default() }).unwrap_err();
        assert!(error.to_string().contains("`run_seconds` or `vcpus`"), "{error}");
    }

    #[test]
    fn somebody_who_is_granted_less_gets_less_by_default_and_no_more_by_asking() {
        let most = Ask {
            timeout: Some(Duration::from_secs(5)),
            cpu: Some(Duration::from_secs(2)),
            memory: Some(ByteSize::mib(64)),
            tasks: Some(2000),
            ..Ask::default()
        };
        let policy = policy().at_most(&most);
        let limits = Limits::within(Ask::default(), &policy).unwrap();
        assert_eq!((limits.timeout, limits.run), (Duration::from_secs(5), Duration::from_secs(5)));
        assert_eq!((limits.cpu, limits.memory), (Duration::from_secs(2), ByteSize::mib(64)));
        // More than everybody is granted, nobody is.
        assert_eq!(policy.ceiling.tasks.get(), 1024);
        for ask in [
            Ask { timeout: Some(Duration::from_secs(6)), ..Ask::default() },
            Ask { cpu: Some(Duration::from_secs(3)), ..Ask::default() },
            Ask { memory: Some(ByteSize::mib(65)), ..Ask::default() },
        ] {
            let refused = Limits::within(ask, &policy);
            assert!(matches!(refused, Err(LimitsError::AboveCeiling { .. })), "{ask:?}: {refused:?}");
        }
    }

    #[test]
    fn too_little_memory_to_start_anything_is_refused() {
        let ask = Ask { memory: Some(ByteSize::kib(1)), ..Ask::default() };
        assert!(matches!(resolve(ask), Err(LimitsError::TooLittle { .. })));
    }
}
