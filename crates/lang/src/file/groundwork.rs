//! The groundwork of a language file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use firebox_job::SourceFile;

use super::fault::Faults;
use super::fields::{self, Fields, Value};
use super::step;
use crate::groundwork::GroundworkSpec;
use crate::pattern::Scope;

const GROUNDWORK: &[&str] = &["there", "argv", "environment", "files"];

/// Reads `groundwork`. What makes it knows no job and no other groundwork.
pub(super) fn read(value: Value<'_>, scope: &Scope, faults: &mut Faults<'_>) -> Option<GroundworkSpec> {
    let mut fields = Fields::of_value(value, GROUNDWORK, faults)?;
    let there = fields
        .optional("there")
        .and_then(|value| fields::text(value, faults))
        .and_then(|path| step::source_path(path, faults));
    let argv = fields.required("argv", faults).map(|value| step::argv(value, scope, faults));
    let environment = fields.optional("environment");
    let environment = environment.map_or_else(BTreeMap::new, |value| step::environment(value, scope, faults));
    let files = fields.optional("files").map_or_else(Vec::new, |value| files(value, faults));
    fields.close(faults);
    Some(GroundworkSpec { there: there.map(|path| PathBuf::from(path.as_str())), argv: argv?, environment, files })
}

/// Texts that what makes it finds in the work directory, by their names.
fn files(value: Value<'_>, faults: &mut Faults<'_>) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for (name, value) in fields::entries(value, faults) {
        let (path, text) = (step::source_path(name, faults), fields::text(value, faults));
        if let (Some(path), Some(text)) = (path, text) {
            files.push(SourceFile { path, content: text.into_inner().into_bytes() });
        }
    }
    files
}
