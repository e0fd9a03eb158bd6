//! What is wrong in a language file, and where.

use std::ops::Range;

/// One bad place of a language file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct LanguageFileError {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// The faults of one file, gathered while it is read: whoever mends a file wants to hear of all of them at once.
pub(crate) struct Faults<'t> {
    file: &'t str,
    text: &'t str,
    found: Vec<LanguageFileError>,
}

impl<'t> Faults<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Faults<'t> {
        Faults { file, text, found: Vec::new() }
    }

    /// Notes a fault at a place given in bytes.
    pub(crate) fn add(&mut self, place: Range<usize>, reason: impl Into<String>) {
        let (line, column) = self.line_and_column(place.start);
        self.found.push(LanguageFileError { file: self.file.to_owned(), line, column, reason: reason.into() });
    }

    /// The line and the character in it, both counted from 1, of a place given in bytes.
    pub(crate) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    pub(crate) fn none(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of the file.
    pub(crate) fn into_sorted(mut self) -> Vec<LanguageFileError> {
        self.found.sort();
        self.found
    }
}
