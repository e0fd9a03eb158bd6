//! What was measured, for people and as data.

use serde::Serialize;

use super::figures::Figures;
use crate::table::table;

/// Where two halves of a measurement differ by more than this, nothing fine is to be concluded from it.
const NOISY: f64 = 0.1;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) firebox: &'static str,
    pub(super) kernel: String,
    pub(super) cpus: usize,
    /// The kind of cell that the jobs ran in.
    pub(super) isolation: String,
    /// Whether the bare commands worked on files in memory, as jobs do.
    pub(super) bare_in_memory: bool,
    pub(super) languages: Vec<Line>,
}

/// One language.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) language: &'static str,
    /// The bare compiler or interpreter.
    pub(super) program: Option<String>,
    /// Their fields are not there when it was not measured.
    #[serde(flatten)]
    pub(super) figures: Option<Figures>,
    /// What to install, when it was not measured.
    pub(super) missing: Option<String>,
}

impl Report {
    /// The table, and below it what to think of it.
    pub(super) fn text(&self) -> String {
        let head = ["HELLO IN", "IN A CELL", "BARE", "RATIO", "NOISE", "AGAINST"].map(str::to_owned);
        let mut rows = vec![head];
        for Line { language, program, figures, .. } in &self.languages {
            if let Some(Figures { job_ms, bare_ms, ratio, noise, .. }) = figures {
                rows.push([
                    (*language).to_owned(),
                    millis(job_ms.median),
                    millis(bare_ms.median),
                    format!("{ratio:.2}"),
                    format!("{:.0} %", noise * 100.0),
                    program.clone().unwrap_or_default(),
                ]);
            }
        }
        table(&rows) + &self.remarks()
    }

    fn remarks(&self) -> String {
        let mut text = format!(
            "\nMedians of one job after the other in a {}, in turns with the bare command. A ratio below 1 is faster than\n\
             bare. Noise is by how much the ratios of the two halves of the measurement differ.\n",
            self.isolation
        );
        let of = |noisy: &Line| noisy.figures.filter(|figures| NOISY < figures.noise).map(|_| noisy.language);
        let noisy: Vec<&str> = self.languages.iter().filter_map(of).collect();
        if !noisy.is_empty() {
            text += &format!(
                "Too noisy to conclude much: {}.\nSomething else keeps this machine busy; try again when it is quiet, or with a \
                 longer `--time`.\n",
                noisy.join(", ")
            );
        }
        if !self.bare_in_memory {
            text += "The bare commands worked on a disk, which is to our advantage: there is no place in memory here that \
                     programs\ncan be started from.\n";
        }
        for line in &self.languages {
            if let Some(missing) = &line.missing {
                text += &format!("Not measured: {missing}.\n");
            }
        }
        text
    }
}

/// Three digits that count.
fn millis(millis: f64) -> String {
    let decimals = if millis < 10.0 { 2 } else { usize::from(millis < 100.0) };
    format!("{millis:.decimals$} ms")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::Turn;
    use super::*;

    fn report(second_half_ms: u64) -> Report {
        let turn = |ours| Turn { ours: vec![Duration::from_millis(ours)], bare: vec![Duration::from_millis(40)] };
        let measured = Line {
            language: "rust",
            program: Some("/opt/rustc".to_owned()),
            figures: Figures::of(&[turn(10), turn(second_half_ms)]),
            missing: None,
        };
        let missing = "python needs `python`, and there is none".to_owned();
        let absent = Line { language: "python", program: None, figures: None, missing: Some(missing) };
        Report {
            firebox: "0.0.0",
            kernel: "6".to_owned(),
            cpus: 2,
            isolation: "jail".to_owned(),
            bare_in_memory: true,
            languages: vec![measured, absent],
        }
    }

    #[test]
    fn a_line_per_language_and_what_was_not_measured_below() {
        let text = report(10).text();
        assert!(text.contains("\nrust      10.0 ms    40.0 ms  0.25   0 %    /opt/rustc\n"), "{text}");
        assert!(text.contains("Not measured: python needs"), "{text}");
        assert!(!text.contains("Too noisy"), "{text}");
    }

    #[test]
    fn noise_and_a_disk_are_owned_up_to() {
        let text = Report { bare_in_memory: false, ..report(20) }.text();
        assert!(text.contains("Too noisy to conclude much: rust."), "{text}");
        assert!(text.contains("to our advantage"), "{text}");
    }

    #[test]
    fn the_json_has_the_figures_beside_the_language() {
        let json = serde_json::to_value(report(10)).unwrap();
        assert_eq!(json["languages"][0]["ratio"], 0.25);
        assert_eq!(json["languages"][0]["job_ms"]["median"], 10.0);
        assert_eq!(json["languages"][1]["ratio"], serde_json::Value::Null);
    }
}
