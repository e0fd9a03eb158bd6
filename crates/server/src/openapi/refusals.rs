//! Every reason for a refusal: in a sentence, and as one that was really refused by the code that refuses.

use firebox_api::{Refusal, RefusalCode, Request};
use firebox_job::{LimitsError, TraceId};
use firebox_lang::UnknownLanguage;

use crate::admission::NoPlace;
use crate::answer::{Refusing, a_fault};
use crate::body::{not_json, too_large, too_late};
use crate::service::no_place;
use crate::{gate, jobs, routes};

/// The reason in a sentence. A new one does not compile until somebody has written it.
pub(super) fn reason(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Malformed => "The request is not what one looks like, or contradicts itself.",
        RefusalCode::UnsupportedMediaType => "The body is not said to be JSON.",
        RefusalCode::RequestTimeout => "The request was not there in time.",
        RefusalCode::Unauthorized => "Who asks has not shown a key that is good here.",
        RefusalCode::Forbidden => {
            "Who asks may not: a web page from elsewhere, a name that is not this host's, or a key that is not for this."
        }
        RefusalCode::NotFound => "There is nothing of this name.",
        RefusalCode::MethodNotAllowed => "The address takes other methods.",
        RefusalCode::UnknownLanguage => "No language has this name.",
        RefusalCode::LanguageUnavailable => "The language is not on this host, or not served.",
        RefusalCode::TooLarge => "More was sent than may be.",
        RefusalCode::LimitAboveCeiling => "A limit is above what the operator grants.",
        RefusalCode::IsolationUnavailable => "This kind of cell is not to be had here.",
        RefusalCode::IdempotencyConflict => "The `Idempotency-Key` came before, with another request.",
        RefusalCode::JobsUnavailable => "This service keeps nothing, so no job outlives its connection.",
        RefusalCode::Interrupted => "The service died while the job ran, each time that it was begun.",
        RefusalCode::Quota => "Who asks has had what their key grants for now.",
        RefusalCode::Full => {
            "There is no room now: every place is taken and so is the queue, or too much is on its way."
        }
        RefusalCode::ShuttingDown => "The service is about to end.",
        RefusalCode::Fault => "We failed; nothing is said about the program.",
    }
}

/// One of its kind.
pub(super) fn example(code: RefusalCode) -> Refusing {
    let refusing = Refusing::from(match code {
        RefusalCode::Malformed => match Request::from_json(br#"{"lang": "rust", "cod": "fn main() {}"}"#) {
            Err(error) => Refusal::from(error),
            Ok(_) => Refusal::new(code, reason(code)),
        },
        RefusalCode::UnsupportedMediaType => not_json(),
        RefusalCode::RequestTimeout => too_late(std::time::Duration::from_secs(30)),
        RefusalCode::Unauthorized => return gate::no_key(),
        RefusalCode::Forbidden => return routes::foreign(crate::doors::Foreign::Origin),
        RefusalCode::NotFound => return Refusing::not_found(),
        RefusalCode::MethodNotAllowed => routes::wrong_method(&axum::http::Method::PUT),
        RefusalCode::UnknownLanguage => {
            let unknown = UnknownLanguage { asked: "rsut".to_owned(), nearest: vec!["rust".to_owned()] };
            return with_a_name(Refusing::unknown_language(unknown));
        }
        RefusalCode::LanguageUnavailable => {
            Refusal::new(code, "this host has no rust: `rustc` is not on PATH").at("lang").with_hint("install rustup")
        }
        RefusalCode::TooLarge => too_large(32 << 20),
        RefusalCode::LimitAboveCeiling => Refusal::from(LimitsError::AboveCeiling {
            name: "timeout",
            asked: "3600 s".to_owned(),
            ceiling: "600 s".to_owned(),
        }),
        RefusalCode::IsolationUnavailable => Refusal {
            expected: Some("jail".to_owned()),
            ..Refusal::new(code, "isolation `microvm` is not available here; leave it out or ask for `jail`")
        }
        .at("isolation"),
        RefusalCode::IdempotencyConflict => jobs::conflict(),
        RefusalCode::JobsUnavailable => jobs::unavailable(),
        RefusalCode::Interrupted => jobs::interrupted(3),
        RefusalCode::Quota => return gate::too_often(std::time::Duration::from_millis(500)),
        RefusalCode::Full => return with_a_name(no_place(NoPlace::Full)),
        RefusalCode::ShuttingDown => return no_place(NoPlace::Closed),
        RefusalCode::Fault => a_fault(),
    });
    match code {
        RefusalCode::LimitAboveCeiling | RefusalCode::Fault => with_a_name(refusing),
        _ => refusing,
    }
}

/// Of a job whose name is known.
fn with_a_name(refusing: Refusing) -> Refusing {
    match TraceId::new("rust-hello-001") {
        Ok(trace_id) => refusing.of(trace_id),
        Err(_) => refusing,
    }
}
