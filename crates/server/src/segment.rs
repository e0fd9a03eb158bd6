//! A part of an address that names something.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, OriginalUri, Path};
use axum::http::request::Parts;
use axum::response::Response;
use firebox_api::{Refusal, RefusalCode};

use crate::answer::{Form, Refusing};

/// The one part of the address that has a name in braces, its escapes undone.
#[derive(Debug, Clone)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Segment, Response> {
        let segment: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        match segment {
            Ok(Path(segment)) => Ok(Segment(segment)),
            Err(_) => {
                let path = match OriginalUri::from_request_parts(parts, state).await {
                    Ok(OriginalUri(uri)) => uri.path().to_owned(),
                    Err(never) => match never {},
                };
                let refusal = Refusal::new(RefusalCode::Malformed, "a part of the address is no UTF-8")
                    .with_hint("write it as UTF-8, each byte that needs it as `%` and two digits");
                Err(Refusing::from(refusal).into_response(Form::of(&path)))
            }
        }
    }
}
