//! A body that goes out in pieces, however large those are that it comes in.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// A body, no piece of which is larger than this.
#[derive(Debug)]
pub(crate) struct Pieces {
    body: Body,
    /// What has come and was not taken yet.
    rest: Bytes,
    most: usize,
}

impl Pieces {
    pub(crate) fn of(body: Body, most: usize) -> Pieces {
        Pieces { body, rest: Bytes::new(), most }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(self.most);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let here = self.rest.len() as u64;
        let below = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = below.upper() {
            hint.set_upper(upper + here);
        }
        hint.set_lower(below.lower() + here);
        hint
    }
}
