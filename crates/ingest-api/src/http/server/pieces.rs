//! Splits the body of an answer into small pieces. The framework copies each into the connection's buffer, and a
//! client that does not read must not hold a copy of a whole file.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};

use super::connection::Connection;

/// Maximum size of a piece, in bytes.
const PIECE: usize = 4 * 1024;

/// The answer to a request; on drop, the connection waits for the next request.
#[derive(Debug)]
pub(super) struct Answering(Rc<Connection>);

impl Answering {
    pub(super) fn new(connection: Rc<Connection>) -> Self {
        Self(connection)
    }

    /// Returns whether the handler left a part of the request's body unread.
    pub(super) fn leaves_body(&self) -> bool {
        self.0.has_open_body()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// A body in pieces.
pub(super) struct Pieces {
    size: BodySize,
    rest: Bytes,
    further: Option<BoxBody>,
    piece: usize,
    /// Dropped after the last piece.
    _answering: Option<Answering>,
}

impl Pieces {
    pub(super) fn new(body: BoxBody, answering: Option<Answering>, bounds: bool) -> Self {
        let size = body.size();
        let (rest, further) = match body.try_into_bytes() {
            Ok(bytes) => (bytes, None),
            Err(body) => (Bytes::new(), Some(body)),
        };
        Self { size, rest, further, piece: if bounds { PIECE } else { usize::MAX }, _answering: answering }
    }
}

impl MessageBody for Pieces {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            let Some(further) = &mut this.further else { return Poll::Ready(None) };
            match Pin::new(further).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => this.rest = bytes,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let piece = this.rest.len().min(this.piece);
        Poll::Ready(Some(Ok(this.rest.split_to(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_body_comes_in_pieces_that_share_its_memory() {
        let file = Bytes::from(vec![7; 3 * PIECE + 1]);
        let mut body = Pieces::new(BoxBody::new(file.clone()), None, true);
        assert_eq!(body.size(), BodySize::Sized(file.len() as u64));
        let mut pieces = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            pieces.push(piece.unwrap());
        }
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, PIECE, PIECE, 1]);
        assert_eq!(pieces[1].as_ptr(), file[PIECE..].as_ptr());
    }
}
