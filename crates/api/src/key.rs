//! A key as it is listed, and what it grants, under the names that requests have for the same.

use std::num::NonZeroU32;

use firebox_job::{Ask, ByteSize, CellKind, Grant, GrantError, Rate};
use serde::{Deserialize, Serialize};

use crate::Number;

/// A key as it is listed; the JSON of `firebox keys list --json`. What is secret in a key is nowhere in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedKey {
    /// What the key begins with, and what it is called in logs.
    pub id: String,
    /// What its operator calls it.
    pub name: String,
    /// When it was created.
    pub created: String,
    /// When it was revoked; null when it was not.
    pub revoked: Option<String>,
    /// What it grants.
    pub limits: KeyLimits,
}

/// What a key grants. What is left out has no bound but those that hold for everybody.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLimits {
    /// Requests per second, in the long run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<Number>,
    /// Requests at once, after a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// Jobs that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<NonZeroU32>,
    /// Jobs that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// Seconds of CPU time from one midnight (UTC) to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_per_day: Option<Number>,
    /// The most that a job may ask for: seconds of wall time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Number>,
    /// Seconds of wall time for building.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compile_seconds: Option<Number>,
    /// Seconds of wall time for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_seconds: Option<Number>,
    /// Seconds of CPU time for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<Number>,
    /// Memory of the run, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<Number>,
    /// CPUs that the run may use at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<u32>,
    /// Live processes and threads of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// Files of the run, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mb: Option<Number>,
    /// What is kept of each output stream, in KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_kb: Option<Number>,
    /// Code and files together, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_mb: Option<Number>,
    /// The languages that jobs may be in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
    /// The kinds of cell that jobs may run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Vec<CellName>>,
}

/// A kind of cell, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellName {
    /// A virtual machine.
    MicroVm,
    /// A Linux jail.
    Jail,
    /// A fence.
    Fence,
}

/// Why no grant can be made of what is written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeyLimitsError {
    /// A number that no limit can take.
    #[error("`{field}` is {number}, which is more than can be counted")]
    OutOfRange {
        /// The field at fault.
        field: &'static str,
        /// What is written.
        number: Number,
    },
    /// A burst of nothing.
    #[error("`burst` stands there without `requests_per_second`")]
    Burst,
    /// It would refuse every job.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

impl From<&Grant> for KeyLimits {
    fn from(grant: &Grant) -> KeyLimits {
        // Exhaustive: a new bound must be decided here.
        let Grant { rate, running, waiting, cpu_per_day, most, languages, isolation } = grant;
        let Ask { timeout, compile, run, cpu, memory, tasks, disk, output, vcpus, input } = *most;
        KeyLimits {
            requests_per_second: rate.and_then(|rate| Number::new(rate.per_second)),
            burst: rate.map(|rate| rate.burst),
            running: *running,
            queue: *waiting,
            cpu_seconds_per_day: cpu_per_day.map(Number::seconds),
            timeout: timeout.map(Number::seconds),
            compile_seconds: compile.map(Number::seconds),
            run_seconds: run.map(Number::seconds),
            cpu_seconds: cpu.map(Number::seconds),
            memory_mb: memory.map(Number::mib),
            vcpus,
            tasks,
            disk_mb: disk.map(Number::mib),
            output_kb: output.map(Number::kib),
            input_mb: input.map(Number::mib),
            languages: languages.clone(),
            isolation: isolation.as_ref().map(|kinds| kinds.iter().copied().map(CellName::from).collect()),
        }
    }
}

impl TryFrom<KeyLimits> for Grant {
    type Error = KeyLimitsError;

    fn try_from(limits: KeyLimits) -> Result<Grant, KeyLimitsError> {
        // Exhaustive: a new field must be decided here.
        let KeyLimits {
            requests_per_second,
            burst,
            running,
            queue,
            cpu_seconds_per_day,
            timeout,
            compile_seconds,
            run_seconds,
            cpu_seconds,
            memory_mb,
            vcpus,
            tasks,
            disk_mb,
            output_kb,
            input_mb,
            languages,
            isolation,
        } = limits;
        let rate = match (requests_per_second, burst) {
            (None, None) => None,
            (None, Some(_)) => return Err(KeyLimitsError::Burst),
            (Some(per_second), burst) => {
                Some(Rate { per_second: per_second.as_f64(), burst: burst.unwrap_or(NonZeroU32::MIN) })
            }
        };
        let seconds = |field, number| converted(field, number, Number::as_seconds);
        let mib = |field, number| converted(field, number, Number::as_mib);
        let most = Ask {
            timeout: seconds("timeout", timeout)?,
            compile: seconds("compile_seconds", compile_seconds)?,
            run: seconds("run_seconds", run_seconds)?,
            cpu: seconds("cpu_seconds", cpu_seconds)?,
            memory: mib("memory_mb", memory_mb)?,
            tasks,
            disk: mib("disk_mb", disk_mb)?,
            output: converted::<ByteSize>("output_kb", output_kb, Number::as_kib)?,
            vcpus,
            input: mib("input_mb", input_mb)?,
        };
        let cpu_per_day = seconds("cpu_seconds_per_day", cpu_seconds_per_day)?;
        let isolation = isolation.map(|kinds| kinds.into_iter().map(CellKind::from).collect());
        let grant = Grant { rate, running, waiting: queue, cpu_per_day, most, languages, isolation };
        grant.check()?;
        Ok(grant)
    }
}

impl From<CellKind> for CellName {
    fn from(kind: CellKind) -> CellName {
        match kind {
            CellKind::MicroVm => CellName::MicroVm,
            CellKind::Jail => CellName::Jail,
            CellKind::Fence => CellName::Fence,
        }
    }
}

impl From<CellName> for CellKind {
    fn from(name: CellName) -> CellKind {
        match name {
            CellName::MicroVm => CellKind::MicroVm,
            CellName::Jail => CellKind::Jail,
            CellName::Fence => CellKind::Fence,
        }
    }
}

fn converted<T>(
    field: &'static str,
    written: Option<Number>,
    convert: impl Fn(Number) -> Option<T>,
) -> Result<Option<T>, KeyLimitsError> {
    match written {
        None => Ok(None),
        Some(number) => convert(number).map(Some).ok_or(KeyLimitsError::OutOfRange { field, number }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_granted_is_what_was_written_down() {
        let grant = Grant {
            rate: Some(Rate { per_second: 0.3, burst: NonZeroU32::new(7).unwrap() }),
            running: NonZeroU32::new(2),
            waiting: Some(0),
            cpu_per_day: Some(Duration::from_millis(1500)),
            most: Ask {
                timeout: Some(Duration::from_millis(100)),
                memory: Some(ByteSize::bytes(12_345_678)),
                output: Some(ByteSize::kib(3)),
                tasks: Some(9),
                ..Ask::default()
            },
            languages: Some(vec!["rust".to_owned()]),
            isolation: Some(vec![CellKind::MicroVm, CellKind::Jail]),
        };
        let text = serde_json::to_string(&KeyLimits::from(&grant)).unwrap();
        let read: KeyLimits = serde_json::from_str(&text).unwrap();
        assert_eq!(Grant::try_from(read).unwrap(), grant, "{text}");
        assert_eq!(serde_json::to_string(&KeyLimits::from(&Grant::default())).unwrap(), "{}");
    }

    #[test]
    fn what_cannot_be_held_is_refused() {
        for (text, word) in [
            (r#"{"burst": 3}"#, "without"),
            (r#"{"timeout": 1e300}"#, "`timeout`"),
            (r#"{"requests_per_second": 0}"#, "0 requests"),
            (r#"{"languages": []}"#, "`languages`"),
        ] {
            let error = Grant::try_from(serde_json::from_str::<KeyLimits>(text).unwrap()).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        for text in [r#"{"runing": 3}"#, r#"{"isolation": ["vm"]}"#, r#"{"running": 0}"#] {
            assert!(serde_json::from_str::<KeyLimits>(text).is_err(), "{text}");
        }
    }
}
