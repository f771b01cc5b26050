//! Finds the end of a request's body. The next head begins behind it and is checked like every head.

/// The rest of a body, and its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// `Content-Length`: the bytes left.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked(Chunk),
}

/// The state in a chunked body, exactly as in the framework's parser: if the two disagreed, the rest of a body
/// could pass for a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the digits of a size.
    Size(u64),
    /// In the rest of the line with the size.
    Line(u64),
    /// In the bytes of a chunk and the line end behind them.
    Data(u64),
    /// At the start of the last line, or of a trailer field before it.
    End,
    /// In a trailer field.
    Trailer,
    /// Behind the CR of a trailer field.
    TrailerCr,
    /// Behind the CR of the last line.
    EndCr,
    /// Behind the whole body.
    Over,
    /// Invalid chunks: the bytes behind them are never read as a head.
    Broken,
}

impl Framing {
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunk::Size(0))
    }

    /// Returns whether the body has not ended.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// Returns the maximum number of bytes to read that does not pass the body's end, if that is known.
    pub(super) fn at_most(&self, room: usize) -> usize {
        match self {
            Self::Length(left) => usize::try_from(*left).map_or(room, |left| room.min(left)),
            Self::Chunked(_) => room,
        }
    }

    /// Advances; returns how many of these bytes belong to the body.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                taken
            }
            Self::Chunked(chunk) => chunk.take(bytes),
        }
    }
}

impl Chunk {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match self {
                Self::Over => return at,
                Self::Broken => return bytes.len(),
                Self::Data(left) => {
                    let some = usize::try_from(*left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                    (*left, at) = (*left - some as u64, at + some);
                    if *left == 0 {
                        *self = Self::Size(0);
                    }
                }
                _ => {
                    *self = self.after(bytes[at]);
                    at += 1;
                }
            }
        }
        at
    }

    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size(size), _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = size.checked_mul(16).and_then(|size| size.checked_add(digit.into()));
                size.filter(|size| *size < u64::MAX - 2).map_or(Self::Broken, Self::Size)
            }
            (Self::Size(0) | Self::Line(0) | Self::TrailerCr, b'\n') => Self::End,
            (Self::Size(size) | Self::Line(size), b'\n') => Self::Data(size + 2),
            (Self::Size(size) | Self::Line(size), _) => Self::Line(size),
            (Self::End, b'\r') => Self::EndCr,
            (Self::EndCr, b'\n') => Self::Over,
            (Self::Trailer, b'\r') => Self::TrailerCr,
            (Self::End | Self::Trailer, _) => Self::Trailer,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_http::{
        ServiceConfig,
        h1::{Codec, Message},
    };
    use actix_web::web::BytesMut;
    use proptest::{prelude::*, test_runner::TestRunner};
    use tokio_util::codec::Decoder;

    use super::*;

    /// Returns how many bytes belong to the body, and whether it ended.
    fn read(mut framing: Framing, bytes: &str, step: usize) -> (usize, bool) {
        let (mut taken, mut rest) = (0, bytes.as_bytes());
        while !rest.is_empty() && framing.is_open() {
            let some = framing.take(&rest[..step.min(rest.len())]);
            (taken, rest) = (taken + some, &rest[some..]);
        }
        (taken, !framing.is_open())
    }

    #[test]
    fn a_body_ends_where_its_length_or_its_last_chunk_says() {
        for step in 1..30 {
            assert_eq!(read(Framing::Length(3), "abcGET /", step), (3, true), "{step}");
            assert_eq!(read(Framing::Length(9), "abc", step), (3, false), "{step}");
            for body in [
                "0\r\n\r\n",
                "3\r\nabc\r\n0\r\n\r\n",
                "A;x=y\r\n0\r\n\r\n0\r\n\r\n\r\n00\r\n\r\n",
                "1 \r\na\r\n0;e\r\nx: y\r\nz: a\nb\r\n\r\n",
            ] {
                let both = format!("{body}GET / HTTP/1.1\r\n");
                assert_eq!(read(Framing::chunked(), &both, step), (body.len(), true), "{body:?} {step}");
                assert!(!read(Framing::chunked(), &body[..body.len() - 1], step).1, "{body:?} {step}");
            }
            for broken in ["ffffffffffffffff0\r\n", "0\r\n\rx\r\n\r\n", "0\r\nx\rx\r\n\r\n"] {
                let (taken, is_over) = read(Framing::chunked(), &format!("{broken}GET /"), step);
                assert_eq!((taken, is_over), (broken.len() + 5, false), "{broken:?} {step}");
            }
        }
    }

    /// Returns the end of a chunked body by the framework's parser, if it accepts the body.
    fn end_by_framework(config: &ServiceConfig, body: &str) -> Result<Option<usize>, String> {
        let mut bytes = BytesMut::from("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        bytes.extend_from_slice(body.as_bytes());
        let mut codec = Codec::new(config.clone());
        loop {
            match codec.decode(&mut bytes).map_err(|error| error.to_string())? {
                Some(Message::Item(_) | Message::Chunk(Some(_))) => {}
                Some(Message::Chunk(None)) => return Ok(Some(body.len() - bytes.len())),
                None => return Ok(None),
            }
        }
    }

    /// Chunks as clients write them, with a few bytes inserted, removed or changed.
    fn bodies() -> impl Strategy<Value = String> {
        let chunk = (0..40_usize, "(;[a-z]{0,3}(=[a-z\"]{0,3})?)?", "[a-f\r\n0-9 ]{40}", any::<bool>());
        let chunk = chunk.prop_map(|(size, extension, data, is_upper)| {
            let digits = if is_upper { format!("{size:X}") } else { format!("{size:02x}") };
            format!("{digits}{extension}\r\n{}{}", &data[..size], if size == 0 { "" } else { "\r\n" })
        });
        let trailer = prop_oneof![4 => Just(String::new()), 1 => "([a-z]{1,3}: [a-z\n\r ]{0,4}\r\n){1,2}"];
        let changes = prop::collection::vec((any::<prop::sample::Index>(), "[\r\n0-9a-f;: ]?", 0..2_usize), 0..3);
        let parts = (prop::collection::vec(chunk, 0..4), trailer, changes);
        parts.prop_map(|(chunks, trailer, changes)| {
            let mut body = format!("{}0\r\n{trailer}\r\n", chunks.concat());
            for (place, put, left_out) in changes {
                let at = place.index(body.len());
                let end = (at + left_out).min(body.len());
                body.replace_range(at..end, &put);
            }
            body
        })
    }

    #[actix_web::test]
    async fn a_body_of_chunks_ends_where_the_framework_ends_it() {
        let config = ServiceConfig::default();
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) });
        let ran = runner.run(&(bodies(), 1..50_usize), |(body, step)| {
            let both = format!("{body}GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            let (taken, is_over) = read(Framing::chunked(), &both, step);
            // A refusal of the framework closes the connection.
            if let Ok(end) = end_by_framework(&config, &both) {
                prop_assert_eq!(is_over.then_some(taken), end);
            }
            Ok(())
        });
        ran.unwrap();
    }
}
