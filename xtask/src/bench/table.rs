//! Rows as a reader sees them: a table that is also Markdown, and the same as JSON.

use std::time::Duration;

use serde::Serialize;

use super::rows::{Measured, Row};
use super::samples::Samples;

const HEAD: [&str; 9] = ["what", "ours, ms", "min–max", "against", "theirs, ms", "min–max", "runs", "ratio", "target"];

/// A row as JSON. What was not measured has `why` instead of numbers.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    what: &'a str,
    against: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bare: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    target: Option<f64>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Spread {
    median_us: u128,
    min_us: u128,
    max_us: u128,
    runs: usize,
    samples_us: Vec<u128>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Pass,
    Miss,
    /// There is no target.
    Information,
    Skipped,
    Failed,
}

pub(super) fn lines(rows: &[Row]) -> Vec<Line<'_>> {
    rows.iter().map(line).collect()
}

fn line(row: &Row) -> Line<'_> {
    let empty = Line {
        what: &row.what,
        against: &row.against,
        ours: None,
        bare: None,
        ratio: None,
        target: row.target,
        verdict: verdict(row),
        why: None,
    };
    match &row.measured {
        Measured::Pair(pair) => {
            Line { ours: Some(spread(&pair.ours)), bare: Some(spread(&pair.bare)), ratio: Some(pair.ratio()), ..empty }
        }
        Measured::Skipped { why } | Measured::Failed { why } => Line { why: Some(why), ..empty },
    }
}

fn spread(samples: &Samples) -> Spread {
    Spread {
        median_us: samples.median().as_micros(),
        min_us: samples.min().as_micros(),
        max_us: samples.max().as_micros(),
        runs: samples.all().len(),
        samples_us: samples.all().iter().map(Duration::as_micros).collect(),
    }
}

fn verdict(row: &Row) -> Verdict {
    match (&row.measured, row.target) {
        (Measured::Skipped { .. }, _) => Verdict::Skipped,
        (Measured::Failed { .. }, _) => Verdict::Failed,
        (Measured::Pair(_), None) => Verdict::Information,
        (Measured::Pair(pair), Some(target)) if pair.ratio() <= target => Verdict::Pass,
        (Measured::Pair(_), Some(_)) => Verdict::Miss,
    }
}

/// The table, and below it why a row has no numbers.
pub(super) fn text(rows: &[Row]) -> String {
    let mut cells = vec![HEAD.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(row_cells));
    let mut text = aligned(&cells);
    for row in rows {
        match &row.measured {
            Measured::Skipped { why } => text += &format!("\nskipped: {}: {why}\n", row.what),
            Measured::Failed { why } => text += &format!("\nFAILED: {}: {why}\n", row.what),
            Measured::Pair(_) => {}
        }
    }
    text
}

fn row_cells(row: &Row) -> Vec<String> {
    let target = match (row.target, verdict(row)) {
        (None, _) => "-".to_owned(),
        (Some(target), Verdict::Pass) => format!("≤ {target:.2} pass"),
        (Some(target), Verdict::Miss) => format!("≤ {target:.2} miss"),
        (Some(target), _) => format!("≤ {target:.2}"),
    };
    let Measured::Pair(pair) = &row.measured else {
        let none = || "-".to_owned();
        return vec![row.what.clone(), none(), none(), row.against.clone(), none(), none(), none(), none(), target];
    };
    vec![
        row.what.clone(),
        millis(pair.ours.median()),
        ends(&pair.ours),
        row.against.clone(),
        millis(pair.bare.median()),
        ends(&pair.bare),
        pair.ours.all().len().to_string(),
        format!("{:.2}", pair.ratio()),
        target,
    ]
}

/// Three digits that count: 1.23, 12.3, 123.
fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    let decimals = if millis < 10.0 { 2 } else { usize::from(millis < 100.0) };
    format!("{millis:.decimals$}")
}

fn ends(samples: &Samples) -> String {
    format!("{}–{}", millis(samples.min()), millis(samples.max()))
}

/// Markdown whose columns also line up for whoever reads it as text.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (cell, &width) in row.iter().zip(&widths) {
            text += &format!("| {cell:width$} ");
        }
        text += "|\n";
        if index == 0 {
            text += &widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))).collect::<String>();
            text += "|\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::Pair;
    use super::*;

    fn samples(micros: &[u64]) -> Samples {
        Samples(micros.iter().copied().map(Duration::from_micros).collect())
    }

    fn row(target: Option<f64>) -> Row {
        let pair = Pair { ours: samples(&[1_000, 2_000, 9_000]), bare: samples(&[10_000, 20_000, 123_456]) };
        Row { what: "a".to_owned(), against: "b".to_owned(), target, measured: Measured::Pair(pair) }
    }

    #[test]
    fn a_ratio_is_judged_by_its_target() {
        for (target, expected) in
            [(Some(0.10), Verdict::Pass), (Some(0.09), Verdict::Miss), (None, Verdict::Information)]
        {
            assert_eq!(verdict(&row(target)), expected, "{target:?}");
        }
    }

    #[test]
    fn the_table_lines_up_and_says_why_a_row_is_empty() {
        let skipped = Row { measured: Measured::Skipped { why: "no tool".to_owned() }, ..row(Some(1.0)) };
        let text = text(&[row(Some(0.30)), skipped]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].contains("| 2.00     | 1.00–9.00 | b       | 20.0       | 10.0–123 | 3 "), "{text}");
        assert!(lines[2].contains("| 0.10  | ≤ 0.30 pass |"), "{text}");
        assert!(lines[..4].iter().all(|line| line.chars().count() == lines[0].chars().count()), "{text}");
        assert!(text.contains("skipped: a: no tool"), "{text}");
    }

    #[test]
    fn the_json_has_every_sample_and_the_verdict() {
        let json = serde_json::to_value(lines(&[row(Some(0.30))])).unwrap();
        assert_eq!(json[0]["ours"]["samples_us"], serde_json::json!([1_000, 2_000, 9_000]));
        assert_eq!(json[0]["bare"]["median_us"], 20_000);
        assert_eq!(json[0]["verdict"], "pass");
    }
}
