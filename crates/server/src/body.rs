//! The body of a request: bounded in size, in time, and together with all others.
//!
//! The beginnings of all bodies share a budget, and what is beyond share another: so that a thousand clients with the largest
//! body each, or with a hundred small ones on each connection, do not fill the memory of the host; that small ones find room
//! whatever large ones there are; and that there is room for one whatever another sends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use firebox_api::{Refusal, RefusalCode};
use firebox_job::ByteSize;
use tokio::time::timeout;

use crate::admission::Owner;
use crate::commons::{Commons, Part};

/// How much of a body is its beginning.
const SMALL: usize = 64 << 10;
/// What the beginnings of all bodies may hold together.
const ALL_SMALL: usize = 64 << 20;
/// How long whoever is refused may take to finish what they send.
const FINISH_WITHIN: Duration = Duration::from_millis(250);
/// What the budget counts in.
const UNIT: usize = 4 << 10;

/// What all bodies may hold together, and each by itself.
#[derive(Debug)]
pub(crate) struct Bodies {
    small: Arc<Commons>,
    large: Arc<Commons>,
    most: usize,
    within: Duration,
}

/// A body, and its share of the budgets.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// Whoever goes on to hold what was in the body holds this as well.
    pub(crate) share: Share,
}

/// What somebody has of the budgets.
#[derive(Debug)]
pub(crate) struct Share {
    small: Part,
    large: Part,
}

impl Bodies {
    pub(crate) fn new(all: ByteSize, each: ByteSize, within: Duration) -> Bodies {
        let (small, large) = (Commons::of(ALL_SMALL / UNIT), Commons::of(all.as_u64() as usize / UNIT));
        Bodies { small, large, most: each.as_u64() as usize, within }
    }

    /// Reads a body that is JSON.
    pub(crate) async fn read_json(&self, headers: &HeaderMap, body: Body, owner: Owner) -> Result<Content, Refusal> {
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
        timeout(self.within, self.collect(body, owner)).await.unwrap_or_else(|_| Err(too_late(self.within)))
    }

    async fn collect(&self, mut body: Body, owner: Owner) -> Result<Content, Refusal> {
        let share = Share { small: self.small.part(owner), large: self.large.part(owner) };
        let mut content = Content { bytes: Vec::new(), share };
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
            content.share.grow(length)?;
            content.bytes.extend_from_slice(&data);
        }
    }
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let small = self.small.grow(bytes.min(SMALL).div_ceil(UNIT));
        let large = small.and_then(|()| self.large.grow(bytes.saturating_sub(SMALL).div_ceil(UNIT)));
        large.map_err(|why| why.refusal("bytes of requests"))
    }
}

/// Reads what somebody still sends who is refused already, if that is little: clients that are cut short while they send tell their
/// users of that, and not of the answer.
pub(crate) async fn let_finish(mut body: Body) {
    let mut left = SMALL;
    let rest = async {
        while let Some(Ok(frame)) =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await
        {
            match left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Whoever takes longer is cut short.
    let _ = timeout(FINISH_WITHIN, rest).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Bounds;

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    async fn read(bodies: &Bodies, length: usize) -> Result<Content, RefusalCode> {
        read_of(bodies, 0, length).await
    }

    async fn read_of(bodies: &Bodies, number: u64, length: usize) -> Result<Content, RefusalCode> {
        let owner = Owner { number, bounds: Bounds { shares: number != 0, ..Bounds::default() } };
        bodies.read_json(&headers(), Body::from(vec![b' '; length]), owner).await.map_err(|refusal| refusal.code)
    }

    #[tokio::test]
    async fn what_all_bodies_hold_together_is_bounded_and_given_back() {
        let bodies = Bodies::new(ByteSize::mib(2), ByteSize::mib(1), Duration::from_secs(10));
        let mut held = Vec::new();
        // The beginning of each is in the other budget.
        for _ in 0..2 {
            held.push(read(&bodies, 1 << 20).await.unwrap());
        }
        assert_eq!(read(&bodies, 1 << 20).await.unwrap_err(), RefusalCode::Full);
        // A small one finds room all the same.
        assert!(read(&bodies, SMALL).await.is_ok());
        held.clear();
        assert!(read(&bodies, 1 << 20).await.is_ok());
        assert_eq!(read(&bodies, (1 << 20) + 1).await.unwrap_err(), RefusalCode::TooLarge);
    }

    #[tokio::test]
    async fn small_bodies_are_bounded_as_well() {
        let bodies = Bodies::new(ByteSize::mib(2), ByteSize::mib(1), Duration::from_secs(10));
        let mut held = Vec::new();
        for _ in 0..ALL_SMALL / SMALL {
            held.push(read(&bodies, SMALL).await.unwrap());
        }
        assert_eq!(read(&bodies, 1).await.unwrap_err(), RefusalCode::Full);
        held.pop();
        assert!(read(&bodies, 1).await.is_ok());
    }
    #[tokio::test]
    async fn there_is_room_for_one_whatever_another_sends() {
        let bodies = Bodies::new(ByteSize::mib(8), ByteSize::mib(1), Duration::from_secs(10));
        let mut held = Vec::new();
        let refused = loop {
            match read_of(&bodies, 1, 1 << 20).await {
                Ok(content) => held.push(content),
                Err(refused) => break refused,
            }
        };
        assert_eq!((refused, held.len()), (RefusalCode::Full, 4));
        assert!(read_of(&bodies, 2, 1 << 20).await.is_ok());
    }
}
