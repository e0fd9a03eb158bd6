//! Findings as data. The fields are described in docs/benchmarks/README.md, and change only together with `SCHEMA`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::machine::Machine;
use super::row::{Measured, Row, Target, Verdict, millis};
use super::samples::Samples;

/// Counts up when a field changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Everything one run found out.
#[derive(Serialize)]
pub(super) struct Findings<'a> {
    schema: u32,
    machine: &'a Machine,
    quick: bool,
    seconds: u64,
    rows: Vec<Line<'a>>,
}

/// A row. What was not measured has `why` instead of numbers.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    what: &'a str,
    against: &'a str,
    target: Option<Promise>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    noise: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ours_ms: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bare_ms: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stages_ms: Option<BTreeMap<&'a str, f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Spread {
    median: f64,
    lower_quartile: f64,
    upper_quartile: f64,
    last_hundredth: f64,
    runs: usize,
}

#[derive(Serialize)]
struct Number {
    ours: f64,
    bare: Option<f64>,
    unit: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Promise {
    RatioAtMost(f64),
    TimesAsMuchAtLeast(f64),
    MsAtMost { median: f64, last_hundredth: f64 },
    FromOneAtMost(f64),
}

impl<'a> Findings<'a> {
    pub(super) fn new(machine: &'a Machine, quick: bool, seconds: u64, rows: &'a [Row]) -> Findings<'a> {
        Findings { schema: SCHEMA, machine, quick, seconds, rows: rows.iter().map(line).collect() }
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

fn line(row: &Row) -> Line<'_> {
    let Row { id, what, against, target, measured, details } = row;
    let stages = details.stages.as_ref();
    let empty = Line {
        id,
        what,
        against,
        target: target.map(promise),
        verdict: row.verdict(),
        ratio: None,
        noise: None,
        ours_ms: None,
        bare_ms: None,
        number: None,
        stages_ms: stages.map(|stages| stages.iter().map(|(name, us)| (name.as_str(), rounded(us / 1000.0))).collect()),
        why: None,
    };
    match measured {
        Measured::Pair(pair) => Line {
            ratio: Some(rounded(pair.ratio())),
            noise: pair.noise().map(rounded),
            ours_ms: Some(spread(&pair.ours)),
            bare_ms: Some(spread(&pair.bare)),
            ..empty
        },
        Measured::Times(samples) => Line { ours_ms: Some(spread(samples)), ..empty },
        Measured::Number { ours, bare, unit } => {
            Line { number: Some(Number { ours: rounded(*ours), bare: bare.map(rounded), unit }), ..empty }
        }
        Measured::Skipped { why } | Measured::Failed { why } => Line { why: Some(why), ..empty },
    }
}

fn promise(target: Target) -> Promise {
    match target {
        Target::Ratio(most) => Promise::RatioAtMost(most),
        Target::TimesAsMuch(least) => Promise::TimesAsMuchAtLeast(least),
        Target::Times { median, last_hundredth } => Promise::MsAtMost { median, last_hundredth },
        Target::Within(most) => Promise::FromOneAtMost(most),
    }
}

fn spread(samples: &Samples) -> Spread {
    let at = |part| rounded(millis(samples, part));
    Spread {
        median: at(0.5),
        lower_quartile: at(0.25),
        upper_quartile: at(0.75),
        last_hundredth: at(0.99),
        runs: samples.count(),
    }
}

/// To a thousandth: finer digits are noise.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::row::Details;
    use super::super::row::tests::{row, tenth};
    use super::*;

    fn json(row: &Row) -> serde_json::Value {
        serde_json::to_value(line(row)).unwrap()
    }

    #[test]
    fn a_pair_has_its_spreads_its_ratio_its_stages_and_the_verdict() {
        let stages = BTreeMap::from([("cell".to_owned(), 250.0)]);
        let details = Details { stages: Some(stages), cpu: None };
        let json = json(&Row { details, ..row(Some(Target::Ratio(0.30)), tenth()) });
        assert_eq!(json["ours_ms"]["median"], 2.0);
        assert_eq!(json["bare_ms"]["runs"], 3);
        assert_eq!((&json["ratio"], &json["verdict"]), (&0.1.into(), &"pass".into()));
        assert_eq!(json["target"], serde_json::json!({"ratio_at_most": 0.3}));
        assert_eq!(json["stages_ms"]["cell"], 0.25);
        assert_eq!(json.get("why"), None);
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let json = json(&row(None, Measured::Skipped { why: "no tool".to_owned() }));
        assert_eq!((&json["verdict"], &json["why"]), (&"skipped".into(), &"no tool".into()));
        assert_eq!(json.get("ratio"), None);
    }
}
