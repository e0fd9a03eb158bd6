//! The limits a client asks for.

use firebox_job::Ask;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Number, PartsError, number};

/// The limits a client asks for; what is left out has its default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedLimits {
    /// Memory of the run, in MiB.
    pub memory_mb: Option<Number>,
    /// CPUs that the run may use at once.
    #[serde(default, deserialize_with = "number::some_whole")]
    pub vcpus: Option<u32>,
    /// Live processes and threads of the run.
    #[serde(default, deserialize_with = "number::some_whole")]
    pub tasks: Option<u32>,
    /// Files of the run, in MiB.
    pub disk_mb: Option<Number>,
    /// What to keep of each output stream, in KiB.
    pub output_kb: Option<Number>,
    /// Seconds of wall time for building.
    pub compile_seconds: Option<Number>,
    /// Seconds of wall time for the run.
    pub run_seconds: Option<Number>,
    /// Seconds of CPU time for the run.
    pub cpu_seconds: Option<Number>,
}

impl AskedLimits {
    /// Puts them together with the timeout, which stands outside of `limits`.
    pub(crate) fn with_timeout(self, timeout: Option<Number>) -> Result<Ask, PartsError> {
        let AskedLimits { memory_mb, vcpus, tasks, disk_mb, output_kb, compile_seconds, run_seconds, cpu_seconds } =
            self;
        Ok(Ask {
            timeout: converted("timeout", timeout, Number::as_seconds)?,
            compile: converted("limits.compile_seconds", compile_seconds, Number::as_seconds)?,
            run: converted("limits.run_seconds", run_seconds, Number::as_seconds)?,
            cpu: converted("limits.cpu_seconds", cpu_seconds, Number::as_seconds)?,
            memory: converted("limits.memory_mb", memory_mb, Number::as_mib)?,
            tasks,
            disk: converted("limits.disk_mb", disk_mb, Number::as_mib)?,
            output: converted("limits.output_kb", output_kb, Number::as_kib)?,
            vcpus,
            // How much a request may hold is between the operator and whoever reads the request.
            input: None,
        })
    }
}

fn converted<T>(
    field: &'static str,
    asked: Option<Number>,
    convert: impl Fn(Number) -> Option<T>,
) -> Result<Option<T>, PartsError> {
    match asked {
        None => Ok(None),
        Some(number) => convert(number).map(Some).ok_or(PartsError::OutOfRange { field, number }),
    }
}
