//! Which version a toolchain is, in its own words.

use std::collections::BTreeMap;

use firebox_cell::Layout;
use firebox_job::StepKind;

use crate::language::Language;
use crate::plan::{Step, Values};
use crate::toolchain::Toolchain;

impl Language {
    /// The step that makes the toolchain say its version, to be run in a cell like any other: what stands on a
    /// search path is not ours, and is not run outside of one.
    pub fn version_probe(&self, toolchain: &Toolchain, layout: &Layout) -> Step {
        let values = Values::without_job(self, toolchain, layout);
        Step {
            name: "version".to_owned(),
            kind: StepKind::Build,
            argv: values.argv(&self.version),
            env: toolchain.environment_in(layout, StepKind::Build, &BTreeMap::new()).into_iter().collect(),
            crash_codes: Vec::new(),
            makes: None,
        }
    }

    /// Takes the version out of what the probe printed: the first thing in it that looks like one.
    pub fn parse_version(&self, output: &str) -> Option<String> {
        let starts = output.char_indices().filter(|(at, c)| c.is_ascii_digit() && begins_a_word(&output[..*at]));
        starts.map(|(at, _)| &output[at..]).find_map(version_at).map(str::to_owned)
    }
}

/// Whether a number may begin here: not inside `x86_64` or in the middle of another number, but after a `v` or the name of what
/// it is the version of, as in `go1.19`.
fn begins_a_word(before: &str) -> bool {
    let name = before.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let last = name.chars().next_back();
    last.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_'))
}

/// Digits with dots between them, and what releases before the release append: `1.95.0-nightly`, `3.14.0rc1`.
fn version_at(text: &str) -> Option<&str> {
    let numbers = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let end = text[..numbers].trim_end_matches('.').len();
    if !text[..end].contains('.') {
        return None;
    }
    let rest = &text[end..];
    let suffix = rest.strip_prefix('-').unwrap_or(rest);
    if !suffix.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some(&text[..end]);
    }
    let length = suffix.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(suffix.len());
    Some(text[..end + rest.len() - suffix.len() + length].trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use crate::Catalogue;

    #[test]
    fn the_version_is_taken_out_of_what_programs_print() {
        let catalogue = Catalogue::builtin();
        let rust = catalogue.find("rust").unwrap();
        for (output, version) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)\n", Some("1.95.0")),
            ("rustc 1.97.0-nightly (abc 2026-05-01)", Some("1.97.0-nightly")),
            ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022", Some("12.2.0")),
            ("gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0", Some("11.4.0")),
            ("Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu", Some("14.0.6")),
            ("Python 3.11.7\n", Some("3.11.7")),
            ("Python 3.14.0rc1+", Some("3.14.0rc1")),
            ("v20.20.2\n", Some("20.20.2")),
            ("go version go1.19.8 linux/amd64\n", Some("1.19.8")),
            ("javac 17.0.15\n", Some("17.0.15")),
            ("javac 25-ea\n", None),
            ("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)", Some("5.2.15")),
            ("x86_64.5 nothing 7 here. 8.", None),
            ("", None),
        ] {
            assert_eq!(rust.parse_version(output).as_deref(), version, "{output}");
        }
    }
}
