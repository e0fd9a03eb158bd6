//! An option that a language takes, such as Rust's `edition`.

use firebox_job::OptionValue;

/// An option that a language takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionSpec {
    /// What clients call it.
    pub name: String,
    /// The values it takes; all of one type.
    pub values: Vec<OptionValue>,
    /// The value of a job that says nothing; one of the values.
    pub default: OptionValue,
    /// What it is for, in one line.
    pub help: String,
    /// The arguments each value stands for, in the order of the values; without them, a value stands for its text.
    pub(crate) arguments: Option<Vec<Vec<String>>>,
}

impl OptionSpec {
    /// Where a given value stands among the values.
    ///
    /// Texts are compared, so that `"2021"`, as Cargo.toml spells an edition, is as good as `2021`. Values of one
    /// option never differ by their type alone.
    pub(crate) fn position(&self, given: &OptionValue) -> Option<usize> {
        let given = value_text(given);
        self.values.iter().position(|value| value_text(value) == given)
    }

    /// Its values for a message: `` `debug` or `release` ``.
    pub(crate) fn allowed(&self) -> String {
        let texts: Vec<String> = self.values.iter().map(|value| format!("`{}`", value_text(value))).collect();
        match texts.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => texts.concat(),
        }
    }
}

/// An option's value as people write it.
pub(crate) fn value_text(value: &OptionValue) -> String {
    match value {
        OptionValue::Text(text) => text.clone(),
        OptionValue::Number(number) => number.to_string(),
        OptionValue::Switch(on) => on.to_string(),
    }
}
