//! What a client is told about its job.

use firebox_job::{CellKind, Outcome, Protection, Status};
use schemars::JsonSchema;
use serde::Serialize;

use crate::stream::StreamParts;
use crate::{Cut, GrantedLimits, Number, Step};

/// What a client is told about its job. The first four fields are the oldest, and never change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Response {
    /// The job's name, echoed.
    pub trace_id: String,
    /// What the program wrote to its standard output.
    pub stdout: String,
    /// What the program wrote to its standard error, or the compiler's words when the build failed.
    pub stderr: String,
    /// What a shell would have seen.
    pub exit_code: i32,
    /// The exact bytes of `stdout`, only when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_base64: Option<String>,
    /// The exact bytes of `stderr`, only when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_base64: Option<String>,
    /// The verdict in one word, such as `ok` or `timeout`.
    #[schemars(extend("enum" = Status::ALL.map(Status::name)))]
    pub status: &'static str,
    /// The step that the verdict is about.
    pub step: String,
    /// The signal that ended the program; null when there was none, or it was ours.
    pub signal: Option<u8>,
    /// What is missing from the streams; null when nothing is.
    pub truncated: Option<Truncation>,
    /// How long the parts of the job took.
    pub timing_ms: Timing,
    /// What the run consumed.
    pub usage: Usage,
    /// The limits that applied.
    pub limits: GrantedLimits,
    /// The kind of cell: `microvm`, `jail` or `fence`.
    #[schemars(extend("enum" = CellKind::ALL.map(CellKind::name)))]
    pub isolation: &'static str,
    /// How the limits were held.
    pub enforcement: Enforcement,
    /// Every step, only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
}

/// How much a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The outcome.
    Summary,
    /// The outcome and every step.
    Steps,
}

/// What is missing from the two streams; at least one of them is not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Truncation {
    /// What is missing from `stdout`.
    pub stdout: Option<Cut>,
    /// What is missing from `stderr`.
    pub stderr: Option<Cut>,
}

/// How long the parts of a job took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Timing {
    /// Waiting for a free place.
    pub queue: Number,
    /// All build steps.
    pub compile: Number,
    /// The run.
    pub run: Number,
    /// Everything, the queue included.
    pub total: Number,
    /// The same, by what the engine was doing.
    pub stages: Stages,
}

/// Where the time of the job went, in milliseconds: stages in the order in which a job comes by, without gaps. A stage
/// that each step comes by is the sum over the steps. What the stages are may change with the engine; that together
/// they are the total does not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Stages {
    /// From admission until it had a cell.
    pub cell: Number,
    /// Putting its files into the cell.
    pub store: Number,
    /// Having the process of a step made.
    pub prepare: Number,
    /// Holding that process to its limits.
    pub limit: Number,
    /// From letting the process go until its program began.
    pub start: Number,
    /// From there to the end of a build step.
    pub compile: Number,
    /// From there to the end of the run.
    pub run: Number,
    /// Asking the host what a step has consumed.
    pub measure: Number,
    /// Giving the cell back.
    pub end: Number,
}

/// What a step consumed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Usage {
    /// CPU time of all its tasks, in milliseconds.
    pub cpu_ms: Number,
    /// The most memory it held at once; null where the host cannot tell.
    pub memory_peak_bytes: Option<u64>,
}

/// How the limits were held: `enforced` or `watched`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Enforcement {
    /// Memory.
    #[schemars(extend("enum" = Protection::ALL.map(Protection::name)))]
    pub memory: &'static str,
    /// Processes and threads.
    #[schemars(extend("enum" = Protection::ALL.map(Protection::name)))]
    pub tasks: &'static str,
    /// CPUs.
    #[schemars(extend("enum" = Protection::ALL.map(Protection::name)))]
    pub cpu: &'static str,
    /// Files.
    #[schemars(extend("enum" = Protection::ALL.map(Protection::name)))]
    pub disk: &'static str,
}

impl Response {
    /// Says an outcome in public words.
    pub fn new(outcome: Outcome, detail: Detail) -> Response {
        let Outcome { trace_id, verdict, step, stdout, stderr, timing, usage, limits, isolation, enforcement, steps } =
            outcome;
        let (stdout, stderr) = (StreamParts::from(stdout), StreamParts::from(stderr));
        Response {
            trace_id: trace_id.as_str().to_owned(),
            exit_code: verdict.exit_code(),
            status: verdict.status().name(),
            step,
            signal: verdict.signal().map(|firebox_job::Signal(number)| number),
            truncated: Truncation::of(&stdout, &stderr),
            stdout: stdout.text,
            stderr: stderr.text,
            stdout_base64: stdout.base64,
            stderr_base64: stderr.base64,
            timing_ms: timing.into(),
            usage: usage.into(),
            limits: limits.into(),
            isolation: isolation.name(),
            enforcement: enforcement.into(),
            steps: match detail {
                Detail::Summary => None,
                Detail::Steps => Some(steps.into_iter().map(Step::from).collect()),
            },
        }
    }
}

impl Truncation {
    /// None unless something is missing.
    pub(crate) fn of(stdout: &StreamParts, stderr: &StreamParts) -> Option<Truncation> {
        let truncation = Truncation { stdout: stdout.cut, stderr: stderr.cut };
        (truncation.stdout.is_some() || truncation.stderr.is_some()).then_some(truncation)
    }
}

impl From<firebox_job::Timing> for Timing {
    fn from(timing: firebox_job::Timing) -> Timing {
        let firebox_job::Timing { queue, compile, run, total, stages } = timing;
        Timing {
            queue: Number::milliseconds(queue),
            compile: Number::milliseconds(compile),
            run: Number::milliseconds(run),
            total: Number::milliseconds(total),
            stages: stages.into(),
        }
    }
}

impl From<firebox_job::Stages> for Stages {
    fn from(stages: firebox_job::Stages) -> Stages {
        let firebox_job::Stages { cell, store, prepare, limit, start, compile, run, measure, end } = stages;
        Stages {
            cell: Number::milliseconds(cell),
            store: Number::milliseconds(store),
            prepare: Number::milliseconds(prepare),
            limit: Number::milliseconds(limit),
            start: Number::milliseconds(start),
            compile: Number::milliseconds(compile),
            run: Number::milliseconds(run),
            measure: Number::milliseconds(measure),
            end: Number::milliseconds(end),
        }
    }
}

impl From<firebox_job::Usage> for Usage {
    fn from(usage: firebox_job::Usage) -> Usage {
        let firebox_job::Usage { cpu, memory_peak } = usage;
        Usage { cpu_ms: Number::milliseconds(cpu), memory_peak_bytes: memory_peak.map(firebox_job::ByteSize::as_u64) }
    }
}

impl From<firebox_job::Enforcement> for Enforcement {
    fn from(enforcement: firebox_job::Enforcement) -> Enforcement {
        let firebox_job::Enforcement { memory, tasks, cpu, disk } = enforcement;
        Enforcement { memory: memory.name(), tasks: tasks.name(), cpu: cpu.name(), disk: disk.name() }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use firebox_job::{ByteSize, Captured, Policy, Signal, StepKind, StepReport, TraceId, Verdict};

    use super::*;

    fn usage() -> firebox_job::Usage {
        firebox_job::Usage { cpu: Duration::from_micros(1250), memory_peak: Some(ByteSize::mib(2)) }
    }

    fn hello() -> Outcome {
        Outcome {
            trace_id: TraceId::new("rust-hello-001").unwrap(),
            verdict: Verdict::Ok,
            step: "run".to_owned(),
            stdout: Captured::whole(b"Hello from Rust!\n".to_vec()),
            stderr: Captured::default(),
            timing: firebox_job::Timing {
                queue: Duration::ZERO,
                compile: Duration::from_nanos(123_456_789),
                run: Duration::from_micros(1500),
                total: Duration::from_millis(126),
                stages: firebox_job::Stages {
                    cell: Duration::from_micros(250),
                    store: Duration::from_micros(30),
                    prepare: Duration::from_micros(200),
                    limit: Duration::from_micros(100),
                    start: Duration::from_micros(700),
                    compile: Duration::from_millis(122),
                    run: Duration::from_millis(1),
                    measure: Duration::from_micros(20),
                    end: Duration::from_micros(1700),
                },
            },
            usage: usage(),
            limits: Policy::for_host(NonZeroU32::MIN, ByteSize::gib(1)).default,
            isolation: CellKind::Jail,
            enforcement: firebox_job::Enforcement {
                memory: Protection::Enforced,
                tasks: Protection::Enforced,
                cpu: Protection::Watched,
                disk: Protection::Enforced,
            },
            steps: vec![StepReport {
                name: "compile".to_owned(),
                kind: StepKind::Build,
                exit_code: 0,
                kept: false,
                wall: Duration::from_micros(123_456),
                usage: firebox_job::Usage { cpu: Duration::from_millis(90), memory_peak: None },
                stdout: Captured::default(),
                stderr: Captured::whole(b"warning: unused\n".to_vec()),
            }],
        }
    }

    fn json(outcome: Outcome) -> serde_json::Value {
        serde_json::to_value(Response::new(outcome, Detail::Summary)).unwrap()
    }

    #[test]
    fn a_response_reads_exactly_so() {
        let text = serde_json::to_string(&Response::new(hello(), Detail::Summary)).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"trace_id":"rust-hello-001","stdout":"Hello from Rust!\n","stderr":"","exit_code":0,"#,
                r#""status":"ok","step":"run","signal":null,"truncated":null,"#,
                r#""timing_ms":{"queue":0,"compile":123.456,"run":1.5,"total":126,"stages":{"cell":0.25,"store":0.03,"#,
                r#""prepare":0.2,"limit":0.1,"start":0.7,"compile":122,"run":1,"measure":0.02,"end":1.7}},"#,
                r#""usage":{"cpu_ms":1.25,"memory_peak_bytes":2097152},"#,
                r#""limits":{"timeout":60,"memory_mb":512,"vcpus":1,"tasks":64,"disk_mb":64,"output_kb":1024,"#,
                r#""compile_seconds":30,"run_seconds":10,"cpu_seconds":10},"#,
                r#""isolation":"jail","#,
                r#""enforcement":{"memory":"enforced","tasks":"enforced","cpu":"watched","disk":"enforced"}}"#,
            )
        );
    }

    #[test]
    fn steps_are_told_when_asked_for() {
        let response = serde_json::to_value(Response::new(hello(), Detail::Steps)).unwrap();
        assert_eq!(
            response["steps"],
            serde_json::json!([{
                "name": "compile",
                "exit_code": 0,
                "kept": false,
                "wall_ms": 123.456,
                "usage": {"cpu_ms": 90, "memory_peak_bytes": null},
                "stdout": "",
                "stderr": "warning: unused\n",
                "truncated": null,
            }])
        );
    }

    #[test]
    fn bytes_that_are_no_text_come_lossy_and_exact() {
        let response = json(Outcome { stdout: Captured::whole(vec![b'a', 0xff, b'\n']), ..hello() });
        assert_eq!(response["stdout"], "a\u{fffd}\n");
        assert_eq!(response["stdout_base64"], "Yf8K");
        assert_eq!(response.get("stderr_base64"), None, "stderr is text: {response}");
    }

    #[test]
    fn a_cut_stream_says_how_much_is_missing_and_where() {
        let response = json(Outcome { stderr: Captured::cut(b"head".to_vec(), 1000, b"tail"), ..hello() });
        assert_eq!(response["stderr"], "headtail");
        assert_eq!(
            response["truncated"],
            serde_json::json!({"stdout": null, "stderr": {"dropped_bytes": 1000, "at_byte": 4}})
        );
    }

    #[test]
    fn a_signal_is_a_number_and_a_kill_of_ours_is_none() {
        for (verdict, status, signal, exit_code) in [
            (Verdict::Signaled(Signal(11)), "signaled", Some(11), 139),
            (Verdict::MemoryLimit, "memory_limit", None, 137),
            (Verdict::Timeout, "timeout", None, 124),
            (Verdict::CompileError(1), "compile_error", None, 1),
        ] {
            let response = Response::new(Outcome { verdict, ..hello() }, Detail::Summary);
            assert_eq!((response.status, response.signal, response.exit_code), (status, signal, exit_code));
        }
    }
}
