//! Language files: from text to a [`Language`], with every fault named by its place.
//!
//! The file is walked by hand rather than through a derived deserialiser: that one stops at the first fault, and
//! whoever writes a file wants to hear of all of them. `languages/README.md` describes the format.

mod fault;
mod fields;
mod groundwork;
mod option;
mod program;
mod step;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use firebox_job::{SourcePath, StepKind};
use toml::Spanned;
use toml::de::DeTable;

use fault::Faults;
pub use fault::LanguageFileError;
use fields::{Fields, Value};

use crate::language::{Ahead, Language, StepSpec};
use crate::option::OptionSpec;
use crate::pattern::{JobPlaceholders, Pattern, Piece, Scope, Stands};

const LANGUAGE: &[&str] = &[
    "name",
    "aliases",
    "extensions",
    "entry",
    "install",
    "image",
    "mounts",
    "linker",
    "environment",
    "groundwork",
    "programs",
    "options",
    "steps",
    "version",
];

/// Something that only one language of a catalogue may have, and where the file says so.
pub(crate) struct Claim {
    pub(crate) kind: ClaimKind,
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// What is claimed. An alias is as good as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ClaimKind {
    Name,
    Extension,
}

impl fmt::Display for ClaimKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClaimKind::Name => "name",
            ClaimKind::Extension => "extension",
        })
    }
}

/// Tells a bad language file from a good one; the name is for the messages.
pub fn check_file(name: &str, text: &str) -> Result<(), Vec<LanguageFileError>> {
    crate::Catalogue::load([(name, text)]).map(|_| ())
}

/// Reads one file, with what it claims for itself alone.
pub(crate) fn read(name: &str, text: &str) -> Result<(Language, Vec<Claim>), Vec<LanguageFileError>> {
    let mut faults = Faults::new(name, text);
    let (table, syntax_errors) = DeTable::parse_recoverable(text);
    for error in &syntax_errors {
        faults.add(error.span().unwrap_or(0..0), error.message().trim_end());
    }
    // What follows from a syntax error would only distract from it.
    if !faults.none() {
        return Err(faults.into_sorted());
    }
    let language = language(table, &mut faults);
    match language {
        Some(language) if faults.none() => Ok(language),
        _ => Err(faults.into_sorted()),
    }
}

fn language(table: Spanned<DeTable<'_>>, faults: &mut Faults<'_>) -> Option<(Language, Vec<Claim>)> {
    let mut fields = Fields::open(table, LANGUAGE);
    let top = fields.place();

    let name = fields.text("name", faults);
    let has_name = name.is_some();
    let mut names = Vec::from_iter(name);
    names.extend(fields.texts("aliases", faults));
    let names = words::keep(names, "language name", words::is_language_name, words::LANGUAGE_NAME, faults);
    let extensions = fields.required("extensions", faults).map(|value| fields::texts(value, faults));
    let extensions =
        words::keep(extensions.unwrap_or_default(), "extension", words::is_extension, words::EXTENSION, faults);
    let entry = fields.text("entry", faults).and_then(|entry| entry_of(entry, &extensions, faults));
    let install = fields.text("install", faults);
    let install = words::sentence(install, faults);
    let image = fields.optional("image").and_then(|value| fields::text(value, faults));
    let image = words::keep(Vec::from_iter(image), "image", words::is_image, words::IMAGE, faults);
    let mounts = fields.texts("mounts", faults).iter().filter_map(|path| words::mount(path, faults)).collect();
    let linker = fields.optional("linker").and_then(|value| fields::text(value, faults));
    let linker = words::keep(Vec::from_iter(linker), "file name", words::is_file_name, words::FILE_NAME, faults);
    let environment =
        fields.optional("environment").map_or_else(BTreeMap::new, |value| words::environment(value, faults));

    let programs = fields.required("programs", faults);
    let programs = unique(programs, "placeholder", &mut Vec::new(), faults, program::read);
    let mut taken: Vec<String> = programs.iter().map(|(_, program)| program.name.clone()).collect();
    let options = unique(fields.optional("options"), "placeholder", &mut taken, faults, option::read);

    let scope = Scope {
        programs: programs.iter().map(|(_, program)| program.name.clone()).collect(),
        options: options.iter().map(|(_, option)| (option.name.clone(), stands(option))).collect(),
        groundwork: false,
        job: JobPlaceholders::Offered,
    };
    let before_job = Scope { options: Vec::new(), job: JobPlaceholders::Absent, ..scope.clone() };
    let groundwork = fields.optional("groundwork").and_then(|value| groundwork::read(value, &before_job, faults));
    let scope = Scope { groundwork: groundwork.is_some(), ..scope };
    let steps = fields.required("steps", faults);
    let steps_place = steps.as_ref().map_or(top, Spanned::span);
    let read_step = |value: Value<'_>, faults: &mut Faults<'_>| step::read(value, &scope, faults);
    let steps: Vec<_> = unique(steps, "step", &mut Vec::new(), faults, read_step);
    let steps: Vec<_> = steps.into_iter().map(|(_, step)| step).collect();
    let version = fields.required("version", faults).map(|value| step::argv(value, &before_job, faults));
    fields.close(faults);

    if let Some((place, _)) = programs.first().filter(|(_, first)| first.beside.is_some()) {
        faults.add(place.clone(), "the first program is looked for by itself: others are `beside` it");
    }
    // Follow-up faults of a step that could not be read would only distract.
    if faults.none() {
        step::check_order(&steps, steps_place.clone(), faults);
        let tells = |name: &str| programs.iter().any(|(_, program)| program.name == name && !program.tells.is_empty());
        let driven = |step: &&StepSpec| step.ahead == Some(Ahead::Driver);
        let by_driver = |step: &StepSpec| {
            step.kind == StepKind::Build && step.argv.first().and_then(Pattern::program).is_some_and(tells)
        };
        if !steps.iter().filter(driven).all(by_driver) {
            faults.add(steps_place, "`ahead = \"driver\"` is for a step that builds, with a program that has `tells`");
        }
        let used = |name: &str| steps.iter().any(|step| step.argv.iter().any(|argument| mentions(argument, name)));
        for (place, option) in options.iter().filter(|(_, option)| !used(&option.name)) {
            faults.add(place.clone(), format!("option `{}` appears in no step", option.name));
        }
    }

    let mut claims = Vec::new();
    for (kind, words) in [(ClaimKind::Name, &names), (ClaimKind::Extension, &extensions)] {
        claims.extend(words.iter().map(|word| {
            let (line, column) = faults.line_and_column(word.span().start);
            Claim { kind, text: word.get_ref().clone(), line, column }
        }));
    }
    let mut names = words::plain(names).into_iter();
    let language = Language {
        name: names.next().filter(|_| has_name)?,
        aliases: names.collect(),
        extensions: words::plain(extensions),
        entry: entry?,
        install: install?,
        image: words::plain(image).pop(),
        options: options.into_iter().map(|(_, option)| option).collect(),
        programs: programs.into_iter().map(|(_, program)| program).collect(),
        mounts,
        linker: words::plain(linker).pop(),
        environment,
        groundwork,
        steps,
        version: version?,
    };
    Some((language, claims))
}

/// Reads a list of things that have a name of their own.
fn unique<'t, T>(
    list: Option<Value<'t>>,
    what: &str,
    taken: &mut Vec<String>,
    faults: &mut Faults<'_>,
    read: impl Fn(Value<'t>, &mut Faults<'_>) -> Option<(Spanned<String>, T)>,
) -> Vec<(Range<usize>, T)> {
    let mut things = Vec::new();
    let Some(list) = list else { return things };
    let place = list.span();
    let values = fields::list(list, faults);
    if values.is_empty() {
        faults.add(place, "is empty; give at least one entry");
    }
    for value in values {
        let Some((name, thing)) = read(value, faults) else { continue };
        if taken.contains(name.get_ref()) {
            faults.add(name.span(), format!("{what} `{}` is given twice", name.get_ref()));
        }
        taken.push(name.get_ref().clone());
        things.push((name.span(), thing));
    }
    things
}

/// The name for bare code must be one that the language would recognise as its own.
fn entry_of(entry: Spanned<String>, extensions: &[Spanned<String>], faults: &mut Faults<'_>) -> Option<SourcePath> {
    let place = entry.span();
    let path = step::source_path(entry, faults)?;
    if !extensions.iter().any(|extension| Some(extension.get_ref().as_str()) == path.extension()) {
        faults.add(place, format!("`{path}` ends in none of the extensions"));
    }
    Some(path)
}

fn stands(option: &OptionSpec) -> Stands {
    if option.arguments.is_some() { Stands::ForArguments } else { Stands::ForItsText }
}

fn mentions(pattern: &Pattern, option: &str) -> bool {
    pattern.pieces.iter().any(|piece| matches!(piece, Piece::Option(name) if name == option))
}
