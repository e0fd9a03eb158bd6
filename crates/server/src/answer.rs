//! What a client gets when it gets no outcome: one type for every reason, with the status that goes with it.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firebox_api::{JobError, MalformedRequest, PartsError, Refusal, RefusalCode, Refused, RefusedFlat, Schemas};
use firebox_engine::RunError;
use firebox_job::TraceId;
use firebox_lang::{Language, MissingToolchain, PlanError, UnknownLanguage};
use serde_json::{Value, json};
use tracing::error;

/// How long a client is told to wait before it tries again, where nothing else is known.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How to say who one is.
const CHALLENGE: &str = "Bearer realm=\"firebox\"";

/// A refusal on its way out. It becomes a response when the form is known: see [`Form`].
#[derive(Debug, Clone)]
pub(crate) struct Refusing {
    pub(crate) refusal: Box<Refusal>,
    trace_id: Option<TraceId>,
    /// How long it takes until the same request may go well.
    until: Option<Duration>,
}

/// Which of its two forms the API has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/v1`: `error` is an object.
    Nested,
    /// `/api/v1`: `error` is a text.
    Flat,
}

impl Form {
    pub(crate) fn of(path: &str) -> Form {
        if path.starts_with("/api/") { Form::Flat } else { Form::Nested }
    }

    /// What a client reads of a refusal, whether it is new or was written down before.
    pub(crate) fn refused(self, refusal: Value, trace_id: Option<&str>) -> Value {
        let mut said = match (self, refusal) {
            (Form::Flat, Value::Object(refusal)) => {
                let message = refusal.get("message").cloned().unwrap_or_default();
                Value::Object(std::iter::once(("error".to_owned(), message)).chain(refusal).collect())
            }
            (_, refusal) => json!({ "error": refusal }),
        };
        if let Some(trace_id) = trace_id {
            said["trace_id"] = trace_id.into();
        }
        said
    }

    /// What is said of that.
    pub(crate) fn schema(self, schemas: &mut Schemas) -> Value {
        match self {
            Form::Nested => schemas.answered::<Refused<'_>>(),
            Form::Flat => schemas.answered::<RefusedFlat<'_>>(),
        }
    }
}

impl Refusing {
    /// Of the job of this name.
    pub(crate) fn of(self, trace_id: TraceId) -> Refusing {
        Refusing { trace_id: Some(trace_id), ..self }
    }

    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_ref().map(TraceId::as_str)
    }

    /// How long it takes until there is more again of what somebody has had all of; none where it is something else that is wrong.
    pub(crate) fn until_more(&self) -> Option<Duration> {
        self.until.filter(|_| self.refusal.code == RefusalCode::Quota)
    }

    /// Something that we did wrong: the log says what, the client where to look.
    pub(crate) fn fault(doing: &str, cause: &dyn Error) -> Refusing {
        error!(cause = in_one_line(cause), "{doing}");
        Refusing::from(a_fault())
    }

    /// Nobody has shown a key that is good here.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Refusing {
        Refusing::from(
            Refusal::new(RefusalCode::Unauthorized, message).with_hint(
                "send `Authorization: Bearer KEY` or `X-API-Key: KEY`, with a key from this service's operator",
            ),
        )
    }

    /// Somebody has had what their key grants, and has more again after this time.
    pub(crate) fn quota(message: impl Into<String>, until: Duration) -> Refusing {
        let refusal = Refusal::new(RefusalCode::Quota, message).with_hint("`Retry-After` says when to try again");
        Refusing { until: Some(until), ..Refusing::from(refusal) }
    }

    /// With something else to say about what to do.
    pub(crate) fn hinting(mut self, hint: &str) -> Refusing {
        self.refusal.hint = Some(hint.to_owned());
        self
    }

    pub(crate) fn not_found() -> Refusing {
        Refusing::from(
            Refusal::new(RefusalCode::NotFound, "there is nothing at this address")
                .with_hint("`POST /v1/execute` runs a job"),
        )
    }

    pub(crate) fn unknown_language(error: UnknownLanguage) -> Refusing {
        let hint = match error.nearest.as_slice() {
            [] => "`GET /v1/languages` lists all".to_owned(),
            nearest => format!("did you mean `{}`? `GET /v1/languages` lists all", nearest.join("`, `")),
        };
        let message = format!("no language is called {:?}", error.asked);
        Refusing::from(Refusal::new(RefusalCode::UnknownLanguage, message).at("lang").with_hint(hint))
    }

    pub(crate) fn unavailable(language: &Language, lack: Option<&MissingToolchain>) -> Refusing {
        let name = language.name();
        let (message, hint) = match lack {
            Some(missing) => (format!("this host has no {name}: {missing}"), missing.install.clone()),
            None => (format!("{name} is not served here"), "the operator decides which languages are".to_owned()),
        };
        Refusing::from(Refusal::new(RefusalCode::LanguageUnavailable, message).at("lang").with_hint(hint))
    }

    pub(crate) fn into_response(self, form: Form) -> Response {
        let status = status(self.refusal.code);
        let mut response = (status, Json(self.value(form))).into_response();
        let until = self.until.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(TRY_AGAIN));
        if let Some(until) = until {
            // Whole seconds, and rather one too many than to be refused again.
            let seconds = (until.as_secs() + u64::from(until.subsec_nanos() > 0)).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        response
    }

    /// What a client reads.
    pub(crate) fn value(&self, form: Form) -> Value {
        form.refused(json!(self.refusal), self.trace_id())
    }
}

impl From<Refusal> for Refusing {
    fn from(refusal: Refusal) -> Refusing {
        Refusing { refusal: Box::new(refusal), trace_id: None, until: None }
    }
}

impl From<MalformedRequest> for Refusing {
    fn from(error: MalformedRequest) -> Refusing {
        Refusing::from(Refusal::from(error))
    }
}

impl From<PartsError> for Refusing {
    fn from(error: PartsError) -> Refusing {
        Refusing::from(Refusal::from(error))
    }
}

impl From<JobError> for Refusing {
    fn from(error: JobError) -> Refusing {
        Refusing::from(Refusal::from(error))
    }
}

impl From<RunError> for Refusing {
    fn from(error: RunError) -> Refusing {
        use RefusalCode::{IsolationUnavailable, Malformed, TooLarge};
        let message = in_one_line(&error);
        Refusing::from(match &error {
            RunError::Plan(PlanError::UnknownOption { option, .. } | PlanError::WrongValue { option, .. }) => {
                Refusal::new(Malformed, message).at(format!("options.{option}"))
            }
            RunError::Plan(_) | RunError::Store { .. } => Refusal::new(Malformed, message).at("files"),
            RunError::InputTooLarge { limit, .. } => {
                Refusal { expected: Some(format!("at most {limit}")), ..Refusal::new(TooLarge, message) }
            }
            RunError::ArgumentsTooLarge { .. } => Refusal::new(TooLarge, message).at("args"),
            RunError::Isolation { there_is, .. } => {
                Refusal { expected: Some(there_is.to_string()), ..Refusal::new(IsolationUnavailable, message) }
                    .at("isolation")
            }
            RunError::NotEnforced => Refusal::new(IsolationUnavailable, message),
            _ => a_fault(),
        })
    }
}

pub(crate) fn a_fault() -> Refusal {
    Refusal::new(RefusalCode::Fault, "something went wrong on our side, and nothing is said about the program")
        .with_hint("the service's log knows more, under the `trace_id`, or the `X-Request-Id` of this answer")
}

pub(crate) fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::Malformed => StatusCode::BAD_REQUEST,
        RefusalCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RefusalCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        RefusalCode::Unauthorized => StatusCode::UNAUTHORIZED,
        RefusalCode::Forbidden => StatusCode::FORBIDDEN,
        RefusalCode::NotFound | RefusalCode::UnknownLanguage | RefusalCode::LanguageUnavailable => {
            StatusCode::NOT_FOUND
        }
        RefusalCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        RefusalCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalCode::LimitAboveCeiling | RefusalCode::IsolationUnavailable | RefusalCode::IdempotencyConflict => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        RefusalCode::JobsUnavailable => StatusCode::NOT_IMPLEMENTED,
        RefusalCode::Quota => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::Full | RefusalCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::Fault | RefusalCode::Interrupted => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error with its causes.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        line.push_str(&format!(": {cause}"));
        below = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_described() {
        let refusal = Refusal::new(RefusalCode::Malformed, "no").at("lang").with_hint("do");
        for trace_id in [None, Some("t")] {
            let nested = json!(Refused { error: &refusal, trace_id });
            assert_eq!(Form::Nested.refused(json!(refusal), trace_id), nested);
            let flat = json!(RefusedFlat { error: &refusal.message, refusal: &refusal, trace_id });
            assert_eq!(Form::Flat.refused(json!(refusal), trace_id), flat);
        }
    }
}
