//! The attacks of the end-to-end tests as a table: what was tried, what stopped it, and how it went in each setting.
//!
//! A test prints a line for each setting that it tried an attack in, `attack: <name> | <layer> | <setting> | <how>`.

use std::fmt;

/// The settings in the order of the columns, as the tests call them.
const SETTINGS: [&str; 4] = ["root jail", "user jail", "fence", "microVM"];
/// Those that have a column whatever was tried. A microVM is tried in the lab alone.
const ALWAYS: usize = 3;
const UNTRIED: &str = "not tried";

/// One line of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttackLine {
    pub(crate) name: String,
    pub(crate) layer: String,
    pub(crate) setting: String,
    pub(crate) how: String,
}

impl AttackLine {
    pub(crate) fn parse(line: &str) -> Option<AttackLine> {
        let mut fields = line.strip_prefix("attack: ")?.splitn(4, " | ").map(str::to_owned);
        let (name, layer, setting, how) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        SETTINGS.contains(&setting.as_str()).then_some(AttackLine { name, layer, setting, how })
    }
}

/// All attacks that were tried, in the order of the tests.
#[derive(Debug)]
pub(crate) struct AttackTable {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    /// More than one where not every setting has the same.
    layers: Vec<String>,
    settings: [Option<String>; SETTINGS.len()],
}

impl AttackTable {
    pub(crate) fn of<'a>(lines: impl IntoIterator<Item = &'a AttackLine>) -> AttackTable {
        let mut rows: Vec<Row> = Vec::new();
        for AttackLine { name, layer, setting, how } in lines {
            let at = rows.iter().position(|row| row.name == *name).unwrap_or_else(|| {
                rows.push(Row { name: name.clone(), layers: Vec::new(), settings: Default::default() });
                rows.len() - 1
            });
            let row = &mut rows[at];
            if !row.layers.contains(layer) {
                row.layers.push(layer.clone());
            }
            if let Some(column) = SETTINGS.iter().position(|known| known == setting) {
                row.settings[column] = Some(how.clone());
            }
        }
        AttackTable { rows }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for AttackTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_column = |at: usize| at < ALWAYS || self.rows.iter().any(|row| row.settings[at].is_some());
        let columns: Vec<usize> = (0..SETTINGS.len()).filter(|at| has_column(*at)).collect();
        let line = |name: &str, layer: &str, of_setting: &dyn Fn(usize) -> String| -> Vec<String> {
            [name.to_owned(), layer.to_owned()].into_iter().chain(columns.iter().map(|at| of_setting(*at))).collect()
        };
        let mut lines = vec![line("attack", "layer that stopped it", &|at| SETTINGS[at].to_owned())];
        for Row { name, layers, settings } in &self.rows {
            lines.push(line(name, &layers.join("; else "), &|at| short(settings[at].as_deref()).to_owned()));
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..2 + columns.len()).map(width).collect();
        for (index, line) in lines.iter().enumerate() {
            let cells: Vec<String> = line.iter().zip(&widths).map(|(text, width)| format!("{text:width$}")).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
            if index == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                writeln!(f, "|-{}-|", rule.join("-|-"))?;
            }
        }
        write!(f, "{} attacks", self.rows.len())
    }
}

/// What fits into a column: reasons stand in the tests.
fn short(how: Option<&str>) -> &str {
    how.map_or(UNTRIED, |how| how.split(':').next().unwrap_or(how))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_attack_become_one_row() {
        let lines: Vec<AttackLine> = [
            "attack: fork bomb | control group: tasks | root jail | held",
            "attack: fork bomb | a limit of the user | user jail | held",
            "attack: locks | overlay | fence | open, as documented",
            "attack: locks | overlay | root jail | no such thing: because",
        ]
        .into_iter()
        .filter_map(AttackLine::parse)
        .collect();
        let table = AttackTable::of(&lines).to_string();
        let cells = |row: usize| -> Vec<String> {
            table.lines().nth(row).unwrap().split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        assert_eq!(
            cells(2)[1..6],
            ["fork bomb", "control group: tasks; else a limit of the user", "held", "held", UNTRIED]
        );
        assert_eq!(cells(3)[1..6], ["locks", "overlay", "no such thing", UNTRIED, "open, as documented"]);
        assert!(table.ends_with("2 attacks"), "{table}");
        assert!(!table.contains("microVM"), "nothing was tried in one\n{table}");
    }

    #[test]
    fn what_was_tried_in_a_microvm_has_a_column_of_its_own() {
        let lines = ["attack: fork bomb | control group | microVM | held"].into_iter().filter_map(AttackLine::parse);
        let table = AttackTable::of(&lines.collect::<Vec<_>>()).to_string();
        let cells: Vec<&str> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(cells[3..7], [UNTRIED, UNTRIED, UNTRIED, "held"], "{table}");
    }

    #[test]
    fn what_only_looks_alike_is_no_line() {
        for line in ["attack: a | b | held", "attack: a | b | moon | held", "an attack: a | b | fence | held"] {
            assert_eq!(AttackLine::parse(line), None, "{line}");
        }
    }
}
