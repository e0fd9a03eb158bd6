//! Tables of a language file, taken apart key by key, so that whatever is left over is known to be unknown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use crate::nearest::nearest;

/// Any value with its place.
pub(crate) type Value<'t> = Spanned<DeValue<'t>>;

/// A table of which only certain keys are understood.
pub(crate) struct Fields<'t> {
    table: DeTable<'t>,
    place: Range<usize>,
    known: &'static [&'static str],
}

impl<'t> Fields<'t> {
    /// Opens a table.
    pub(crate) fn open(table: Spanned<DeTable<'t>>, known: &'static [&'static str]) -> Fields<'t> {
        Fields { place: table.span(), table: table.into_inner(), known }
    }

    /// Opens a value that must be a table.
    pub(crate) fn of_value(
        value: Value<'t>,
        known: &'static [&'static str],
        faults: &mut Faults<'_>,
    ) -> Option<Fields<'t>> {
        let place = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Fields { table, place, known }),
            other => {
                wrong_type("a table", &other, place, faults);
                None
            }
        }
    }

    /// Where the table stands.
    pub(crate) fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// Takes what a key holds, if it is there.
    pub(crate) fn optional(&mut self, key: &str) -> Option<Value<'t>> {
        debug_assert!(self.known.contains(&key), "{key} is read but not known");
        self.table.remove(key)
    }

    /// Takes what a key holds; its absence is a fault.
    pub(crate) fn required(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<Value<'t>> {
        let value = self.optional(key);
        if value.is_none() {
            faults.add(self.place(), format!("`{key}` is missing"));
        }
        value
    }

    /// Takes the text of a key that must be there.
    pub(crate) fn text(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<Spanned<String>> {
        self.required(key, faults).and_then(|value| text(value, faults))
    }

    /// Takes the texts of a key that may be absent.
    pub(crate) fn texts(&mut self, key: &str, faults: &mut Faults<'_>) -> Vec<Spanned<String>> {
        self.optional(key).map_or_else(Vec::new, |value| texts(value, faults))
    }

    /// Ends the reading: keys that nobody took are faults.
    pub(crate) fn close(self, faults: &mut Faults<'_>) {
        let Fields { table, place: _, known } = self;
        for key in table.keys() {
            let name: &str = key.get_ref();
            let reason = match nearest(name, known.iter().copied()).first() {
                Some(meant) => format!("unknown key `{name}`; did you mean `{meant}`?"),
                None => format!("unknown key `{name}`; known here are `{}`", known.join("`, `")),
            };
            faults.add(key.span(), reason);
        }
    }
}

/// A value that must be a text.
pub(crate) fn text(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Spanned<String>> {
    let place = value.span();
    match value.into_inner() {
        DeValue::String(text) => Some(Spanned::new(place, text.into_owned())),
        other => {
            wrong_type("a string", &other, place, faults);
            None
        }
    }
}

/// A value that must be a list.
pub(crate) fn list<'t>(value: Value<'t>, faults: &mut Faults<'_>) -> Vec<Value<'t>> {
    let place = value.span();
    match value.into_inner() {
        DeValue::Array(values) => values.into_iter().collect(),
        other => {
            wrong_type("a list", &other, place, faults);
            Vec::new()
        }
    }
}

/// A value that must be a list of texts.
pub(crate) fn texts(value: Value<'_>, faults: &mut Faults<'_>) -> Vec<Spanned<String>> {
    list(value, faults).into_iter().filter_map(|value| text(value, faults)).collect()
}

/// A value that must be a table whose keys are free.
pub(crate) fn entries<'t>(value: Value<'t>, faults: &mut Faults<'_>) -> Vec<(Spanned<String>, Value<'t>)> {
    let place = value.span();
    match value.into_inner() {
        DeValue::Table(table) => {
            let owned = |key: Spanned<_>| Spanned::new(key.span(), std::borrow::Cow::into_owned(key.into_inner()));
            table.into_iter().map(|(key, value)| (owned(key), value)).collect()
        }
        other => {
            wrong_type("a table", &other, place, faults);
            Vec::new()
        }
    }
}

/// Notes that a value is of another type than expected.
pub(crate) fn wrong_type(expected: &str, found: &DeValue<'_>, place: Range<usize>, faults: &mut Faults<'_>) {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a switch",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    faults.add(place, format!("expected {expected}, found {found}"));
}
