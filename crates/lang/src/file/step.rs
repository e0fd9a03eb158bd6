//! The steps of a language file.

use std::collections::BTreeMap;

use firebox_job::{SourcePath, StepKind};
use toml::Spanned;
use toml::de::DeValue;

use super::fault::Faults;
use super::fields::{self, Fields, Value};
use super::words;
use crate::language::{Ahead, Copied, StepSpec};
use crate::pattern::{Pattern, Scope};

const STEP: &[&str] =
    &["name", "kind", "argv", "crash_codes", "makes", "volatile", "environment", "ahead", "copied", "typical"];
const COPIED: &[&str] = &["functions", "renews"];

/// Reads one entry of `steps`; the name comes with its place, so that a second one of that name can be refused.
pub(super) fn read(value: Value<'_>, scope: &Scope, faults: &mut Faults<'_>) -> Option<(Spanned<String>, StepSpec)> {
    let mut fields = Fields::of_value(value, STEP, faults)?;
    let name = fields.text("name", faults);
    let name = words::keep(name.into_iter().collect(), "step name", words::is_name, words::NAME, faults).pop();
    let kind = fields.text("kind", faults).and_then(|kind| match kind.get_ref().as_str() {
        "build" => Some(StepKind::Build),
        "run" => Some(StepKind::Run),
        other => {
            faults.add(kind.span(), format!("{other:?} is no kind of step; it is `build` or `run`"));
            None
        }
    });
    let argv = fields.required("argv", faults).map(|value| argv(value, scope, faults));
    let crash_codes = fields.optional("crash_codes");
    let makes = fields.optional("makes");
    let volatile = fields.optional("volatile");
    for value in [&crash_codes, &makes, &volatile].into_iter().flatten() {
        if kind == Some(StepKind::Run) {
            faults.add(value.span(), "belongs to a step that builds, not to one that runs");
        }
    }
    let crash_codes = crash_codes.map_or_else(Vec::new, |value| exit_codes(value, faults));
    let makes = makes.and_then(|value| source_path(fields::text(value, faults)?, faults));
    let volatile = volatile.map_or_else(Vec::new, |value| words_of_code(value, faults));
    let environment =
        fields.optional("environment").map_or_else(BTreeMap::new, |value| environment(value, scope, faults));
    let ahead = fields.optional("ahead").and_then(|value| ahead(fields::text(value, faults)?, faults));
    let told = fields.optional("copied");
    if let Some(told) = told.as_ref().filter(|_| ahead != Some(Ahead::Template)) {
        faults.add(told.span(), "belongs to a step of which there are copies: one with `ahead = \"template\"`");
    }
    let copied = told.and_then(|value| copied(value, faults));
    let typical = fields.optional("typical");
    if let Some(typical) = typical.as_ref().filter(|_| ahead != Some(Ahead::Template)) {
        faults.add(
            typical.span(),
            "belongs to a step that is tried before there is a job: one with `ahead = \"template\"`",
        );
    }
    let typical = typical.and_then(|value| fields::text(value, faults)).map(Spanned::into_inner);
    fields.close(faults);
    let name = name?;
    let (kind, argv) = (kind?, argv?);
    let own_name = name.get_ref().clone();
    let spec =
        StepSpec { name: own_name, kind, argv, crash_codes, makes, volatile, environment, ahead, copied, typical };
    Some((name, spec))
}

/// An environment of patterns.
pub(super) fn environment(value: Value<'_>, scope: &Scope, faults: &mut Faults<'_>) -> BTreeMap<String, Pattern> {
    let place = value.span();
    let mut patterns = BTreeMap::new();
    for (name, text) in words::environment(value, faults) {
        match Pattern::parse(&text, scope) {
            Ok(pattern) => {
                patterns.insert(name, pattern);
            }
            Err(reason) => faults.add(place.clone(), format!("{name}: {reason}")),
        }
    }
    patterns
}

fn copied(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Copied> {
    let mut fields = Fields::of_value(value, COPIED, faults)?;
    let functions = fields.required("functions", faults).map(|value| {
        let place = value.span();
        let names = fields::texts(value, faults);
        if names.is_empty() || MOST_FUNCTIONS < names.len() {
            faults.add(place, format!("there are 1 to {MOST_FUNCTIONS} functions"));
        }
        let plain =
            |name: &str| (1..64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        for name in names.iter().filter(|name| !plain(name.get_ref())) {
            faults.add(name.span(), "a function is named by letters, digits and `_`, fewer than 64");
        }
        names.into_iter().map(Spanned::into_inner).collect()
    });
    let renews = fields.required("renews", faults).and_then(|value| match value.get_ref() {
        DeValue::Integer(number) => match number.as_str().parse() {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                faults.add(value.span(), format!("{number} is no number of bytes"));
                None
            }
        },
        other => {
            fields::wrong_type("a number of bytes", other, value.span(), faults);
            None
        }
    });
    fields.close(faults);
    Some(Copied { functions: functions?, renews: renews? })
}

/// What an image has room for.
const MOST_FUNCTIONS: usize = 8;

fn ahead(text: Spanned<String>, faults: &mut Faults<'_>) -> Option<Ahead> {
    let found = Ahead::ALL.into_iter().find(|ahead| ahead.name() == text.get_ref());
    if found.is_none() {
        let names = Ahead::ALL.map(|ahead| format!("`{}`", ahead.name())).join(", ");
        faults.add(text.span(), format!("{:?} is no way to start ahead; there are {names}", text.get_ref()));
    }
    found
}

/// Checks what only all steps together show.
pub(super) fn check_order(steps: &[StepSpec], place: std::ops::Range<usize>, faults: &mut Faults<'_>) {
    if steps.iter().skip(1).any(|step| step.ahead.is_some()) {
        faults.add(place.clone(), "only the first step can be started ahead: the others begin when it has ended");
    }
    let of_limits = |step: &StepSpec| step.argv.iter().chain(step.environment.values()).any(Pattern::is_of_limits);
    if steps.iter().any(|step| step.kind == StepKind::Build && of_limits(step)) {
        faults.add(
            place.clone(),
            "`{vcpus}` and `{heap}` are the run's: a step that builds has limits of the operator's",
        );
    }
    if steps.iter().any(|step| step.ahead.is_some() && of_limits(step)) {
        faults.add(place.clone(), "what is started ahead cannot know the job's `{vcpus}` and `{heap}`");
    }
    let runs = steps.iter().filter(|step| step.kind == StepKind::Run).count();
    if runs != 1 || steps.last().is_none_or(|last| last.kind != StepKind::Run) {
        faults.add(place, "the steps must end with the one of kind `run`, and there must be only one of that kind");
    }
}

/// Reads an argv: absolute program first, for there is no shell that would search one.
pub(super) fn argv(value: Value<'_>, scope: &Scope, faults: &mut Faults<'_>) -> Vec<Pattern> {
    let place = value.span();
    let texts = fields::texts(value, faults);
    if texts.is_empty() {
        faults.add(place, "an argv is empty; begin it with a program");
    }
    let mut argv = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        if text.get_ref().contains('\0') {
            faults.add(text.span(), "an argument cannot hold a NUL");
        }
        match Pattern::parse(text.get_ref(), scope) {
            Err(reason) => faults.add(text.span(), reason),
            Ok(pattern) => {
                if index == 0 && !pattern.is_absolute() {
                    let reason = "an argv begins with `{program}`, an absolute path, or `{work}/` and a file";
                    faults.add(text.span(), reason);
                }
                argv.push(pattern);
            }
        }
    }
    argv
}

fn exit_codes(value: Value<'_>, faults: &mut Faults<'_>) -> Vec<u8> {
    let mut codes = Vec::new();
    for value in fields::list(value, faults) {
        let place = value.span();
        match value.get_ref() {
            DeValue::Integer(number) => match number.as_str().parse() {
                Ok(code @ 1..=255) => codes.push(code),
                Ok(_) | Err(_) => faults.add(place, format!("{number} is no exit code of a failure (1 to 255)")),
            },
            other => fields::wrong_type("an exit code", other, place, faults),
        }
    }
    codes
}

/// Words that are looked for in a job's files.
fn words_of_code(value: Value<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let mut words = Vec::new();
    for word in fields::texts(value, faults) {
        if word.get_ref().is_empty() {
            faults.add(word.span(), "an empty word is in every file");
        }
        words.push(word.into_inner());
    }
    words
}

/// A file in the work directory.
pub(super) fn source_path(text: Spanned<String>, faults: &mut Faults<'_>) -> Option<SourcePath> {
    let place = text.span();
    match SourcePath::new(text.into_inner()) {
        Ok(path) => Some(path),
        Err(error) => {
            faults.add(place, error.to_string());
            None
        }
    }
}
