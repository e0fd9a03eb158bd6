//! A language as it is listed, for whoever asks what this host can run.

use firebox_job::OptionValue;
use firebox_lang::{Language, MissingToolchain, OptionSpec, Program, Toolchain};
use schemars::JsonSchema;
use serde::Serialize;

/// A language as it is listed; the JSON of `firebox languages --json` and of `GET /v1/languages`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Listing {
    /// Its name.
    pub name: String,
    /// Other names that it answers to.
    pub aliases: Vec<String>,
    /// What its files end in.
    pub extensions: Vec<String>,
    /// What nameless code is called.
    pub entry: String,
    /// Null when the toolchain is missing, or could not be asked.
    pub version: Option<String>,
    /// The image that its programs are of, by its name on this host; null when they are the host's, or missing.
    pub image: Option<String>,
    /// The compiler or interpreter itself, every shim resolved, with its path in the image if it is of one; null when the
    /// toolchain is missing.
    pub program: Option<String>,
    /// That and whatever else the language needs; empty when the toolchain is missing.
    pub programs: Vec<ListedProgram>,
    /// The options it takes.
    pub options: Vec<ListedOption>,
    /// What is missing and what to install; null when nothing is.
    pub missing: Option<String>,
}

/// A program that a language needs, and where it is on this host.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ListedProgram {
    /// What the language's file calls it.
    pub name: String,
    /// Where it is.
    pub path: String,
}

/// An option that a language takes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ListedOption {
    /// Its name.
    pub name: String,
    /// The values it takes.
    pub values: Vec<serde_json::Value>,
    /// The one that applies when nothing is said.
    pub default: serde_json::Value,
    /// What it is for.
    pub help: String,
}

impl Listing {
    /// What is known of a language on any host.
    pub fn of(language: &Language) -> Listing {
        Listing {
            name: language.name().to_owned(),
            aliases: language.aliases().to_vec(),
            extensions: language.extensions().to_vec(),
            entry: language.entry().to_string(),
            version: None,
            image: None,
            program: None,
            programs: Vec::new(),
            options: language.options().iter().map(ListedOption::of).collect(),
            missing: None,
        }
    }

    /// Adds what was found on this host.
    pub fn with(self, toolchain: &Toolchain) -> Listing {
        let listed = |program: &Program| ListedProgram {
            name: program.name.clone(),
            path: match toolchain.image {
                Some(_) => program.inside.display().to_string(),
                None => program.outside.display().to_string(),
            },
        };
        let programs: Vec<ListedProgram> = toolchain.programs.iter().map(listed).collect();
        // The file of a language names first what the language is.
        let program = programs.first().map(|first| first.path.clone());
        Listing { image: toolchain.image.clone(), program, programs, ..self }
    }

    /// Adds what was not found on this host.
    pub fn without(self, missing: &MissingToolchain) -> Listing {
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
