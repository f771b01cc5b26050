//! HTTP requests read from a connection, for the fake receiver and the portal.

use tokio::{io::AsyncReadExt, net::TcpStream};

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// A whole request.
#[derive(Debug)]
pub(crate) struct Request {
    /// The head and the body.
    pub(crate) bytes: Vec<u8>,
    /// The offset of the body.
    body_at: usize,
}

impl Request {
    /// Reads a request with a body of its content length. Returns `None` if the connection ends before.
    pub(crate) async fn read(connection: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            (connection.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
            let Some(head) = bytes.windows(END.len()).position(|window| window == END) else { continue };
            let request = Self { bytes, body_at: head + END.len() };
            if request.body().len() >= request.content_length() {
                return Some(request);
            }
            bytes = request.bytes;
        }
    }

    /// Returns the lines of the head; the first has the method and the path.
    pub(crate) fn head(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.body_at - END.len()]).into_owned()
    }

    /// Returns the body.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }

    fn content_length(&self) -> usize {
        let head = self.head().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        length.unwrap_or(0)
    }
}
