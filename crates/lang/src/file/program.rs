//! The programs of a language file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;

use super::fault::Faults;
use super::fields::{self, Fields, Value};
use super::words;
use crate::language::{Elsewhere, LinksSpec, ProgramSpec};

const PROGRAM: &[&str] = &["name", "find", "beside", "arguments", "tells", "install", "elsewhere", "links"];
const ELSEWHERE: &[&str] = &["at", "environment"];
const LINKS: &[&str] = &["at", "names"];

/// Reads one entry of `programs`; the name comes with its place, so that a second one of that name can be refused.
pub(super) fn read(value: Value<'_>, faults: &mut Faults<'_>) -> Option<(Spanned<String>, ProgramSpec)> {
    let mut fields = Fields::of_value(value, PROGRAM, faults)?;
    let name = fields.text("name", faults);
    let name = words::keep(name.into_iter().collect(), "program name", words::is_name, words::NAME, faults).pop();

    let beside = fields.optional("beside").and_then(|value| beside(value, faults));
    let find = match (&beside, fields.optional("find")) {
        (Some(_), None) => Some(Vec::new()),
        (Some(_), Some(value)) => {
            faults.add(value.span(), "a program is looked for or `beside` the first one, not both");
            None
        }
        (None, Some(value)) => Some(looked_for(value, faults)),
        (None, None) => fields.required("find", faults).map(|_| Vec::new()),
    };
    let names = find.as_deref().unwrap_or_default();
    let arguments = fields.optional("arguments").map_or_else(BTreeMap::new, |value| by_name(value, names, faults));
    let tells = fields.optional("tells").map_or_else(BTreeMap::new, |value| by_name(value, names, faults));
    let install = fields.optional("install").and_then(|value| words::sentence(fields::text(value, faults), faults));
    let elsewhere = fields.optional("elsewhere").and_then(|value| elsewhere(value, faults));
    let links = fields.optional("links").and_then(|value| links(value, faults));
    fields.close(faults);

    let name = name?;
    let spec =
        ProgramSpec { name: name.get_ref().clone(), beside, find: find?, arguments, tells, install, elsewhere, links };
    Some((name, spec))
}

/// The names that a program may have.
fn looked_for(value: Value<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let place = value.span();
    let names = fields::texts(value, faults);
    if names.is_empty() {
        faults.add(place, "`find` names no program; give at least one");
    }
    words::plain(words::keep(names, "program", words::is_file_name, words::FILE_NAME, faults))
}

/// Arguments for a program by the name that it is found by.
fn by_name(value: Value<'_>, names: &[String], faults: &mut Faults<'_>) -> BTreeMap<String, Vec<String>> {
    let mut arguments = BTreeMap::new();
    for (found, value) in fields::entries(value, faults) {
        if !names.contains(found.get_ref()) {
            faults.add(found.span(), format!("`{}` is not among the names in `find`", found.get_ref()));
        }
        arguments.insert(found.into_inner(), words::plain(fields::texts(value, faults)));
    }
    arguments
}

/// A path in the toolchain of the first program.
fn beside(value: Value<'_>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let path = super::step::source_path(fields::text(value, faults)?, faults)?;
    Some(PathBuf::from(path.as_str()))
}

fn elsewhere(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Elsewhere> {
    let mut fields = Fields::of_value(value, ELSEWHERE, faults)?;
    let at = fields.text("at", faults).and_then(|at| {
        let place = words::place(&at, faults)?;
        let known = place.replacen("{toolchain}", "", 1);
        if known.contains(['{', '}']) {
            faults.add(at.span(), "the only placeholder here is `{toolchain}`, once");
        }
        Some(place)
    });
    let environment =
        fields.optional("environment").map_or_else(BTreeMap::new, |value| words::environment(value, faults));
    fields.close(faults);
    Some(Elsewhere { at: at?, environment })
}

fn links(value: Value<'_>, faults: &mut Faults<'_>) -> Option<LinksSpec> {
    let mut fields = Fields::of_value(value, LINKS, faults)?;
    let at = fields.text("at", faults).and_then(|at| words::place(&at, faults));
    let names = fields.required("names", faults).map(|value| fields::texts(value, faults));
    let names = words::keep(names.unwrap_or_default(), "program", words::is_file_name, words::FILE_NAME, faults);
    fields.close(faults);
    Some(LinksSpec { at: PathBuf::from(at?), names: words::plain(names) })
}
