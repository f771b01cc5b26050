//! The stream of a connection: TCP or TLS, read and written only as far as its [`Connection`] says.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::connection::{Allowed, Connection, Fault};

/// How many bytes of a client that was refused are thrown away, so that it sees why.
const LINGER: usize = 1024 * 1024;

/// A stream that a client speaks over.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A stream with bounds.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: Stream,
    pub(super) connection: Rc<Connection>,
    refusal: Option<Refusal>,
}

/// An answer of the stream itself, and how much was thrown away since.
#[derive(Debug)]
struct Refusal {
    answer: Vec<u8>,
    thrown_away: usize,
}

impl Bounded {
    pub(super) fn new(stream: Stream, connection: Rc<Connection>) -> Self {
        Self { stream, connection, refusal: None }
    }

    /// Tells the client why, reads on for a moment so that it sees it, and then is at its end.
    fn poll_refuse(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        while !refusal.answer.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &refusal.answer)? {
                Poll::Ready(written) => drop(refusal.answer.drain(..written)),
                Poll::Pending => break,
            }
        }
        let _ = Pin::new(&mut self.stream).poll_flush(context)?;
        let mut scratch = [0; 4 * 1024];
        loop {
            let mut read = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            refusal.thrown_away += read.filled().len();
            if read.filled().is_empty() || refusal.thrown_away > LINGER {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Wakes the connection once there is something to read, or once it may read again.
    fn wait(&self, context: &mut Context<'_>) {
        if let Stream::Plain(stream) = &self.stream
            && stream.poll_read_ready(context).is_pending()
        {
            return;
        }
        self.connection.block(context);
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.refusal.is_some() {
            return this.poll_refuse(context);
        }
        let room = match this.connection.allowed() {
            Allowed::Bytes(room) => room.min(buffer.remaining()),
            Allowed::AfterLook => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Allowed::Later => {
                this.wait(context);
                return Poll::Pending;
            }
        };
        let mut read = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
        let bytes = read.filled().len();
        match this.connection.read(read.filled()) {
            Ok(()) => {
                buffer.advance(bytes);
                Poll::Ready(Ok(()))
            }
            Err(fault) => {
                this.connection.refuse();
                this.refusal = Some(Refusal { answer: answer(fault), thrown_away: 0 });
                this.poll_refuse(context)
            }
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.connection.wrote(written.is_ready());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.connection.wrote(flushed.is_ready());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        if shut.is_pending() {
            self.connection.wrote(false);
        }
        shut
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A whole answer in the form of all others (`crate::error`); the head it is about cannot be read.
fn answer(fault: Fault) -> Vec<u8> {
    let (status, title, detail, more) = match fault {
        Fault::TooLong => (431, "Request Header Fields Too Large", "the header is over 16384 bytes", ""),
        Fault::BareLineFeed => (400, "Bad Request", "a line of the header ends with LF alone: end it with CR LF", ""),
        Fault::NoRoom => {
            (503, "Service Unavailable", "too many long headers are under way: try again", "retry-after: 5\r\n")
        }
    };
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "success": false, "error": detail,
    });
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n{more}\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
