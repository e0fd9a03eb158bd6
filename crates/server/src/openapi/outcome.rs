//! A job and its outcome, for whoever describes an address that takes or answers one.

use std::time::Duration;

use firebox_api::{Detail, Response};
use firebox_job::{
    Captured, CellKind, Enforcement, Outcome, Policy, Protection, Stages, Timing, TraceId, Usage, Verdict,
};
use serde_json::{Value, json};

const NAME: &str = "rust-hello-001";

/// A request as clients send it.
pub(crate) fn hello() -> Value {
    json!({
        "trace_id": NAME,
        "lang": "rust",
        "code": "fn main() { println!(\"Hello from Rust!\"); }",
        "timeout": 60,
    })
}

/// One that says more.
pub(crate) fn files() -> Value {
    json!({
        "lang": "python",
        "files": [
            {"path": "main.py", "content": "import helper, sys\nhelper.greet(sys.stdin.read(), *sys.argv[1:])\n"},
            {"path": "helper.py", "content": "def greet(name, greeting):\n    print(greeting, name)\n"},
        ],
        "entry": "main.py",
        "stdin": "Firebox",
        "args": ["Hello"],
        "env": {"LANG": "C.UTF-8"},
        "limits": {"memory_mb": 128, "run_seconds": 2.5, "tasks": 8, "output_kb": 64},
        "steps": true,
    })
}

/// What becomes of the first.
pub(crate) fn outcome() -> Value {
    let Ok(trace_id) = TraceId::new(NAME) else { return Value::Null };
    let micros = Duration::from_micros;
    let stages = Stages {
        cell: micros(60),
        store: micros(30),
        prepare: micros(200),
        limit: micros(90),
        start: micros(410),
        compile: micros(41_200),
        run: micros(640),
        measure: micros(20),
        end: micros(150),
    };
    let outcome = Outcome {
        trace_id,
        verdict: Verdict::Ok,
        step: "run".to_owned(),
        stdout: Captured::whole(b"Hello from Rust!\n".to_vec()),
        stderr: Captured::default(),
        timing: Timing {
            queue: Duration::ZERO,
            compile: micros(41_600),
            run: micros(1_050),
            total: micros(42_800),
            stages,
        },
        usage: Usage { cpu: micros(700), memory_peak: Some(firebox_job::ByteSize::kib(1500)) },
        limits: Policy::for_host(std::num::NonZeroU32::MIN, firebox_job::ByteSize::gib(1)).default,
        isolation: CellKind::Jail,
        enforcement: Enforcement {
            memory: Protection::Enforced,
            tasks: Protection::Enforced,
            cpu: Protection::Enforced,
            disk: Protection::Enforced,
        },
        steps: Vec::new(),
    };
    json!(Response::new(outcome, Detail::Summary))
}
