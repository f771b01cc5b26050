//! `HEAD`, answered as `GET` without the body.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Route,
    body::{BodySize, BoxBody, MessageBody},
    dev::ResponseHead,
    guard,
    http::header,
    web::Bytes,
};

/// Returns a route for `GET`, and for `HEAD` with the same answer without the body ([`leave_out`]). The
/// framework's own handles `GET` only.
pub(crate) fn get() -> Route {
    Route::new().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Drops the body of an answer to `HEAD`, so that no list is read for nothing. Keeps the `Content-Length`, if it
/// is known.
///
/// Not by the framework: if the next request is there already, it forgets that this one was a `HEAD` and would
/// send the body.
pub(crate) fn leave_out(head: &mut ResponseHead, body: BoxBody) -> BoxBody {
    if let BodySize::Sized(length) = body.size() {
        head.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    if body.size() == BodySize::None {
        return body;
    }
    head.no_chunking(true);
    BoxBody::new(LeftOut)
}

/// A body that is not sent.
struct LeftOut;

impl MessageBody for LeftOut {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
