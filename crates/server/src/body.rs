//! The body of a request: bounded in size, in time, and together with all others.
//!
//! A small one is taken as it is. What is beyond that is taken from a budget that all share, so that a thousand clients with
//! the largest body each do not fill the memory of the host.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use firebox_api::{Refusal, RefusalCode};
use firebox_job::ByteSize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What nobody has to ask for.
const SMALL: usize = 64 << 10;
/// What the budget counts in.
const UNIT: usize = 4 << 10;

/// What all bodies may hold together, and each by itself.
#[derive(Debug)]
pub(crate) struct Bodies {
    budget: Arc<Semaphore>,
    most: usize,
    within: Duration,
}

/// A body, and its share of the budget.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(crate) fn new(all: ByteSize, each: ByteSize, within: Duration) -> Bodies {
        let units = (all.as_u64() as usize / UNIT).min(Semaphore::MAX_PERMITS);
        Bodies { budget: Arc::new(Semaphore::new(units)), most: each.as_u64() as usize, within }
    }

    /// Reads a body that is JSON.
    pub(crate) async fn read_json(&self, headers: &HeaderMap, body: Body) -> Result<Content, Refusal> {
        if !is_json(headers) {
            return Err(not_json());
        }
        if let Some(encoding) =
            headers.get_all(header::CONTENT_ENCODING).iter().find(|encoding| *encoding != "identity")
        {
            let encoding = String::from_utf8_lossy(encoding.as_bytes());
            return Err(Refusal {
                expected: Some("identity".to_owned()),
                ..Refusal::new(
                    RefusalCode::UnsupportedMediaType,
                    format!("the body is said to be encoded as {encoding:?}"),
                )
            }
            .with_hint("send it as it is; only answers are compressed"));
        }
        // A length that is announced is refused before it is sent.
        if body.size_hint().lower() > self.most as u64 {
            return Err(too_large(self.most));
        }
        timeout(self.within, self.collect(body)).await.unwrap_or_else(|_| Err(too_late(self.within)))
    }

    async fn collect(&self, mut body: Body) -> Result<Content, Refusal> {
        let mut content = Content { bytes: Vec::new(), _share: None };
        loop {
            let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await;
            let frame = match next {
                None => return Ok(content),
                Some(frame) => frame.map_err(|_| Refusal::new(RefusalCode::Malformed, "the body broke off"))?,
            };
            let Ok(data) = frame.into_data() else { continue };
            let length = content.bytes.len() + data.len();
            if self.most < length {
                return Err(too_large(self.most));
            }
            self.take_share(&mut content, length)?;
            content.bytes.extend_from_slice(&data);
        }
    }

    fn take_share(&self, content: &mut Content, length: usize) -> Result<(), Refusal> {
        let units = length.saturating_sub(SMALL).div_ceil(UNIT);
        let has = content._share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if units <= has {
            return Ok(());
        }
        let more = u32::try_from(units - has).map_err(|_| too_large(self.most))?;
        let more = Arc::clone(&self.budget).try_acquire_many_owned(more).map_err(|_| {
            Refusal::new(RefusalCode::Full, "too many large requests are on their way")
                .with_hint("try again in a moment")
        })?;
        match &mut content._share {
            Some(share) => share.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

pub(crate) fn not_json() -> Refusal {
    Refusal {
        expected: Some("application/json".to_owned()),
        ..Refusal::new(RefusalCode::UnsupportedMediaType, "the body is not said to be JSON")
    }
    .with_hint("send `Content-Type: application/json`")
}

pub(crate) fn too_late(within: Duration) -> Refusal {
    let seconds = within.as_secs();
    Refusal::new(RefusalCode::RequestTimeout, format!("the body was not there within {seconds} s"))
}

pub(crate) fn too_large(most: usize) -> Refusal {
    let most = ByteSize::bytes(most as u64);
    Refusal {
        expected: Some(format!("at most {most}")),
        ..Refusal::new(RefusalCode::TooLarge, format!("the body has more than {most}"))
    }
}

/// `application/json`, with any parameters, and nothing else beside it.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(header::CONTENT_TYPE).iter().peekable();
    let is_json = |value: &HeaderValue| {
        let kind = value.to_str().ok().and_then(|value| value.split(';').next());
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    };
    said.peek().is_some() && said.all(is_json)
}
