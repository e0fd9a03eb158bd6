//! Spans as OTLP writes them in JSON: every collector that takes OTLP over HTTP takes that.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Ending, JobSpan, StageSpan};

/// What OTLP calls a span of something that was asked for from outside, and one of something within.
const SERVER: u8 = 2;
const INTERNAL: u8 = 1;
/// What OTLP calls a failure.
const FAILED: u8 = 2;

/// The body of a request to a collector.
pub(super) fn document(spans: &[JobSpan]) -> Value {
    let spans: Vec<Value> = spans.iter().flat_map(whole).collect();
    let resource = [text("service.name", "firebox"), text("service.version", env!("CARGO_PKG_VERSION"))];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "firebox"}, "spans": spans}],
    }]})
}

fn whole(job: &JobSpan) -> Vec<Value> {
    let mut attributes = vec![text("firebox.trace_id", &job.trace_id), text("firebox.language", &job.language)];
    let mut status = json!({});
    match &job.ending {
        Ending::Outcome { status, exit_code } => {
            attributes.push(text("firebox.status", status));
            attributes.push(json!({"key": "firebox.exit_code", "value": {"intValue": exit_code.to_string()}}));
        }
        Ending::Refused { code, is_fault } => {
            attributes.push(text("firebox.refused", code));
            // What a program did is no failure of ours, and neither is a client that was told to come again.
            if *is_fault {
                status = json!({"code": FAILED});
            }
        }
    }
    let mut span = json!({
        "traceId": format!("{:032x}", job.trace),
        "spanId": format!("{:016x}", job.id),
        "name": "job",
        "kind": SERVER,
        "startTimeUnixNano": nanoseconds(job.start),
        "endTimeUnixNano": nanoseconds(job.start + job.total),
        "attributes": attributes,
        "status": status,
    });
    if let Some(parent) = job.parent {
        span["parentSpanId"] = format!("{parent:016x}").into();
    }
    let stages = job.stages.iter().map(|StageSpan { id, name, start, took }| {
        json!({
            "traceId": format!("{:032x}", job.trace),
            "spanId": format!("{id:016x}"),
            "parentSpanId": format!("{:016x}", job.id),
            "name": name,
            "kind": INTERNAL,
            "startTimeUnixNano": nanoseconds(job.start + *start),
            "endTimeUnixNano": nanoseconds(job.start + *start + *took),
        })
    });
    [span].into_iter().chain(stages).collect()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// A text, since JSON has no whole numbers of that size.
fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos().to_string()
}
