//! The one list of what holds in every kind of cell: `tests/every_kind.txt`.
//!
//! The end-to-end tests run all over in jails as it is. The lab runs those that are listed in jails on a stock kernel, and in microVMs.

use anyhow::{Result, ensure};

/// A file of tests, and which of its tests hold in every kind of cell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestsOfFile {
    pub(super) file: String,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) name: String,
    /// Whether it runs in microVMs even where each job boots one.
    pub(super) is_chosen: bool,
}

/// Reads the list.
pub(super) fn read(list: &str) -> Result<Vec<TestsOfFile>> {
    let mut files: Vec<TestsOfFile> = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.split_once(' '), files.last_mut()) {
            (None, _) => files.push(TestsOfFile { file: line.to_owned(), tests: Vec::new() }),
            (Some((mark @ ("+" | "-"), name)), Some(file)) => {
                file.tests.push(Test { name: name.to_owned(), is_chosen: mark == "+" });
            }
            _ => ensure!(false, "neither a file nor one of its tests: {line}"),
        }
    }
    for TestsOfFile { file, tests } in &files {
        ensure!(!tests.is_empty(), "no test of `{file}` is listed");
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_tests_and_some_are_chosen() {
        let read = read("# said\n\nstatuses\n+ ends\n- dies\noutput\n- shows\n").unwrap();
        let test = |name: &str, is_chosen| Test { name: name.to_owned(), is_chosen };
        let statuses =
            TestsOfFile { file: "statuses".to_owned(), tests: vec![test("ends", true), test("dies", false)] };
        assert_eq!(read, [statuses, TestsOfFile { file: "output".to_owned(), tests: vec![test("shows", false)] }]);
    }

    #[test]
    fn what_is_neither_file_nor_test_is_refused() {
        for list in ["+ ends", "statuses\n* ends", "statuses ends", "statuses\noutput\n+ shows"] {
            assert!(super::read(list).is_err(), "{list}");
        }
    }
}
