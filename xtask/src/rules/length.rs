//! No file of ours grows past what a reader can hold: past the limit there is a second noun in it.

use std::path::Path;

use super::Broken;

/// Lines, tests included. The habit is about 300 before the tests; this is where the habit was forgotten.
const MOST_LINES: usize = 700;

pub(super) fn check(file: &Path, text: &str) -> Option<Broken> {
    let lines = text.lines().count();
    let is_ours = file.starts_with("crates") || file.starts_with("xtask");
    (is_ours && lines > MOST_LINES).then(|| Broken {
        file: file.to_owned(),
        line: None,
        what: format!("has {lines} lines, {MOST_LINES} is the most: find the second noun in it and give it a file"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_line_is_not() {
        let text = "x\n".repeat(MOST_LINES);
        assert_eq!(check(Path::new("crates/a/src/b.rs"), &text), None);
        assert!(check(Path::new("crates/a/src/b.rs"), &format!("{text}x\n")).is_some());
        assert_eq!(check(Path::new("tests/long.rs"), &format!("{text}x\n")), None);
    }
}
