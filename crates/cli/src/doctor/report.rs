//! What the doctor says, for people.

use std::fmt::Write;

use firebox_job::Safeguard;

use super::finding::{Examined, Finding, State};
use crate::table::table;

/// The table, and below it what is not enforced, why, and what to change.
pub(super) fn report(examined: &[Examined; 3], default: Option<&str>, groups: &str) -> String {
    let head = ["".to_owned(), examined[0].kind.clone(), examined[1].kind.clone(), examined[2].kind.clone()];
    let rows = Safeguard::ALL.map(|safeguard| {
        let [a, b, c] =
            examined.each_ref().map(|kind| kind.state(safeguard).map_or("not tried", State::name).to_owned());
        [safeguard.text().to_owned(), a, b, c]
    });
    let mut text = table(&[&[head], rows.as_slice()].concat());
    for kind in examined {
        text.push_str(&remarks(kind));
    }
    _ = writeln!(text, "\nControl groups on this host: {groups}.");
    match default {
        Some(kind) => _ = writeln!(text, "Jobs run in a {kind} on this host."),
        None => text.push_str("No job can run on this host.\n"),
    }
    text
}

fn remarks(examined: &Examined) -> String {
    let mut text = String::new();
    let Examined { kind, available, why, change, safeguards } = examined;
    if !available {
        _ = writeln!(text, "\n{kind}: not to be had here: {}", why.as_deref().unwrap_or("nobody says why"));
        _ = change.as_deref().map(|change| writeln!(text, "  to change that: {change}"));
        return text;
    }
    if safeguards.is_empty() {
        _ = writeln!(text, "\n{kind}: not tried: {}", why.as_deref().unwrap_or("nobody says why"));
        _ = change.as_deref().map(|first| writeln!(text, "  to have one: {first}"));
        return text;
    }
    let all = Safeguard::ALL.iter().zip(safeguards);
    let weaker: Vec<_> = all.filter(|(_, finding)| finding.state != State::Enforced).collect();
    if weaker.is_empty() {
        return text;
    }
    _ = writeln!(text, "\n{kind}:");
    for (safeguard, Finding { name: _, state, why, change }) in weaker {
        _ = writeln!(text, "  {safeguard}: {}, since {}", state.name(), why.as_deref().unwrap_or("nobody says why"));
        _ = change.as_deref().map(|change| writeln!(text, "    to change that: {change}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use firebox_job::CellKind;

    use super::*;

    #[test]
    fn the_security_page_has_the_same_table() {
        let page = include_str!("../../../../SECURITY.md");
        let by = |safeguard: Safeguard, kind| safeguard.done_by(kind).unwrap_or("nothing");
        for safeguard in Safeguard::ALL {
            let (jail, fence) = (by(safeguard, CellKind::Jail), by(safeguard, CellKind::Fence));
            let row = format!("| {safeguard} | {jail} | {fence} |\n");
            assert!(page.contains(&row), "SECURITY.md lacks the row\n{row}");
        }
    }

    #[test]
    fn a_kind_that_is_not_to_be_had_says_why_and_what_to_change() {
        let missing = |kind: CellKind| Examined::missing(kind, "of the weather".to_owned(), "wait");
        let kinds = [missing(CellKind::MicroVm), missing(CellKind::Jail), missing(CellKind::Fence)];
        let text = report(&kinds, None, "none");
        assert!(text.contains("jail: not to be had here: of the weather\n  to change that: wait\n"), "{text}");
        assert!(text.ends_with("No job can run on this host.\n"), "{text}");
    }

    #[test]
    fn a_kind_in_which_nothing_was_tried_says_what_comes_first() {
        let untried = Examined::untried(CellKind::MicroVm, "it takes a kernel".to_owned(), "fetch one");
        let missing = |kind: CellKind| Examined::missing(kind, "of the weather".to_owned(), "wait");
        let text = report(&[untried, missing(CellKind::Jail), missing(CellKind::Fence)], None, "none");
        assert!(text.contains("microvm: not tried: it takes a kernel\n  to have one: fetch one\n"), "{text}");
        let row = text.lines().nth(1).unwrap();
        assert!(row.contains("not tried") && row.ends_with("missing"), "{text}");
    }
}
