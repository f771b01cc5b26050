//! Lists of any length as CSV (RFC 4180), streamed in constant memory.

use std::fmt::{Display, Write};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, Accept, Header, Quality},
    web::Bytes,
};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::spreadsheet;
use crate::http::{error::ApiError, reads};

/// Size of a chunk that is sent, in bytes.
const CHUNK: usize = 16 * 1024;

/// Separators of a text without quotes. Some spreadsheets also split cells at `;` and tabs.
const SEPARATORS: [char; 6] = ['"', ',', ';', '\t', '\r', '\n'];

/// Maximum number of chunks that wait for a slow client.
const WAITING: usize = 4;

/// One line.
#[derive(Debug, Default)]
pub(super) struct Line(pub(super) String);

/// The list could not be read to its end; the client sees a truncated answer.
#[derive(Debug, thiserror::Error)]
#[error("the list could not be read to its end")]
struct Broken;

impl Line {
    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
    }

    /// Adds a number, a time or a constant.
    pub(super) fn plain(mut self, value: impl Display) -> Self {
        self.separate();
        let _ = write!(self.0, "{value}");
        self
    }

    /// Adds a value as [`plain`](Self::plain), or an empty cell.
    pub(super) fn maybe(self, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.plain(value),
            None => self.plain(""),
        }
    }

    /// Adds a text of someone else, safe in a spreadsheet. A text that it would take for a formula, a number or
    /// a date gets an apostrophe in front; so does one that starts with an apostrophe. A program that removes
    /// one apostrophe has the original text. Source: "CSV Injection", OWASP.
    pub(super) fn text(mut self, value: &str) -> Self {
        self.separate();
        let is_defused = value.starts_with('\'') || spreadsheet::is_reinterpreted(value);
        let defused = if is_defused { "'" } else { "" };
        if value.contains(SEPARATORS) {
            let _ = write!(self.0, "\"{defused}{}\"", value.replace('"', "\"\""));
        } else {
            let _ = write!(self.0, "{defused}{value}");
        }
        self
    }
}

/// Options of a CSV.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CsvQuery {
    /// `false` omits the byte order mark at the start of a CSV, by which spreadsheets detect UTF-8.
    #[param(pattern = "^(true|false)$")]
    bom: Option<String>,
}

impl CsvQuery {
    /// Returns the byte order mark, unless the query omits it.
    pub(super) fn beginning(&self) -> Result<&'static str, ApiError> {
        match self.bom.as_deref() {
            None | Some("true") => Ok("\u{feff}"),
            Some("false") => Ok(""),
            Some(_) => Err(ApiError::invalid("/bom", "must be true or false")),
        }
    }
}

/// Returns whether the request prefers CSV over JSON by its `Accept`.
pub(super) fn is_asked_for(request: &HttpRequest) -> bool {
    let Ok(mut accept) = Accept::parse(request) else { return false };
    accept.0.retain(|range| range.quality > Quality::ZERO);
    let ranked = accept.ranked();
    let known = ranked.iter().map(actix_web::mime::Mime::essence_str);
    let mut known =
        known.filter(|range| ["text/csv", "text/*", "application/json", "application/*", "*/*"].contains(range));
    known.next().is_some_and(|range| range.starts_with("text/"))
}

/// Returns an answer with a header line and these lines; it stops when the client disconnects.
///
/// A separate task reads the list: a driver's future must not be dropped half way.
pub(super) fn answer<E: Display + Send + 'static>(
    file_name: &'static str,
    beginning: &'static str,
    head: &str,
    lines: impl Stream<Item = Result<Line, E>> + Send + Unpin + 'static,
) -> HttpResponse {
    let (sender, receiver) = mpsc::channel(WAITING);
    reads::spawn(send(format!("{beginning}{head}\r\n"), lines, sender));
    let body = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file_name}\"")))
        .insert_header((header::VARY, "Accept"))
        .streaming(Box::pin(body))
}

async fn send<E: Display>(
    mut chunk: String,
    mut lines: impl Stream<Item = Result<Line, E>> + Unpin,
    sender: mpsc::Sender<Result<Bytes, Broken>>,
) {
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => chunk.extend([line.0.as_str(), "\r\n"]),
            Err(error) => {
                log::warn!(error:% = error; "a list was truncated");
                let _ = sender.send(Err(Broken)).await;
                return;
            }
        }
        if chunk.len() >= CHUNK && sender.send(Ok(std::mem::take(&mut chunk).into())).await.is_err() {
            log::debug!("a client disconnected before the end of its list");
            return;
        }
    }
    let _ = sender.send(Ok(chunk.into())).await;
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn texts_are_quoted_and_no_formulas() {
        let line =
            Line::default().text("a").text("a,b").text("say \"a\"").text("two\nlines").plain(-1).maybe(None::<i32>);
        assert_eq!(line.0, "a,\"a,b\",\"say \"\"a\"\"\",\"two\nlines\",-1,");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)"] {
            assert_eq!(Line::default().text(formula).0, format!("'{formula}"));
        }
        assert_eq!(Line::default().text("\t=1").0, "\"'\t=1\"");
        assert_eq!(Line::default().text("x;=1+1").text("x\t=1+1").0, "\"x;=1+1\",\"x\t=1+1\"", "no cell begins within");
        assert_eq!(Line::default().text("=HYPERLINK(\"x\",1)").0, "\"'=HYPERLINK(\"\"x\"\",1)\"");
    }

    #[test]
    fn a_text_that_gets_an_apostrophe_is_found_again_without_it() {
        for text in ["00123", "MAR1", "=1+1", "'quoted'", "''", "'", "pibook-7", "", "1,5"] {
            let line = Line::default().text(text).0;
            let field = line.trim_matches('"');
            assert_eq!(field.strip_prefix('\'').unwrap_or(field), text);
        }
        assert_eq!(Line::default().plain(-1.5).plain(12).0, "-1.5,12", "numbers stay numbers");
    }

    #[test]
    fn csv_is_for_those_who_prefer_it() {
        for (accept, csv) in [
            ("text/csv", true),
            ("text/csv, application/json;q=0.5", true),
            ("application/json, text/csv;q=0.9", false),
            ("text/csv;q=0", false),
            ("*/*", false),
            ("text/html, */*;q=0.1", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header(("accept", accept)).to_http_request();
            assert_eq!(is_asked_for(&request), csv, "{accept}");
        }
        assert!(!is_asked_for(&TestRequest::default().to_http_request()));
    }
}
