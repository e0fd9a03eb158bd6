//! An option that a language takes, such as Rust's `edition`.

use firebox_job::{OptionValue, Sources};

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
    /// What some values stand for instead where the job's files have a certain word. The first that fits counts.
    pub(crate) instead: Vec<Instead>,
}

/// Arguments for jobs whose files have a certain word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instead {
    /// The word.
    pub(crate) word: String,
    /// The arguments in the order of the values; none where the value stands for what it does otherwise.
    pub(crate) arguments: Vec<Option<Vec<String>>>,
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

    /// The arguments that the value at a position stands for in a job with these files, or in one that has none yet.
    pub(crate) fn arguments_for(&self, at: usize, sources: Option<&Sources>) -> Option<&[String]> {
        let has = |word: &str| {
            let has = |content: &[u8]| content.windows(word.len()).any(|part| part == word.as_bytes());
            sources.is_some_and(|sources| sources.files().iter().any(|file| has(&file.content)))
        };
        let instead =
            self.instead.iter().filter_map(|instead| Some((&instead.word, instead.arguments.get(at)?.as_ref()?)));
        let mut instead = instead.filter(|(word, _)| has(word)).map(|(_, arguments)| arguments);
        instead.next().or_else(|| self.arguments.as_ref()?.get(at)).map(Vec::as_slice)
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
