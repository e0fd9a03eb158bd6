//! What a client is told when there is no outcome.

use std::borrow::Cow;

use firebox_job::LimitsError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{JobError, MalformedRequest, PartsError};

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refusal {
    /// What kind of reason it is, in one word for programs; the same reason has the same word in every version.
    pub code: RefusalCode,
    /// The reason, in words.
    pub message: String,
    /// The field of the request that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Cow<'static, str>>,
    /// What should have stood there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The kinds of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The request is not what one looks like, or contradicts itself.
    Malformed,
    /// The body is not said to be JSON.
    UnsupportedMediaType,
    /// The client took too long to send its request.
    RequestTimeout,
    /// Who asks has not shown a key that is good here.
    Unauthorized,
    /// Who asks may not.
    Forbidden,
    /// There is no such address.
    NotFound,
    /// The address is there, and takes other methods.
    MethodNotAllowed,
    /// No language has this name.
    UnknownLanguage,
    /// The language's toolchain is not on this host.
    LanguageUnavailable,
    /// More than may be sent.
    TooLarge,
    /// A limit is above what the operator grants.
    LimitAboveCeiling,
    /// The kind of cell that was asked for is not to be had.
    IsolationUnavailable,
    /// The `Idempotency-Key` came before, with another request.
    IdempotencyConflict,
    /// The operator has this service keep nothing, so no job outlives its connection.
    JobsUnavailable,
    /// The service died while the job ran, and did so each time that it was run again.
    Interrupted,
    /// Who asks has had what their key grants for now.
    Quota,
    /// No place is free, and none will be soon.
    Full,
    /// The service is about to end, and takes no more jobs.
    ShuttingDown,
    /// We failed. The log knows more under the job's `trace_id`.
    Fault,
}

/// How many characters each text of a refusal has at most: names of fields, of variables and of files are quoted in it, and a
/// client that sends megabytes of them does not get them back.
const MOST_CHARACTERS: usize = 500;

impl Refusal {
    /// One with words alone.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: shortened(message.into()), field: None, expected: None, hint: None }
    }

    /// Names the field at fault.
    pub fn at(self, field: impl Into<Cow<'static, str>>) -> Refusal {
        let field = match field.into() {
            Cow::Owned(field) => Cow::Owned(shortened(field)),
            ours => ours,
        };
        Refusal { field: Some(field), ..self }
    }

    /// Adds what to do about it.
    pub fn with_hint(self, hint: impl Into<String>) -> Refusal {
        Refusal { hint: Some(shortened(hint.into())), ..self }
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl RefusalCode {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            RefusalCode::Malformed => "malformed",
            RefusalCode::UnsupportedMediaType => "unsupported_media_type",
            RefusalCode::RequestTimeout => "request_timeout",
            RefusalCode::Unauthorized => "unauthorized",
            RefusalCode::Forbidden => "forbidden",
            RefusalCode::NotFound => "not_found",
            RefusalCode::MethodNotAllowed => "method_not_allowed",
            RefusalCode::UnknownLanguage => "unknown_language",
            RefusalCode::LanguageUnavailable => "language_unavailable",
            RefusalCode::TooLarge => "too_large",
            RefusalCode::LimitAboveCeiling => "limit_above_ceiling",
            RefusalCode::IsolationUnavailable => "isolation_unavailable",
            RefusalCode::IdempotencyConflict => "idempotency_conflict",
            RefusalCode::JobsUnavailable => "jobs_unavailable",
            RefusalCode::Interrupted => "interrupted",
            RefusalCode::Quota => "quota",
            RefusalCode::Full => "full",
            RefusalCode::ShuttingDown => "shutting_down",
            RefusalCode::Fault => "fault",
        }
    }
}

impl From<MalformedRequest> for Refusal {
    fn from(error: MalformedRequest) -> Refusal {
        let refusal = Refusal::new(RefusalCode::Malformed, error.to_string());
        let refusal = Refusal { expected: error.expected().map(shortened), ..refusal };
        match error.field() {
            Some(field) => refusal.at(field.to_owned()),
            None => refusal,
        }
    }
}

impl From<PartsError> for Refusal {
    fn from(error: PartsError) -> Refusal {
        let field = match &error {
            PartsError::NoCode | PartsError::TwoPrograms => Cow::Borrowed("code"),
            PartsError::EntryWithoutFiles => Cow::Borrowed("entry"),
            PartsError::Files(_) => Cow::Borrowed("files"),
            PartsError::TraceId(_) => Cow::Borrowed("trace_id"),
            PartsError::EnvName { .. } => Cow::Borrowed("env"),
            PartsError::OutOfRange { field, .. } => Cow::Borrowed(*field),
            PartsError::EmptyCode { field } | PartsError::Path { field, .. } | PartsError::Nul { field } => {
                Cow::Owned(field.clone())
            }
        };
        Refusal::new(RefusalCode::Malformed, error.to_string()).at(field)
    }
}

impl From<JobError> for Refusal {
    fn from(error: JobError) -> Refusal {
        match error {
            JobError::Limits(error) => Refusal::from(error),
            JobError::Sources(error) => Refusal::new(RefusalCode::Malformed, error.to_string()).at("files"),
        }
    }
}

impl From<LimitsError> for Refusal {
    fn from(error: LimitsError) -> Refusal {
        let field = match error.name() {
            "timeout" => Cow::Borrowed("timeout"),
            name => Cow::Owned(format!("limits.{name}")),
        };
        let (code, expected) = match &error {
            LimitsError::AboveCeiling { ceiling, .. } => (RefusalCode::LimitAboveCeiling, format!("at most {ceiling}")),
            LimitsError::AboveWhole { whole, .. } => (RefusalCode::Malformed, format!("at most {whole}")),
            LimitsError::TooLittle { least, .. } => (RefusalCode::Malformed, format!("at least {least}")),
            LimitsError::Zero { .. } => (RefusalCode::Malformed, "more than zero".to_owned()),
        };
        Refusal { expected: Some(expected), ..Refusal::new(code, error.to_string()).at(field) }
    }
}

/// Why a batch was refused, all of it: what is wrong with each of its jobs that something is wrong with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedItem {
    /// Its place in the batch, from zero.
    pub index: usize,
    /// What is wrong with it; `field` is within the job.
    pub error: Refusal,
}

/// A refusal as it is written: `{"error": {…}, "trace_id": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refused<'a> {
    /// Why.
    pub error: &'a Refusal,
    /// The job's name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
}

/// The same for those who come from the older form of the API: `error` is a text, and what else there is stands beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RefusedFlat<'a> {
    /// The reason, in words.
    pub error: &'a str,
    /// The rest of it.
    #[serde(flatten)]
    pub refusal: &'a Refusal,
    /// The job's name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parts, Request};

    fn refusal(json: &str) -> serde_json::Value {
        let refusal = match Request::from_json(json.as_bytes()) {
            Err(error) => Refusal::from(error),
            Ok(request) => Refusal::from(Parts::try_from(request).unwrap_err()),
        };
        serde_json::to_value(refusal).unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_request_names_its_field() {
        for (json, field) in [
            (r#"{"lang": "c", "code": 5}"#, "code"),
            (r#"{"lang": "c"}"#, "code"),
            (r#"{"lang": "c", "code": ""}"#, "code"),
            (r#"{"lang": "c", "code": "x", "entry": "a"}"#, "entry"),
            (r#"{"lang": "c", "files": [{"path": "../a", "content": "x"}]}"#, "files[0].path"),
            (r#"{"lang": "c", "files": []}"#, "files"),
            (r#"{"lang": "c", "code": "x", "trace_id": ""}"#, "trace_id"),
            (r#"{"lang": "c", "code": "x", "env": {"A=": ""}}"#, "env"),
            (r#"{"lang": "c", "code": "x", "args": ["\u0000"]}"#, "args[0]"),
            (r#"{"lang": "c", "code": "x", "timeout": 1e300}"#, "timeout"),
        ] {
            let refusal = refusal(json);
            assert_eq!(
                (&refusal["code"], &refusal["field"]),
                (&"malformed".into(), &field.into()),
                "{json}: {refusal}"
            );
        }
    }

    #[test]
    fn what_a_client_wrote_is_not_told_back_at_any_length() {
        let much = "ä".repeat(1 << 20);
        for json in [
            format!(r#"{{"lang": "c", "{much}": 1}}"#),
            format!(r#"{{"lang": "c", "code": "x", "options": {{"{much}": 1.5}}}}"#),
            format!(r#"{{"lang": "c", "code": "x", "env": {{"{much}=": ""}}}}"#),
            format!(r#"{{"lang": "c", "code": "x", "env": {{"{much}": "\u0000"}}}}"#),
            format!(r#"{{"lang": "c", "files": [{{"path": "{much}", "content": "x"}}]}}"#),
            format!(r#"{{"lang": "c", "isolation": "expected {much}"}}"#),
        ] {
            let told = refusal(&json).to_string();
            assert!(told.len() < 4096, "{} bytes, that begin so: {}", told.len(), &told[..200]);
        }
    }

    #[test]
    fn a_limit_above_the_ceiling_is_told_apart_from_one_without_sense() {
        let above = LimitsError::AboveCeiling { name: "memory_mb", asked: "2 GiB".into(), ceiling: "1 GiB".into() };
        let refusal = Refusal::from(above);
        assert_eq!(refusal.code, RefusalCode::LimitAboveCeiling);
        assert_eq!(refusal.field.as_deref(), Some("limits.memory_mb"));
        assert_eq!(refusal.expected.as_deref(), Some("at most 1 GiB"));
        let refusal = Refusal::from(LimitsError::Zero { name: "timeout" });
        assert_eq!((refusal.code, refusal.field.as_deref()), (RefusalCode::Malformed, Some("timeout")));
    }

    #[test]
    fn the_word_for_a_code_is_the_one_that_is_written() {
        for code in [RefusalCode::Malformed, RefusalCode::UnsupportedMediaType, RefusalCode::LimitAboveCeiling] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.word());
        }
    }

    #[test]
    fn the_two_forms_differ_in_what_error_is() {
        let refusal = Refusal::new(RefusalCode::Full, "no place is free").with_hint("try again");
        let nested = serde_json::to_string(&Refused { error: &refusal, trace_id: Some("a") }).unwrap();
        let inner = r#"{"code":"full","message":"no place is free","hint":"try again"}"#;
        assert_eq!(nested, format!(r#"{{"error":{inner},"trace_id":"a"}}"#));
        let flat = RefusedFlat { error: &refusal.message, refusal: &refusal, trace_id: None };
        let flat = serde_json::to_value(flat).unwrap();
        assert_eq!((&flat["error"], &flat["code"]), (&"no place is free".into(), &"full".into()));
    }
}
