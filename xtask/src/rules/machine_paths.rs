//! Public text names no path of the machine it was written on.
//!
//! Such a path is wrong for every reader and says who sits where. Tests may have them: in files below a folder
//! `tests`, and in Rust after the line `#[cfg(test)]`, where made-up toolchain folders are spelled out.

use std::path::Path;

use super::Broken;

/// The home of root, the homes of people, and a folder many build machines check out into.
const PLACES: [&str; 3] = ["/root/", "/home/", "/work/"];

/// Where one of [`PLACES`] is meant: the file, the place, and why. The only list of exceptions.
const ALLOWED: [(&str, &str, &str); 3] = [
    ("xtask/src/rules/machine_paths.rs", "/root/", "this rule"),
    ("xtask/src/rules/machine_paths.rs", "/home/", "this rule"),
    ("xtask/src/rules/machine_paths.rs", "/work/", "this rule"),
];

pub(super) fn check(file: &Path, text: &str) -> Vec<Broken> {
    if file.iter().any(|part| part == "tests") {
        return Vec::new();
    }
    let is_rust = file.extension().is_some_and(|extension| extension == "rs");
    let public = text.lines().enumerate().take_while(|(_, line)| !(is_rust && line.trim() == "#[cfg(test)]"));
    let mut broken = Vec::new();
    for (index, line) in public {
        for place in PLACES.iter().filter(|place| !is_allowed(file, place) && names_place(line, place)) {
            broken.push(Broken {
                file: file.to_owned(),
                line: Some(index + 1),
                what: format!(
                    "names a place below `{place}` of some machine: say it without, or add the file to the list in \
                     xtask/src/rules/machine_paths.rs"
                ),
            });
        }
    }
    broken
}

fn is_allowed(file: &Path, place: &str) -> bool {
    ALLOWED.iter().any(|(allowed, its_place, _why)| file == Path::new(allowed) && place == *its_place)
}

/// Whether the line has the place as the start of a path with something below it. In `a/work/b` it is the middle
/// of another path.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + place.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}".contains(c))
            && after.is_some_and(|c| c.is_alphanumeric() || "._".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, text: &str) -> Vec<usize> {
        check(Path::new(file), text).into_iter().filter_map(|broken| broken.line).collect()
    }

    #[test]
    fn a_path_of_a_machine_is_found_in_any_kind_of_text() {
        let text = "fine\nsee /root/.cargo/bin\n`/home/alice/x`\n(\"/work/main\")\n";
        assert_eq!(lines("docs/a.md", text), [2, 3, 4]);
        assert_eq!(lines("crates/a/src/b.rs", text), [2, 3, 4]);
    }

    #[test]
    fn the_middle_of_another_path_and_a_bare_place_do_not_count() {
        assert_eq!(lines("a.md", "crates/work/src\nhttps://example.org/work/x\n/home/ of someone\n`/root/`"), [0; 0]);
    }

    #[test]
    fn tests_may_spell_out_places() {
        assert_eq!(lines("tests/mission/a.json", "/root/x"), [0; 0]);
        assert_eq!(lines("crates/a/tests/b.rs", "/home/alice"), [0; 0]);
        assert_eq!(lines("crates/a/src/b.rs", "code\n#[cfg(test)]\nmod tests { \"/home/alice\" }"), [0; 0]);
    }
}
