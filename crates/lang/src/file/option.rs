//! The options of a language file.

use firebox_job::OptionValue;
use toml::Spanned;
use toml::de::DeValue;

use super::fault::Faults;
use super::fields::{self, Fields, Value};
use super::words;
use crate::option::{Instead, OptionSpec, value_text};

const OPTION: &[&str] = &["name", "values", "default", "help", "arguments", "instead"];

/// Reads one entry of `options`; the name comes with its place, so that a second one of that name can be refused.
pub(super) fn read(value: Value<'_>, faults: &mut Faults<'_>) -> Option<(Spanned<String>, OptionSpec)> {
    let mut fields = Fields::of_value(value, OPTION, faults)?;
    let name = fields.text("name", faults);
    let name = words::keep(name.into_iter().collect(), "option name", words::is_name, words::NAME, faults).pop();
    let values = fields.required("values", faults).map(|value| values(value, faults));
    let default = fields.required("default", faults).and_then(|value| option_value(value, faults));
    let help = fields.text("help", faults);
    let help = words::sentence(help, faults);
    let arguments = fields.optional("arguments");
    let arguments = arguments.map(|value| arguments_of(value, values.as_deref().unwrap_or_default(), faults));
    let instead = fields.optional("instead").map(|value| {
        if arguments.is_none() {
            faults.add(value.span(), "`instead` is for values that stand for arguments; give `arguments` too");
        }
        instead_of(value, values.as_deref().unwrap_or_default(), faults)
    });
    fields.close(faults);

    let (name, default) = (name?, default?);
    let spec = OptionSpec {
        name: name.get_ref().clone(),
        values: values?,
        default: default.get_ref().clone(),
        help: help?,
        arguments,
        instead: instead.unwrap_or_default(),
    };
    if !spec.values.is_empty() && !spec.values.contains(&spec.default) {
        let text = value_text(&spec.default);
        faults.add(default.span(), format!("default `{text}` is not among the values: {}", spec.allowed()));
    }
    Some((name, spec))
}

fn values(value: Value<'_>, faults: &mut Faults<'_>) -> Vec<OptionValue> {
    let place = value.span();
    let given = fields::list(value, faults);
    if given.is_empty() {
        faults.add(place, "`values` is empty; give at least one");
    }
    let mut values: Vec<OptionValue> = Vec::new();
    for value in given {
        let Some(value) = option_value(value, faults) else { continue };
        let (place, value) = (value.span(), value.into_inner());
        if values.first().is_some_and(|first| std::mem::discriminant(first) != std::mem::discriminant(&value)) {
            faults.add(place, "values of one option must be of one type");
        } else if values.contains(&value) {
            faults.add(place, format!("value `{}` is given twice", value_text(&value)));
        } else {
            values.push(value);
        }
    }
    values
}

fn option_value(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Spanned<OptionValue>> {
    let place = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => OptionValue::Text(text.into_owned()),
        DeValue::Boolean(on) => OptionValue::Switch(on),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => OptionValue::Number(number),
            Err(_) => {
                faults.add(place, format!("{number} is too large a number"));
                return None;
            }
        },
        other => {
            fields::wrong_type("a string, a whole number or a switch", &other, place, faults);
            return None;
        }
    };
    Some(Spanned::new(place, value))
}

/// What each value stands for, in the order of the values.
fn arguments_of(value: Value<'_>, values: &[OptionValue], faults: &mut Faults<'_>) -> Vec<Vec<String>> {
    let place = value.span();
    let given = given_for(value, values, faults);
    for (value, _) in values.iter().zip(&given).filter(|(_, given)| given.is_none()) {
        faults.add(place.clone(), format!("no arguments are given for the value `{}`", value_text(value)));
    }
    given.into_iter().map(Option::unwrap_or_default).collect()
}

/// What some values stand for where there is a certain word.
fn instead_of(value: Value<'_>, values: &[OptionValue], faults: &mut Faults<'_>) -> Vec<Instead> {
    let mut instead = Vec::new();
    for (word, value) in fields::entries(value, faults) {
        if word.get_ref().is_empty() {
            faults.add(word.span(), "every file has the empty word; name one");
        }
        let arguments = given_for(value, values, faults);
        instead.push(Instead { word: word.into_inner(), arguments });
    }
    instead
}

/// The arguments that are given for each value, in the order of the values.
fn given_for(value: Value<'_>, values: &[OptionValue], faults: &mut Faults<'_>) -> Vec<Option<Vec<String>>> {
    let mut given = fields::entries(value, faults);
    let arguments = values
        .iter()
        .map(|value| {
            let text = value_text(value);
            let at = given.iter().position(|(name, _)| *name.get_ref() == text)?;
            Some(words::plain(fields::texts(given.swap_remove(at).1, faults)))
        })
        .collect();
    for (name, _) in given {
        faults.add(name.span(), format!("arguments are given for `{}`, which is not among the values", name.get_ref()));
    }
    arguments
}
