//! Rows as a reader sees them: tables that are also Markdown.

use super::row::{Measured, Row, Target, Verdict, millis};
use super::samples::Samples;

const HEAD: [&str; 10] =
    ["what", "ours, ms", "quartiles", "against", "theirs, ms", "quartiles", "runs", "ratio", "noise", "target"];

/// In the order in which a job comes by.
pub(super) const STAGES: [&str; 9] = ["cell", "store", "prepare", "limit", "start", "compile", "run", "measure", "end"];

/// Everything: what is promised, where the time goes of what was missed, what is good to know, and why a row is empty.
pub(super) fn text(rows: &[Row]) -> String {
    let (promised, known): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.target.is_some());
    let (numbers, known): (Vec<&Row>, Vec<&Row>) =
        known.into_iter().partition(|row| matches!(row.measured, Measured::Number { .. }));
    let mut text = String::new();
    if !promised.is_empty() {
        text += &table(&promised);
    }
    text += &breakdown(&promised);
    if !known.is_empty() {
        text += "\nRecorded without a target:\n\n";
        text += &table(&known);
    }
    text += &figures(&numbers);
    for row in rows {
        match &row.measured {
            Measured::Skipped { why } => text += &format!("\nskipped: {}: {why}\n", row.what),
            Measured::Failed { why } => text += &format!("\nFAILED: {}: {why}\n", row.what),
            Measured::Pair(_) | Measured::Times(_) | Measured::Number { .. } => {}
        }
    }
    text
}

fn table(rows: &[&Row]) -> String {
    let mut cells = vec![HEAD.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| row_cells(row).to_vec()));
    aligned(&cells)
}

/// Numbers that are neither compared with a bare command turn by turn nor promised.
fn figures(rows: &[&Row]) -> String {
    let mut cells = vec![["also", "ours", "bare", "ratio"].map(str::to_owned).to_vec()];
    for row in rows {
        if let Measured::Number { ours, bare, unit } = row.measured {
            let said = |number: f64| format!("{} {unit}", digits(number));
            let ratio = bare.filter(|&bare| 0.0 < bare).map_or_else(none, |bare| format!("{:.2}", ours / bare));
            cells.push(vec![row.what.clone(), said(ours), bare.map_or_else(none, said), ratio]);
        }
    }
    if rows.is_empty() { String::new() } else { format!("\n{}", aligned(&cells)) }
}

/// Where the time goes of the rows that missed.
fn breakdown(rows: &[&Row]) -> String {
    let missed = rows.iter().filter(|row| row.verdict() == Verdict::Miss);
    let of = |row: &&Row| row.details.stages.clone().map(|stages| (row.what.clone(), stages));
    let missed: Vec<_> = missed.filter_map(of).collect();
    if missed.is_empty() {
        return String::new();
    }
    let mut cells = vec![std::iter::once("missed; ms in").chain(STAGES).map(str::to_owned).collect::<Vec<_>>()];
    for (what, stages) in missed {
        let times = STAGES.map(|stage| stages.get(stage).map_or_else(none, |micros| digits(micros / 1000.0)));
        cells.push(std::iter::once(what).chain(times).collect());
    }
    format!("\nWhere our time goes, as medians of each stage of a job:\n\n{}", aligned(&cells))
}

fn row_cells(row: &Row) -> [String; 10] {
    let (what, against, target) = (row.what.clone(), row.against.clone(), target(row));
    match &row.measured {
        Measured::Pair(pair) => [
            what,
            digits(millis(&pair.ours, 0.5)),
            quartiles(&pair.ours),
            against,
            digits(millis(&pair.bare, 0.5)),
            quartiles(&pair.bare),
            pair.ours.count().to_string(),
            match row.target {
                Some(Target::TimesAsMuch(_)) => format!("×{:.2}", 1.0 / pair.ratio()),
                _ => format!("{:.2}", pair.ratio()),
            },
            pair.noise().map_or_else(none, |noise| format!("{:.0} %", noise * 100.0)),
            target,
        ],
        Measured::Times(samples) => [
            what,
            digits(millis(samples, 0.5)),
            quartiles(samples),
            against,
            none(),
            none(),
            samples.count().to_string(),
            format!("1 in 100: {}", digits(millis(samples, 0.99))),
            none(),
            target,
        ],
        // What is promised of a number is promised of a ratio.
        Measured::Number { ours, bare: _, unit: _ } => {
            [what, none(), none(), against, none(), none(), none(), format!("{ours:.3}"), none(), target]
        }
        Measured::Skipped { .. } | Measured::Failed { .. } => {
            [what, none(), none(), against, none(), none(), none(), none(), none(), target]
        }
    }
}

fn none() -> String {
    "-".to_owned()
}

fn target(row: &Row) -> String {
    let promised = match row.target {
        None => return none(),
        Some(Target::Ratio(most)) => format!("≤ {most:.2}"),
        Some(Target::TimesAsMuch(least)) => format!("≥ ×{least}"),
        Some(Target::Times { median, last_hundredth }) => format!("≤ {median}, 1 in 100 ≤ {last_hundredth}"),
        Some(Target::Within(most)) => format!("1 ± {most}"),
    };
    match row.verdict() {
        Verdict::Pass => promised + " pass",
        Verdict::Miss => promised + " miss",
        Verdict::Information | Verdict::Skipped | Verdict::Failed => promised,
    }
}

/// Three digits that count: 1.23, 12.3, 123.
fn digits(number: f64) -> String {
    let decimals = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.decimals$}")
}

fn quartiles(samples: &Samples) -> String {
    format!("{}–{}", digits(millis(samples, 0.25)), digits(millis(samples, 0.75)))
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
    use std::collections::BTreeMap;

    use super::super::row::Details;
    use super::super::row::tests::{row, samples, tenth};
    use super::*;

    #[test]
    fn the_table_lines_up_and_says_why_a_row_is_empty() {
        let skipped = Measured::Skipped { why: "no tool".to_owned() };
        let text = text(&[row(Some(Target::Ratio(0.30)), tenth()), row(Some(Target::Ratio(1.0)), skipped)]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].contains("| 2.00     | 1.50–5.50 | b       | 20.0       | 15.0–71.7 | 3 "), "{text}");
        assert!(lines[2].contains("| 0.10  |") && lines[2].contains("| ≤ 0.30 pass |"), "{text}");
        assert!(lines[..4].iter().all(|line| line.chars().count() == lines[0].chars().count()), "{text}");
        assert!(text.contains("skipped: a: no tool"), "{text}");
        assert!(!text.contains("Where our time goes"), "nothing was missed\n{text}");
    }

    #[test]
    fn a_row_that_missed_says_where_its_time_goes() {
        let stages = BTreeMap::from([("run".to_owned(), 1500.0), ("cell".to_owned(), 250.0)]);
        let details = Details { stages: Some(stages), cpu: None };
        let text = text(&[Row { details, ..row(Some(Target::Ratio(0.01)), tenth()) }]);
        assert!(text.contains("≤ 0.01 miss"), "{text}");
        assert!(text.contains("| a             | 0.25 | -     | -       | -     | -     | -       | 1.50 |"), "{text}");
    }

    #[test]
    fn each_kind_of_measurement_has_its_words() {
        let number = |unit| Measured::Number { ours: 1.5, bare: Some(3.0), unit };
        let times = Measured::Times(samples(&[200, 200, 900]));
        let text = text(&[
            row(Some(Target::TimesAsMuch(3.0)), tenth()),
            row(Some(Target::Times { median: 0.3, last_hundredth: 1.0 }), times),
            row(Some(Target::Within(0.1)), Measured::Number { ours: 1.08, bare: None, unit: "" }),
            row(None, number("ms")),
        ]);
        for words in
            ["×10.00", "≥ ×3 pass", "1 in 100: 0.89", "≤ 0.3, 1 in 100 ≤ 1 pass", "1.080", "1 ± 0.1 pass", "0.50"]
        {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
        assert!(text.contains("| also | ours    | bare    | ratio |\n"), "{text}");
        assert!(text.contains("| a    | 1.50 ms | 3.00 ms | 0.50  |\n"), "{text}");
    }
}
