//! The stream of a connection: TCP or TLS, read and written only as far as its [`Connection`] allows.

use std::{
    fmt::Write,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use actix_web::{
    http::StatusCode,
    web::{Buf, BytesMut},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    connection::{Connection, Phase},
    framing::Framing,
    head::{Fault, LineEnds, check},
};
use crate::http::{error::problem, headers, metrics::CloseReason};

/// Bytes of a refused client that are discarded, so that it sees the answer, and bytes in one turn.
const LINGER: usize = 1024 * 1024;
const LINGER_TURN: usize = 64 * 1024;

/// Bytes in one read of a head that did not arrive in one piece.
const STEP: usize = 2 * 1024;

/// The stream of a client.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A stream with limits. Passes one head at a time to the framework, and its body. Pipelined bytes wait until
/// the answer is sent.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: Stream,
    pub(super) connection: Rc<Connection>,
    /// Bytes that were read and not handed over.
    ahead: BytesMut,
    /// Length of the head in `ahead` that goes to the framework next.
    ready: usize,
    /// Number of bytes of `ahead` that were checked.
    scanned: usize,
    line_ends: LineEnds,
    framing: Framing,
    refusal: Option<Refusal>,
}

/// The result of a read.
enum Read {
    /// A whole head, and the part of its body that came with it.
    Request,
    /// A part of a head, or one that is refused.
    Some,
    /// End of the stream: the client is gone.
    End,
}

/// An answer of the stream itself, and the bytes discarded since.
#[derive(Debug, Default)]
struct Refusal {
    answer: Vec<u8>,
    /// Whether the write side is to be closed once the answer is sent.
    is_last: bool,
    thrown_away: usize,
}

impl Bounded {
    pub(super) fn new(stream: Stream, connection: Rc<Connection>) -> Self {
        Self {
            stream,
            connection,
            ahead: BytesMut::new(),
            ready: 0,
            scanned: 0,
            line_ends: LineEnds::default(),
            framing: Framing::Length(0),
            refusal: None,
        }
    }

    /// Sends the refusal, reads on briefly so that the client sees it, then ends the stream.
    fn poll_refuse(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        // The framework's earlier bytes go first; their writer wakes this task.
        if !refusal.answer.is_empty() && self.connection.is_stalled() {
            return Poll::Pending;
        }
        while !refusal.answer.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &refusal.answer)? {
                Poll::Ready(written) => drop(refusal.answer.drain(..written)),
                Poll::Pending => break,
            }
        }
        let _ = Pin::new(&mut self.stream).poll_flush(context)?;
        if refusal.is_last && refusal.answer.is_empty() {
            refusal.is_last = Pin::new(&mut self.stream).poll_shutdown(context)?.is_pending();
        }
        let mut scratch = [0; 8 * 1024];
        let mut turn = 0;
        loop {
            let mut read = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            let bytes = read.filled().len();
            (refusal.thrown_away, turn) = (refusal.thrown_away + bytes, turn + bytes);
            if bytes == 0 || refusal.thrown_away > LINGER {
                return Poll::Ready(Ok(()));
            }
            if turn > LINGER_TURN {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Wakes the task once there is something to read, or once it may read again.
    fn wait(&self, context: &mut Context<'_>) {
        if let Stream::Plain(stream) = &self.stream
            && self.ahead.is_empty()
            && stream.poll_read_ready(context).is_pending()
        {
            return;
        }
        self.connection.block(context);
    }

    fn refuse(&mut self, fault: Fault) {
        self.connection.refuse(CloseReason::Malformed);
        self.refusal = Some(Refusal { answer: answer(fault), is_last: true, thrown_away: 0 });
    }

    /// Reads the start of a request into the framework's buffer, at most its free room: nearly every request
    /// arrives in one piece. An incomplete head waits in `ahead`.
    fn poll_request(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<Read>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = &buffer.filled()[before..];
        let (read, taken) = match self.look(bytes) {
            _ if bytes.is_empty() => (Read::End, 0),
            Ok(None) => (Read::Some, 0),
            Ok(Some(head)) => {
                let body = self.framing.take(&bytes[head..]);
                self.connection.read(body);
                (Read::Request, head + body)
            }
            Err(fault) => {
                self.refuse(fault);
                (Read::Some, 0)
            }
        };
        self.ahead.extend_from_slice(&bytes[taken..]);
        buffer.set_filled(before + taken);
        Poll::Ready(Ok(read))
    }

    /// Reads more of a head, until it is complete or refused. Returns whether the client is still there.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.scanned < self.ahead.len() {
                let ahead = std::mem::take(&mut self.ahead);
                let looked = self.look(&ahead);
                self.ahead = ahead;
                match looked {
                    Ok(None) => {}
                    Ok(Some(length)) => {
                        self.ready = length;
                        return Poll::Ready(Ok(true));
                    }
                    Err(fault) => {
                        self.refuse(fault);
                        return Poll::Ready(Ok(true));
                    }
                }
            }
            let mut scratch = [0; STEP];
            let mut read = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.ahead.extend_from_slice(read.filled());
        }
    }

    /// Checks the bytes of a head; returns its end, if it is complete.
    fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let now = Instant::now();
        let end = self.line_ends.read(&bytes[self.scanned..])?;
        let length = end.map_or(bytes.len(), |end| self.scanned + end);
        self.connection.read_head(length, now)?;
        self.scanned = bytes.len();
        if end.is_none() {
            return Ok(None);
        }
        self.framing = check(&bytes[..length])?;
        (self.scanned, self.line_ends) = (0, LineEnds::default());
        self.connection.begin(self.framing.is_open(), now);
        Ok(Some(length))
    }

    /// Hands over bytes that were read ahead.
    fn hand_over(&mut self, bytes: usize, buffer: &mut ReadBuf<'_>) {
        buffer.put_slice(&self.ahead[..bytes]);
        self.ahead.advance(bytes);
        if self.ahead.is_empty() {
            // An idle connection does not keep the memory of its largest head.
            self.ahead = BytesMut::new();
        }
    }

    fn poll_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>, room: usize) -> Poll<io::Result<()>> {
        let room = self.framing.at_most(room.min(buffer.remaining()));
        if !self.ahead.is_empty() {
            let bytes = self.framing.take(&self.ahead[..room.min(self.ahead.len())]);
            self.hand_over(bytes, buffer);
            self.connection.read(bytes);
            return Poll::Ready(Ok(()));
        }
        let mut read = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        let bytes = self.framing.take(read.filled());
        self.ahead.extend_from_slice(&read.filled()[bytes..]);
        buffer.advance(bytes);
        self.connection.read(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.connection.has_bounds() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        if this.connection.is_expired() && this.refusal.is_none() {
            this.refuse(Fault::TOO_SLOW);
        }
        loop {
            if this.refusal.is_some() {
                return this.poll_refuse(context);
            }
            if this.ready > 0 {
                let bytes = this.ready.min(buffer.remaining());
                this.ready -= bytes;
                this.hand_over(bytes, buffer);
                return Poll::Ready(Ok(()));
            }
            match this.connection.phase() {
                Phase::Body(room) if this.framing.is_open() => return this.poll_body(context, buffer, room),
                Phase::Body(_) | Phase::Later => {
                    this.wait(context);
                    return Poll::Pending;
                }
                Phase::Left => this.refusal = Some(Refusal::default()),
                Phase::Head if this.ahead.is_empty() => match ready!(this.poll_request(context, buffer))? {
                    Read::Request | Read::End => return Poll::Ready(Ok(())),
                    Read::Some => {}
                },
                Phase::Head => {
                    if !ready!(this.poll_head(context))? {
                        return Poll::Ready(Ok(()));
                    }
                }
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

/// Returns a whole answer in the form of all others; the head it is about is unreadable.
fn answer(fault: Fault) -> Vec<u8> {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
    let (body, reason) = (problem(status, fault.detail).to_string(), status.canonical_reason().unwrap_or_default());
    let mut answer = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\n",
        status.as_u16(),
        body.len()
    );
    for (name, value) in headers::SECURITY_HEADERS {
        answer.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let _ = write!(answer, "retry-after: {}\r\n", fastrand::u32(5..=10));
    }
    (answer + "\r\n" + &body).into_bytes()
}
