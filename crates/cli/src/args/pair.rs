//! Values of the form `NAME=VALUE`.

use std::str::FromStr;

use firebox_job::OptionValue;

/// A variable of the program's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its name; never empty.
    pub(crate) name: String,
    /// Its value; may be empty.
    pub(crate) value: String,
}

/// An option of a language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionArg {
    /// Its name; never empty.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: OptionValue,
}

/// A text that is no pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write `NAME=VALUE`, with a name before the first `=`")]
pub(crate) struct NoPair;

impl FromStr for Variable {
    type Err = NoPair;

    fn from_str(text: &str) -> Result<Variable, NoPair> {
        let (name, value) = pair(text)?;
        Ok(Variable { name: name.to_owned(), value: value.to_owned() })
    }
}

impl FromStr for OptionArg {
    type Err = NoPair;

    fn from_str(text: &str) -> Result<OptionArg, NoPair> {
        let (name, value) = pair(text)?;
        Ok(OptionArg { name: name.to_owned(), value: option_value(value) })
    }
}

/// The value of an option, of the type it looks like: a command line has only texts.
pub(crate) fn option_value(text: &str) -> OptionValue {
    match text {
        "true" => OptionValue::Switch(true),
        "false" => OptionValue::Switch(false),
        text => text.parse().map_or_else(|_| OptionValue::Text(text.to_owned()), OptionValue::Number),
    }
}

fn pair(text: &str) -> Result<(&str, &str), NoPair> {
    text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(NoPair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_split_at_the_first_equals_sign() {
        for (text, name, value) in [("A=b", "A", "b"), ("A=", "A", ""), ("A=b=c", "A", "b=c")] {
            let variable = Variable { name: name.to_owned(), value: value.to_owned() };
            assert_eq!(text.parse(), Ok(variable), "{text}");
        }
        for text in ["", "A", "=b"] {
            assert_eq!(text.parse::<Variable>(), Err(NoPair), "{text}");
        }
    }

    #[test]
    fn an_option_has_the_type_it_looks_like() {
        for (text, value) in [
            ("2024", OptionValue::Number(2024)),
            ("true", OptionValue::Switch(true)),
            ("release", OptionValue::Text("release".to_owned())),
            ("", OptionValue::Text(String::new())),
        ] {
            assert_eq!(option_value(text), value);
        }
    }
}
