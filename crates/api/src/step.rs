//! One step of a job as clients read it.

use firebox_job::StepReport;
use schemars::JsonSchema;
use serde::Serialize;

use crate::stream::StreamParts;
use crate::{Number, Truncation, Usage};

/// One step of a job. A successful build's diagnostics are in its `stderr`, and nowhere else.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// Its name in the plan, such as `compile` or `run`.
    pub name: String,
    /// What a shell would have seen of it.
    pub exit_code: i32,
    /// Whether what it makes, and its words, were kept from an earlier job: then it did not run for this one.
    pub kept: bool,
    /// Wall time in milliseconds.
    pub wall_ms: Number,
    /// What it consumed.
    pub usage: Usage,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// The exact bytes of `stdout`, only when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_base64: Option<String>,
    /// The exact bytes of `stderr`, only when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_base64: Option<String>,
    /// What is missing from its streams.
    pub truncated: Option<Truncation>,
}

impl From<StepReport> for Step {
    fn from(report: StepReport) -> Step {
        // The kind is left out: it steers the engine, and a client has the name.
        let StepReport { name, kind: _, exit_code, kept, wall, usage, stdout, stderr } = report;
        let (stdout, stderr) = (StreamParts::from(stdout), StreamParts::from(stderr));
        Step {
            name,
            exit_code,
            kept,
            wall_ms: Number::milliseconds(wall),
            usage: usage.into(),
            truncated: Truncation::of(&stdout, &stderr),
            stdout: stdout.text,
            stderr: stderr.text,
            stdout_base64: stdout.base64,
            stderr_base64: stderr.base64,
        }
    }
}
