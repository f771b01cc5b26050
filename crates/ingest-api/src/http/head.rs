//! The line ends of a head. The framework takes a bare line feed for one, other servers do not:
//! what one takes for a header and the other for a part of a value is how requests are smuggled.

use memchr::memchr_iter;

/// A line that does not end with CR LF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BareLineFeed;

/// What has been read of a head.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineEnds {
    last: u8,
    /// Bytes of the line so far, its CR included.
    line: usize,
    has_lines: bool,
    is_over: bool,
}

impl LineEnds {
    /// Reads on; what stands behind the empty line that ends a head is not looked at.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), BareLineFeed> {
        if self.is_over {
            return Ok(());
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            let before = if end == 0 { self.last } else { bytes[end - 1] };
            if before != b'\r' {
                return Err(BareLineFeed);
            }
            let is_empty = self.line + (end - start) == 1;
            if is_empty && self.has_lines {
                self.is_over = true;
                return Ok(());
            }
            self.has_lines |= !is_empty;
            (self.line, start) = (0, end + 1);
        }
        self.line += bytes.len() - start;
        self.last = bytes.last().copied().unwrap_or(self.last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str, step: usize) -> Result<(), BareLineFeed> {
        let mut line_ends = LineEnds::default();
        head.as_bytes().chunks(step).try_for_each(|bytes| line_ends.read(bytes))
    }

    #[test]
    fn only_cr_lf_ends_a_line_of_a_head_and_a_body_may_hold_what_it_likes() {
        for step in 1..40 {
            assert_eq!(read("GET / HTTP/1.1\r\nhost: a\r\n\r\n{\n\n}", step), Ok(()), "{step}");
            assert_eq!(read("\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\nx\n", step), Ok(()), "{step}");
            for bad in [
                "GET / HTTP/1.1\nhost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: a\n\n",
                "GET / HTTP/1.1\r\nhost: a\r\n\n",
                "\r\n\r\nGET / HTTP/1.1\r\nhost: a\n\r\n",
                "\n",
            ] {
                assert_eq!(read(bad, step), Err(BareLineFeed), "{bad:?} {step}");
            }
        }
    }
}
