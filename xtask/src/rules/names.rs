//! No file or folder whose name says only that its author had not found its noun yet.

use std::path::Path;

use super::Broken;

const NOT_A_NOUN: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "misc", "manager", "managers", "miscellaneous"];

pub(super) fn check(file: &Path) -> Option<Broken> {
    let stem = |part: &std::ffi::OsStr| part.to_string_lossy().split('.').next().unwrap_or_default().to_lowercase();
    let name = file.iter().map(stem).find(|stem| NOT_A_NOUN.contains(&stem.as_str()))?;
    Some(Broken {
        file: file.to_owned(),
        line: None,
        what: format!("`{name}` says nothing about what is in it: name it after its noun"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_both_looked_at_whatever_their_extension() {
        for path in ["crates/a/src/utils.rs", "crates/a/src/common/b.rs", "Misc.md", "tests/helpers/mod.rs"] {
            assert!(check(Path::new(path)).is_some(), "{path}");
        }
    }

    #[test]
    fn a_name_that_only_contains_such_a_word_is_fine() {
        for path in ["crates/a/src/commons_licence.rs", "crates/a/src/uncommon.rs", ".gitignore"] {
            assert_eq!(check(Path::new(path)), None, "{path}");
        }
    }
}
