//! Normalises paths of a careless base URL.

use std::borrow::Cow;

use actix_web::{
    dev::ServiceRequest,
    http::{Method, Uri, uri::PathAndQuery},
};
use percent_encoding::percent_decode_str;

use crate::http::error::ApiError;

/// The path for one report.
pub(crate) const SYNC_EVENT: &str = "/api/sync-event";

/// The path for a batch of reports.
pub(crate) const SYNC_EVENTS: &str = "/api/v1/sync-events";

/// The paths for reports.
const REPORTS: [&str; 2] = [SYNC_EVENT, SYNC_EVENTS];

/// Returns whether devices report to a path.
pub(crate) fn is_ingest(path: &str) -> bool {
    REPORTS.contains(&path)
}

/// Normalises `//api/sync-event/`, and names the cause if a report came to another path.
pub(crate) fn tidy(request: &mut ServiceRequest) -> Result<(), ApiError> {
    if request.method() != Method::POST || is_ingest(request.path()) {
        return Ok(());
    }
    match intended(request.path()) {
        Intended::Reports(path) => rewrite(request, path),
        Intended::Below(path) => {
            let (came, path) = (shown(request.path()), path.trim_start_matches('/'));
            let cause = format!(
                "{came} is no path of this server: is the base URL of the client too long? \
                                 Reports go to /{path} alone"
            );
            return Err(ApiError::NoRoute { hint: Some(cause) });
        }
        Intended::Nothing => {
            let cause = "reports go to POST /api/sync-event, or /api/v1/sync-events for many";
            return Err(ApiError::NoRoute { hint: Some(cause.into()) });
        }
        Intended::Other => {}
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Intended {
    /// This path, in another spelling.
    Reports(&'static str),
    /// This path, with a prefix.
    Below(&'static str),
    /// Not an ingest path.
    Nothing,
    Other,
}

fn intended(path: &str) -> Intended {
    let decoded = decode(path);
    let tidied: String =
        decoded.split('/').filter(|part| !part.is_empty() && *part != ".").flat_map(|part| ["/", part]).collect();
    if tidied.is_empty() {
        return Intended::Nothing;
    }
    if let Some(path) = REPORTS.into_iter().find(|path| tidied == *path) {
        return Intended::Reports(path);
    }
    REPORTS.into_iter().find(|path| tidied.ends_with(path)).map_or(Intended::Other, Intended::Below)
}

/// Decodes characters that were escaped needlessly. Text that is not UTF-8 stays unchanged.
pub(crate) fn decode(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8().unwrap_or(Cow::Borrowed(path))
}

fn rewrite(request: &mut ServiceRequest, path: &'static str) {
    let mut parts = request.uri().clone().into_parts();
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    parts.path_and_query = PathAndQuery::try_from(format!("{path}{query}")).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_however_it_is_written() {
        for path in
            ["//api/sync-event", "/api/sync-event/", "/api//sync-event//", "/api/sync%2Devent", "/./api/sync-event"]
        {
            assert_eq!(intended(path), Intended::Reports(REPORTS[0]), "{path}");
        }
        assert_eq!(intended("/api/v1/sync-events/"), Intended::Reports(REPORTS[1]));
        for path in ["/api/api/sync-event", "/pisync/api/sync-event", "/api/sync-event/api/sync-event"] {
            assert_eq!(intended(path), Intended::Below(REPORTS[0]), "{path}");
        }
        assert_eq!(intended("//"), Intended::Nothing);
        for path in ["/api/sync-events", "/api/%ff", "/api/%", "/sign-in", "/api/v1/alerts/1/ack"] {
            assert_eq!(intended(path), Intended::Other, "{path}");
        }
    }
}
