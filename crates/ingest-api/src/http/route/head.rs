//! `HEAD`, which is answered as `GET` is but for the body.

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

/// A route for `GET`, and for `HEAD`, which is answered in the same way but for the body ([`leave_out`]). In
/// place of the framework's, which leaves `HEAD` to others.
pub(crate) fn get() -> Route {
    Route::new().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// The body of an answer to `HEAD`, so that no list is read to its end for nobody. The length of what is
/// left out is said where it is known.
///
/// By hand: where the next request has come already, the framework has forgotten that this one was a
/// `HEAD`, and would send the body.
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

/// A body of which nothing is sent.
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
