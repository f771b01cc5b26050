//! Checks the whole head of a request before the framework parses it.
//!
//! The framework ends a line at a bare line feed, and other servers do not. A header for one is a part of a
//! value for the other, which allows request smuggling. The framework also gives no reason for a refusal. So
//! this module refuses all that the framework would, with the cause.

use std::mem::MaybeUninit;

use actix_web::http::Uri;
use httparse::{Error, Request, Status};
use memchr::memchr_iter;

use super::framing::Framing;

/// Maximum number of header fields: the framework's own limit.
const FIELDS: usize = 96;

/// The reason why a head is refused, and the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: u16,
    pub(super) detail: &'static str,
}

impl Fault {
    pub(super) const TOO_LONG: Self = Self { status: 431, detail: "the header is over 16384 bytes" };
    pub(super) const TOO_SLOW: Self =
        Self { status: 408, detail: "the header did not arrive within 20 s: send the request again" };
    pub(super) const NO_ROOM: Self =
        Self { status: 503, detail: "too many long headers are in flight: send the request again later" };
    const BARE_LINE_FEED: Self = bad("a line of the header ends with LF alone: end it with CR LF");
    const NO_HTTP: Self = bad("this is not an HTTP request: this port speaks HTTP/1.1, without TLS or behind it");
    const LINE: Self = bad("the first line is not a request line, such as GET / HTTP/1.1");
}

const fn bad(detail: &'static str) -> Fault {
    Fault { status: 400, detail }
}

/// The state of a head's line ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineEnds {
    last: u8,
    /// Bytes of the line so far, its CR included.
    line: usize,
    has_lines: bool,
}

impl LineEnds {
    /// Advances; returns the end of the head, behind the empty line, once it has arrived.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let is_first = !self.has_lines && self.line == 0;
        if is_first && bytes.iter().find(|byte| !b"\r\n".contains(byte)).is_some_and(|byte| !is_of_method(*byte)) {
            return Err(Fault::NO_HTTP);
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            let before = if end == 0 { self.last } else { bytes[end - 1] };
            if before != b'\r' {
                return Err(Fault::BARE_LINE_FEED);
            }
            let is_empty = self.line + (end - start) == 1;
            if is_empty && self.has_lines {
                return Ok(Some(end + 1));
            }
            self.has_lines |= !is_empty;
            (self.line, start) = (0, end + 1);
        }
        self.line += bytes.len() - start;
        self.last = bytes.last().copied().unwrap_or(self.last);
        Ok(None)
    }
}

fn is_of_method(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Checks a whole head: returns the framing of its body, or the reason why the framework would refuse it.
pub(super) fn check(head: &[u8]) -> Result<Framing, Fault> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut fields) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Fault::LINE),
        Err(error) => return Err(of_parser(error)),
    }
    if !request.path.is_some_and(is_path) {
        return Err(bad("the path of the request is invalid"));
    }
    let is_1_1 = request.version == Some(1);
    let (mut length, mut is_chunked, mut has_host) = (None, false, false);
    for field in &*request.headers {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let digits = field.value.trim_ascii();
            let number = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let number = number.and_then(|text| text.parse::<u64>().ok());
            if length.is_some() {
                return Err(bad("the header has more than one Content-Length"));
            }
            length = Some(number.ok_or(bad("the Content-Length is not a number of bytes"))?);
        } else if is("transfer-encoding") {
            if is_chunked || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(bad("the only supported Transfer-Encoding is chunked, once"));
            }
            is_chunked = true;
        } else if is("host") {
            if has_host {
                return Err(bad("the header has more than one Host"));
            }
            has_host = true;
        }
    }
    match (length, is_chunked) {
        _ if is_1_1 && !has_host => Err(bad("the header has no Host, which HTTP/1.1 demands")),
        (Some(_), true) => Err(bad("the header has a Content-Length and a Transfer-Encoding: send one of them")),
        (None, true) if !is_1_1 => Err(bad("HTTP/1.0 has no Transfer-Encoding: send a Content-Length")),
        (None, false) if !is_1_1 && request.method == Some("POST") => {
            Err(bad("a POST by HTTP/1.0 needs a Content-Length"))
        }
        (None, true) => Ok(Framing::chunked()),
        (length, _) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// Returns whether the framework accepts a path.
fn is_path(path: &str) -> bool {
    // Most paths are plain, and parsing one allocates.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._".contains(&byte);
    (path.starts_with('/') && path.bytes().all(is_plain)) || path.parse::<Uri>().is_ok()
}

fn of_parser(error: Error) -> Fault {
    match error {
        Error::TooManyHeaders => Fault { status: 431, detail: "the header has more than 96 fields" },
        Error::HeaderName => bad("a name in the header is invalid, or a line of it begins with white space"),
        Error::HeaderValue => bad("a value in the header holds a control character"),
        Error::Version => bad("this server speaks HTTP/1.1 and HTTP/1.0"),
        Error::NewLine | Error::Status | Error::Token => Fault::LINE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the end of the head.
    fn read(head: &str, step: usize) -> Result<Option<usize>, Fault> {
        let (mut line_ends, mut before) = (LineEnds::default(), 0);
        for bytes in head.as_bytes().chunks(step) {
            if let Some(end) = line_ends.read(bytes)? {
                return Ok(Some(before + end));
            }
            before += bytes.len();
        }
        Ok(None)
    }

    #[test]
    fn only_cr_lf_ends_a_line_of_a_head_and_a_body_may_hold_what_it_likes() {
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for step in 1..40 {
            assert_eq!(read(&format!("{get}{{\n\n}}"), step), Ok(Some(get.len())), "{step}");
            assert_eq!(read(&format!("\r\n\r\n{get}x\n"), step), Ok(Some(get.len() + 4)), "{step}");
            assert_eq!(read("GET / HTTP/1.1\r\nhost: a\r\n", step), Ok(None), "{step}");
            for bad in [
                "GET / HTTP/1.1\nhost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: a\n\n",
                "GET / HTTP/1.1\r\nhost: a\r\n\n",
                "\r\n\r\nGET / HTTP/1.1\r\nhost: a\n\r\n",
                "\n",
            ] {
                assert_eq!(read(bad, step), Err(Fault::BARE_LINE_FEED), "{bad:?} {step}");
            }
            assert_eq!(read("\x16\x03\x01\x02", step), Err(Fault::NO_HTTP), "TLS");
        }
    }

    #[test]
    fn what_the_framework_would_refuse_is_refused_with_its_cause() {
        let with = |fields: &str| check(format!("POST /x HTTP/1.1\r\nhost: a\r\n{fields}\r\n").as_bytes());
        for (fields, cause) in [
            ("content-length: 1\r\nContent-Length: 1\r\n", "more than one Content-Length"),
            ("content-length: +1\r\n", "not a number of bytes"),
            ("content-length: \r\n", "not a number of bytes"),
            ("content-length: 99999999999999999999\r\n", "not a number of bytes"),
            ("transfer-encoding: gzip, chunked\r\n", "only supported Transfer-Encoding is chunked"),
            ("transfer-encoding: identity\r\n", "only supported Transfer-Encoding is chunked"),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
                "only supported Transfer-Encoding is chunked",
            ),
            ("transfer-encoding: chunked\r\ncontent-length: 1\r\n", "one of them"),
            ("host: b\r\n", "more than one Host"),
            ("x: a\r\n b\r\n", "begins with white space"),
            ("x : a\r\n", "a name in the header"),
            ("x: \x01\r\n", "control character"),
        ] {
            let fault = with(fields).unwrap_err();
            assert!(fault.status == 400 && fault.detail.contains(cause), "{fields:?}: {fault:?}");
        }
        assert_eq!(with(&"x: y\r\n".repeat(96)).unwrap_err().status, 431);
        for (head, cause) in [
            ("GET / HTTP/1.1\r\n\r\n", "no Host"),
            ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", "HTTP/1.1"),
            ("GET / \r\nhost: a\r\n\r\n", "HTTP/1.1"),
            ("GET\r\n\r\n", "first line"),
            ("POST / HTTP/1.0\r\n\r\n", "needs a Content-Length"),
            ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", "HTTP/1.0"),
        ] {
            let fault = check(head.as_bytes()).unwrap_err();
            assert!(fault.detail.contains(cause), "{head:?}: {fault:?}");
        }
        assert_eq!(with("content-length: 7\r\n"), Ok(Framing::Length(7)));
        assert_eq!(with("Transfer-Encoding: Chunked\r\n"), Ok(Framing::chunked()));
        assert_eq!(with(""), Ok(Framing::Length(0)));
        assert_eq!(check(b"\r\nGET / HTTP/1.0\r\n\r\n"), Ok(Framing::Length(0)));
    }
}
