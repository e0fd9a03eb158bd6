//! The one list of what holds in every kind of cell: `tests/every_kind.txt`.
//!
//! The end-to-end tests run all over in jails as it is. The lab runs those that are listed in jails on a stock kernel, and in microVMs; attacks
//! in microVMs alone, since each goes over all other kinds of cell by itself.

use anyhow::{Result, ensure};

/// What stands behind the name of a file whose tests know the other kinds of cell themselves.
const IN_MICROVMS_ALONE: &str = "in microVMs";

/// A file of tests, and which of its tests hold in every kind of cell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestsOfFile {
    pub(super) file: String,
    pub(super) kinds: Kinds,
    pub(super) tests: Vec<Test>,
}

/// In which kinds of cell the lab runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Every,
    MicroVms,
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
            (None, _) => files.push(TestsOfFile::named(line, Kinds::Every)),
            (Some((mark @ ("+" | "-"), name)), Some(file)) => {
                file.tests.push(Test { name: name.to_owned(), is_chosen: mark == "+" });
            }
            (Some((file, IN_MICROVMS_ALONE)), _) => files.push(TestsOfFile::named(file, Kinds::MicroVms)),
            _ => ensure!(false, "neither a file nor one of its tests: {line}"),
        }
    }
    for TestsOfFile { file, tests, .. } in &files {
        ensure!(!tests.is_empty(), "no test of `{file}` is listed");
    }
    Ok(files)
}

impl TestsOfFile {
    fn named(file: &str, kinds: Kinds) -> TestsOfFile {
        TestsOfFile { file: file.to_owned(), kinds, tests: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_tests_and_some_are_chosen() {
        let read = read("# said\n\nstatuses\n+ ends\n- dies\nattacks in microVMs\n- bites\n").unwrap();
        let test = |name: &str, is_chosen| Test { name: name.to_owned(), is_chosen };
        let statuses = TestsOfFile {
            tests: vec![test("ends", true), test("dies", false)],
            ..TestsOfFile::named("statuses", Kinds::Every)
        };
        let attacks =
            TestsOfFile { tests: vec![test("bites", false)], ..TestsOfFile::named("attacks", Kinds::MicroVms) };
        assert_eq!(read, [statuses, attacks]);
    }

    #[test]
    fn what_is_neither_file_nor_test_is_refused() {
        for list in
            ["+ ends", "statuses\n* ends", "statuses ends", "statuses in jails\n+ ends", "statuses\noutput\n+ shows"]
        {
            assert!(super::read(list).is_err(), "{list}");
        }
    }
}
