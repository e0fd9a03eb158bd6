//! A language as `firebox languages` shows it: as data, and as a line of a table.

use firebox_job::OptionValue;
use firebox_lang::{Language, MissingToolchain, OptionSpec, Program, Toolchain};
use serde::Serialize;

use crate::table::table;

/// A language as it is listed; the JSON of `firebox languages --json`.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Listing {
    name: String,
    aliases: Vec<String>,
    extensions: Vec<String>,
    /// What nameless code is called.
    entry: String,
    /// Null when the toolchain is missing, or could not be asked.
    pub(crate) version: Option<String>,
    /// The compiler or interpreter itself, every shim resolved; null when the toolchain is missing.
    program: Option<String>,
    /// That and whatever else the language needs; empty when the toolchain is missing.
    programs: Vec<ListedProgram>,
    options: Vec<ListedOption>,
    /// What is missing and what to install; null when nothing is.
    missing: Option<String>,
}

/// A program that a language needs, and where it is on this host.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ListedProgram {
    name: String,
    path: String,
}

/// An option that a language takes.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ListedOption {
    name: String,
    values: Vec<serde_json::Value>,
    default: serde_json::Value,
    help: String,
}

impl Listing {
    /// What is known of a language on any host.
    pub(crate) fn of(language: &Language) -> Listing {
        Listing {
            name: language.name().to_owned(),
            aliases: language.aliases().to_vec(),
            extensions: language.extensions().to_vec(),
            entry: language.entry().to_string(),
            version: None,
            program: None,
            programs: Vec::new(),
            options: language.options().iter().map(ListedOption::of).collect(),
            missing: None,
        }
    }

    /// Adds what was found on this host.
    pub(crate) fn with(self, toolchain: &Toolchain) -> Listing {
        let listed = |program: &Program| ListedProgram {
            name: program.name.clone(),
            path: program.outside.display().to_string(),
        };
        let programs: Vec<ListedProgram> = toolchain.programs.iter().map(listed).collect();
        // The file of a language names first what the language is.
        Listing { program: programs.first().map(|first| first.path.clone()), programs, ..self }
    }

    /// Adds what was not found on this host.
    pub(crate) fn without(self, missing: &MissingToolchain) -> Listing {
        Listing { missing: Some(missing.to_string()), ..self }
    }
}

impl ListedOption {
    fn of(option: &OptionSpec) -> ListedOption {
        let OptionSpec { name, values, default, help, .. } = option;
        ListedOption {
            name: name.clone(),
            values: values.iter().map(as_json).collect(),
            default: as_json(default),
            help: help.clone(),
        }
    }
}

fn as_json(value: &OptionValue) -> serde_json::Value {
    match value {
        OptionValue::Text(text) => text.as_str().into(),
        OptionValue::Number(number) => (*number).into(),
        OptionValue::Switch(on) => (*on).into(),
    }
}

/// The table, and below it what is missing.
pub(crate) fn rendered(listings: &[Listing]) -> String {
    let header = ["LANGUAGE", "ALIASES", "VERSION", "PROGRAM", "OPTIONS"].map(str::to_owned);
    let mut rows = vec![header];
    for listing in listings {
        let options: Vec<String> = listing.options.iter().map(option_in_words).collect();
        rows.push([
            listing.name.clone(),
            or_dash(listing.aliases.join(", ")),
            or_dash(listing.version.clone().unwrap_or_default()),
            if listing.missing.is_some() {
                "missing".to_owned()
            } else {
                or_dash(listing.program.clone().unwrap_or_default())
            },
            or_dash(options.join(", ")),
        ]);
    }
    let mut text = table(&rows);
    for missing in listings.iter().filter_map(|listing| listing.missing.as_ref()) {
        text.push_str(&format!("\n{missing}\n"));
    }
    text
}

/// `edition=2015|2018|2021|*2024*`: the value between stars is the one that applies when nothing is said.
fn option_in_words(option: &ListedOption) -> String {
    let values = option.values.iter().map(|value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if *value == option.default { format!("*{text}*") } else { text }
    });
    format!("{}={}", option.name, values.collect::<Vec<_>>().join("|"))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listings() -> Vec<Listing> {
        let option = ListedOption {
            name: "edition".to_owned(),
            values: vec![2021.into(), 2024.into()],
            default: 2024.into(),
            help: "Which edition.".to_owned(),
        };
        let rust = Listing {
            name: "rust".to_owned(),
            aliases: vec!["rs".to_owned()],
            extensions: vec!["rs".to_owned()],
            entry: "main.rs".to_owned(),
            version: Some("1.95.0".to_owned()),
            program: Some("/usr/bin/rustc".to_owned()),
            programs: vec![ListedProgram { name: "rustc".to_owned(), path: "/usr/bin/rustc".to_owned() }],
            options: vec![option],
            missing: None,
        };
        let missing = Listing {
            name: "c".to_owned(),
            aliases: Vec::new(),
            extensions: Vec::new(),
            entry: "main.c".to_owned(),
            version: None,
            program: None,
            programs: Vec::new(),
            options: Vec::new(),
            missing: Some("c needs `cc`; install gcc".to_owned()),
        };
        vec![rust, missing]
    }

    #[test]
    fn the_table_shows_what_is_there_and_says_what_to_install() {
        assert_eq!(
            rendered(&listings()),
            "\
LANGUAGE  ALIASES  VERSION  PROGRAM         OPTIONS
rust      rs       1.95.0   /usr/bin/rustc  edition=2021|*2024*
c         -        -        missing         -

c needs `cc`; install gcc
"
        );
    }

    #[test]
    fn the_json_says_the_same_as_data() {
        let json = serde_json::to_string(&listings()[0]).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"name":"rust","aliases":["rs"],"extensions":["rs"],"entry":"main.rs","version":"1.95.0","#,
                r#""program":"/usr/bin/rustc","programs":[{"name":"rustc","path":"/usr/bin/rustc"}],"#,
                r#""options":[{"name":"edition","values":[2021,2024],"default":2024,"help":"Which edition."}],"#,
                r#""missing":null}"#,
            )
        );
    }
}
