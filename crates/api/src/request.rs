//! What a client asks for, as it writes it.
//!
//! Only the shape is checked here; what the fields may hold is checked where they become [`Parts`](crate::Parts).

use std::collections::BTreeMap;
use std::fmt;

use firebox_job::{Isolation, OptionValue, SourcePath, TraceId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use crate::bounded::MOST_ENTRIES;
use crate::object::Object;
use crate::{AskedLimits, Number, bounded, object, schema};

/// What a client asks for. A field that is not known is refused, so that a misspelt limit is not a missing one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::request)]
pub struct Request {
    /// The client's name for the job; one is made when it is absent.
    #[schemars(length(min = 1, max = TraceId::MAX_BYTES), regex(pattern = schema::NO_CONTROL))]
    pub trace_id: Option<String>,
    /// The language's name or alias; `language` is the same.
    #[serde(alias = "language")]
    pub lang: String,
    /// The program, when it is a single file; either this or `files`.
    #[schemars(length(min = 1))]
    pub code: Option<String>,
    /// The program, when it is several files; either this or `code`.
    #[serde(default, deserialize_with = "bounded::some_objects")]
    #[schemars(length(min = 1, max = MOST_ENTRIES))]
    pub files: Option<Vec<RequestFile>>,
    /// Which of the files the language starts from; the first one when it is absent.
    #[schemars(regex(pattern = schema::path()), length(max = SourcePath::MAX_BYTES))]
    pub entry: Option<String>,
    /// Seconds for the whole job.
    pub timeout: Option<Number>,
    /// What the program reads from its standard input.
    pub stdin: Option<String>,
    /// Arguments of the program.
    #[serde(default, deserialize_with = "bounded::list")]
    #[schemars(length(max = MOST_ENTRIES), inner(regex(pattern = schema::NO_NUL)))]
    pub args: Vec<String>,
    /// Environment of the program.
    #[serde(default, deserialize_with = "bounded::map")]
    #[schemars(extend(
        "maxProperties" = MOST_ENTRIES,
        "propertyNames" = {"pattern": schema::VARIABLE},
        "additionalProperties" = {"type": "string", "pattern": schema::NO_NUL},
    ))]
    pub env: BTreeMap<String, String>,
    /// What the job may consume.
    #[serde(default, deserialize_with = "object::object")]
    pub limits: AskedLimits,
    /// Options of the language.
    #[serde(default, deserialize_with = "bounded::map")]
    pub options: BTreeMap<String, AskedOption>,
    /// Where the job may run.
    #[serde(default)]
    pub isolation: AskedIsolation,
    /// Whether the language's tools have nothing in common with those of other jobs, not even the seeds of their hashes.
    #[serde(default)]
    pub fresh_seed: bool,
    /// Whether the response tells every step.
    #[serde(default)]
    pub steps: bool,
}

/// One file of a program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestFile {
    /// Where it stands in the work directory.
    #[schemars(regex(pattern = schema::path()), length(max = SourcePath::MAX_BYTES))]
    pub path: String,
    /// What it holds.
    pub content: String,
}

/// The value of a language's option.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum AskedOption {
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

/// Read as it comes: to try one after the other, serde would keep whatever a client puts here, many times as large as it was.
impl<'de> Deserialize<'de> for AskedOption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AskedOption, D::Error> {
        deserializer.deserialize_any(OptionVisitor)
    }
}

struct OptionVisitor;

impl Visitor<'_> for OptionVisitor {
    type Value = AskedOption;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, true or false")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<AskedOption, E> {
        Ok(AskedOption::Switch(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<AskedOption, E> {
        Ok(AskedOption::Number(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<AskedOption, E> {
        i64::try_from(value).map(AskedOption::Number).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    /// `2.0`, which JSON calls the same number as `2`.
    fn visit_f64<E: Error>(self, value: f64) -> Result<AskedOption, E> {
        let is_whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
        match is_whole {
            true => Ok(AskedOption::Number(value as i64)),
            false => Err(E::invalid_value(Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<AskedOption, E> {
        Ok(AskedOption::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<AskedOption, E> {
        Ok(AskedOption::Text(value))
    }
}

/// Where a job may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AskedIsolation {
    /// The strongest kind of cell that the host can make.
    #[default]
    Auto,
    /// Only in a microVM.
    MicroVm,
    /// Only in a jail.
    Jail,
    /// Only in a fence.
    Fence,
}

/// A text that is no [`Request`].
#[derive(Debug)]
pub struct MalformedRequest {
    /// The field at fault; empty when it is the text as a whole.
    path: String,
    source: serde_json::Error,
}

impl Request {
    /// Reads a request.
    pub fn from_json(json: &[u8]) -> Result<Request, MalformedRequest> {
        read(json).map(|Object(request)| request)
    }
}

/// Reads what a client sent, all of it.
pub(crate) fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, MalformedRequest> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let request = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        MalformedRequest { path: if path == "." { String::new() } else { path }, source: error.into_inner() }
    })?;
    deserializer.end().map_err(|source| MalformedRequest { path: String::new(), source })?;
    Ok(request)
}

impl MalformedRequest {
    /// The field at fault; none when it is the text as a whole.
    pub fn field(&self) -> Option<&str> {
        (!self.path.is_empty()).then_some(self.path.as_str())
    }

    /// What should have been there, in the parser's words, where it says so.
    pub fn expected(&self) -> Option<String> {
        let text = self.source.to_string();
        let (_, expected) = text.split_once("expected ")?;
        // The place in the text comes last.
        Some(expected.rsplit_once(" at line ").map_or(expected, |(expected, _)| expected).to_owned())
    }
}

impl fmt::Display for MalformedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MalformedRequest { path, source } = self;
        match path.as_str() {
            "" => write!(f, "the request is malformed: {source}"),
            field => write!(f, "`{field}` is malformed: {source}"),
        }
    }
}

/// The parser's words are part of the message, and what is below them says no more.
impl std::error::Error for MalformedRequest {}

impl From<AskedOption> for OptionValue {
    fn from(asked: AskedOption) -> OptionValue {
        match asked {
            AskedOption::Switch(switch) => OptionValue::Switch(switch),
            AskedOption::Number(number) => OptionValue::Number(number),
            AskedOption::Text(text) => OptionValue::Text(text),
        }
    }
}

impl From<AskedIsolation> for Isolation {
    fn from(asked: AskedIsolation) -> Isolation {
        match asked {
            AskedIsolation::Auto => Isolation::Auto,
            AskedIsolation::MicroVm => Isolation::MicroVm,
            AskedIsolation::Jail => Isolation::Jail,
            AskedIsolation::Fence => Isolation::Fence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_request_is_told_which_field_and_what_was_expected() {
        for (json, words) in [
            ("", vec!["request", "EOF"]),
            ("[]", vec!["request", "expected a JSON object"]),
            ("{}", vec!["missing field `lang`"]),
            (r#"{"lang": "c", "code": 5}"#, vec!["`code`", "integer `5`", "expected a string"]),
            (r#"{"lang": "c", "timeout": "ten"}"#, vec!["`timeout`", "expected a number that is not negative"]),
            (r#"{"lang": "c", "limits": {"memory_mb": -1}}"#, vec!["`limits.memory_mb`", "`-1`"]),
            (r#"{"lang": "c", "limits": {"memory": 1}}"#, vec!["`limits.memory`", "unknown field", "`memory_mb`"]),
            (r#"{"lang": "c", "limits": {"tasks": 1.5}}"#, vec!["`limits.tasks`", "`1.5`", "expected a whole number"]),
            (r#"{"lang": "c", "limits": {"tasks": -1}}"#, vec!["`limits.tasks`", "-1", "expected a whole number"]),
            (r#"{"lang": "c", "limits": {"vcpus": 4294967296}}"#, vec!["`limits.vcpus`", "expected a whole number"]),
            (r#"{"lang": "c", "limits": {"vcpus": "1"}}"#, vec!["`limits.vcpus`", "string"]),
            (r#"{"lang": "c", "files": [{"path": "a"}]}"#, vec!["`files[0]`", "missing field `content`"]),
            (r#"{"lang": "c", "isolation": "vm"}"#, vec!["`isolation`", "expected one of", "`microvm`"]),
            (r#"{"lang": "c", "options": {"edition": 1.5}}"#, vec!["`options.edition`", "a whole number"]),
            (r#"{"lang": "c", "language": "c"}"#, vec!["duplicate field"]),
            (r#"{"lang": "c", "cod": ""}"#, vec!["`cod`", "unknown field"]),
            (r#"{"lang": "c"} x"#, vec!["trailing characters"]),
            // Lists whose values would fit the fields of an object in their order.
            (r#"["t", "c", "x"]"#, vec!["request", "expected a JSON object"]),
            (r#"{"lang": "c", "limits": [1]}"#, vec!["`limits`", "expected a JSON object"]),
            (r#"{"lang": "c", "limits": null}"#, vec!["`limits`", "expected a JSON object"]),
            (r#"{"lang": "c", "files": [["a", "b"]]}"#, vec!["`files[0]`", "expected a JSON object"]),
        ] {
            let error = Request::from_json(json.as_bytes()).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{json}: {error:?} does not say {word:?}");
            }
        }
    }

    #[test]
    fn field_and_expectation_can_be_had_by_themselves() {
        let of = |json: &str| {
            let error = Request::from_json(json.as_bytes()).unwrap_err();
            (error.field().map(str::to_owned), error.expected())
        };
        assert_eq!(of(r#"{"lang": "c", "code": 5}"#), (Some("code".into()), Some("a string".into())));
        assert_eq!(of("[]"), (None, Some("a JSON object".into())));
        assert_eq!(of("{}"), (None, None));
    }

    #[test]
    fn a_list_or_a_map_without_end_is_refused_while_it_is_read() {
        for (name, entry) in [("args", r#""""#), ("files", r#"{"path": "a", "content": ""}"#)] {
            let text = |count: usize| format!(r#"{{"lang": "c", "{name}": [{}]}}"#, vec![entry; count].join(","));
            assert!(Request::from_json(text(MOST_ENTRIES).as_bytes()).is_ok());
            let error = Request::from_json(text(MOST_ENTRIES + 1).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("more than 10000 entries"), "{error}");
        }
        for name in ["env", "options"] {
            let entries: Vec<String> = (0..=MOST_ENTRIES).map(|number| format!(r#""{number}": """#)).collect();
            let text = |count: usize| format!(r#"{{"lang": "c", "{name}": {{{}}}}}"#, entries[..count].join(","));
            assert!(Request::from_json(text(MOST_ENTRIES).as_bytes()).is_ok());
            let error = Request::from_json(text(MOST_ENTRIES + 1).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("more than 10000 entries"), "{error}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_in_a_map_is_refused() {
        let error = Request::from_json(br#"{"lang": "c", "env": {"A": "1", "A": "2"}}"#).unwrap_err().to_string();
        assert!(error.contains("`env`") && error.contains("duplicate field `A`"), "{error}");
    }

    #[test]
    fn null_is_the_same_as_nothing_where_something_may_be_left_out() {
        assert_eq!(Request::from_json(br#"{"lang": "c", "files": null}"#).unwrap().files, None);
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        let limits = Request::from_json(br#"{"lang": "c", "limits": {"tasks": 2.0, "vcpus": null}}"#).unwrap().limits;
        assert_eq!((limits.tasks, limits.vcpus), (Some(2), None));
    }

    #[test]
    fn language_is_another_name_for_lang() {
        let request = Request::from_json(br#"{"language": "rust"}"#).unwrap();
        assert_eq!(request.lang, "rust");
    }
}
