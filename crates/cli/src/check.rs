//! `firebox languages check`: good language files from bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use firebox_lang::{Catalogue, check_file};

use crate::failure::Failure;
use crate::outlet;

/// Checks all of them, and says of each what is wrong with it.
pub(crate) fn check(files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let checked = checked(files);
    for Checked { name, faults } in &checked {
        match faults.as_slice() {
            [] => outlet::say(&format!("{name}: good\n"))?,
            faults => outlet::remark(&faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()),
        }
    }
    let bad = checked.iter().filter(|file| !file.faults.is_empty()).count();
    match summary(bad, checked.len()) {
        None => Ok(ExitCode::SUCCESS),
        Some(summary) => Err(Failure::request(anyhow::anyhow!(summary))),
    }
}

/// A file, and one line for each fault of it.
#[derive(Debug, PartialEq, Eq)]
struct Checked {
    name: String,
    faults: Vec<String>,
}

/// Looks at each alone, and then at those that are good alone together. A file named twice is still one file.
fn checked(files: &[PathBuf]) -> Vec<Checked> {
    let mut checked: Vec<Checked> = Vec::new();
    let mut good = Vec::new();
    for file in files {
        let name = file.display().to_string();
        if checked.iter().any(|other| other.name == name) {
            continue;
        }
        let faults = match read(file, &name) {
            Err(fault) => vec![fault],
            Ok(text) => {
                let faults = check_file(&name, &text).err().unwrap_or_default();
                if faults.is_empty() {
                    good.push((name.clone(), text));
                }
                faults.iter().map(ToString::to_string).collect()
            }
        };
        checked.push(Checked { name, faults });
    }
    let together = Catalogue::load(good.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    for fault in together.err().unwrap_or_default() {
        let owner = checked.iter_mut().find(|file| file.name == fault.file);
        owner.into_iter().for_each(|file| file.faults.push(fault.to_string()));
    }
    checked
}

fn read(file: &Path, name: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{name}: cannot be read: {error}"))
}

fn summary(bad: usize, all: usize) -> Option<String> {
    match (bad, all) {
        (0, _) => None,
        (1, 1) => Some("the language file is bad".to_owned()),
        (1, all) => Some(format!("1 of {all} language files is bad")),
        (bad, all) => Some(format!("{bad} of {all} language files are bad")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../languages/bash.toml");

    fn faults(files: &[(&str, Option<&str>)]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.path().join(name)).collect();
        for (path, (_, text)) in paths.iter().zip(files) {
            if let Some(text) = text {
                fs::write(path, text).unwrap();
            }
        }
        checked(&paths).into_iter().map(|file| file.faults).collect()
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked() {
        let found = faults(&[("missing.toml", None), ("good.toml", Some(GOOD)), ("bad.toml", Some("name = 7\n"))]);
        assert!(found[0][0].contains("missing.toml: cannot be read: No such file"), "{found:?}");
        assert!(found[1].is_empty() && found[2].iter().any(|fault| fault.contains("bad.toml:1:")), "{found:?}");
    }

    #[test]
    fn what_two_files_claim_is_a_fault_of_the_second() {
        let found = faults(&[("one.toml", Some(GOOD)), ("two.toml", Some(GOOD)), ("one.toml", Some(GOOD))]);
        assert_eq!(found.len(), 2, "a file named twice is one file: {found:?}");
        assert!(found[0].is_empty() && found[1][0].contains("name `bash` is taken by"), "{found:?}");
    }

    #[test]
    fn the_summary_counts_in_words_that_fit() {
        for (bad, all, words) in [
            (0, 3, None),
            (1, 1, Some("the language file is bad")),
            (1, 3, Some("1 of 3 language files is bad")),
            (2, 3, Some("2 of 3 language files are bad")),
        ] {
            assert_eq!(summary(bad, all).as_deref(), words);
        }
    }
}
