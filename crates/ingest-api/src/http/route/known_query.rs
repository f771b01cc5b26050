//! Refuses unknown query parameters by name: ignoring a misspelt filter would return the whole fleet.
//!
//! The allowed parameters of a route come with its row of the route table ([`Known`]).

use std::borrow::Cow;

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use percent_encoding::percent_decode_str;

use crate::http::error::{ApiError, refused};

/// Minimum similarity of a suggested name, from 0 to 1.
const ALIKE: f64 = 0.8;

/// Returns the parameters that the route of a pattern takes.
pub(crate) type Known = fn(&str) -> &'static [String];

/// Passes a read on if the route takes all its parameters.
pub(super) async fn check<B: MessageBody>(
    known: Known,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    if !request.query_string().is_empty() {
        let known = request.match_pattern().map(|pattern| known(&pattern)).unwrap_or_default();
        if let Some(unknown) = unknown(request.query_string(), known) {
            return Ok(refused(request, unknown));
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}

/// Returns the refusal of the first parameter that is unknown, repeated, or invalid UTF-8.
fn unknown(query: &str, known: &[String]) -> Option<ApiError> {
    let mut seen = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decode(name) else {
            let why =
                format!("the query cannot be read: a name must be percent-encoded UTF-8, and {} is not", shown(name));
            return Some(ApiError::malformed(why));
        };
        if !known.contains(&name) {
            return Some(ApiError::invalid(format!("/{}", shown(&name)), refusal(&name, known)));
        }
        // `label` may be repeated: all must match.
        if name != "label" && seen.contains(&name) {
            return Some(ApiError::invalid(format!("/{name}"), "is given twice: give it once"));
        }
        if decode(value).is_none() {
            let why = format!("must be percent-encoded UTF-8, and {} is not", shown(value));
            return Some(ApiError::invalid(format!("/{name}"), why));
        }
        seen.push(name);
    }
    None
}

fn refusal(name: &str, known: &[String]) -> String {
    let alike = known.iter().map(|known| (strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()), known));
    let meant = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b));
    match meant {
        Some((_, meant)) => format!("is not a parameter of this route: did you mean {meant}?"),
        None if known.is_empty() => "is not a parameter of this route: it takes none".to_owned(),
        None => format!("is not a parameter of this route: it takes {}", known.join(", ")),
    }
}

/// Returns a name or value in the form that an answer quotes.
fn shown(text: &str) -> String {
    let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if shown.is_empty() { "\"\"".to_owned() } else { shown }
}

/// Decodes a name or value; `None` if it is not UTF-8.
fn decode(escaped: &str) -> Option<String> {
    let spaces = escaped.replace('+', " ");
    percent_decode_str(&spaces).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> Option<String> {
        let known = ["status", "minFailures", "cursor", "label"].map(str::to_owned);
        unknown(query, &known).map(|error| error.to_string())
    }

    #[test]
    fn what_is_misspelt_is_named_with_what_was_meant() {
        for (query, meant) in [
            ("stauts=failing", "stauts is not a parameter of this route: did you mean status?"),
            ("Status=failing", "did you mean status?"),
            ("status=failing&min_failures=3", "did you mean minFailures?"),
            (
                "utm_source=x",
                "utm_source is not a parameter of this route: it takes status, minFailures, cursor, label",
            ),
            ("status=ok&status=failing", "status is given twice"),
            ("st%61tus=ok&x%00=1", "x\\0 is not a parameter"),
            ("=1", "\"\" is not a parameter"),
            ("status=%ff", "status must be percent-encoded UTF-8, and %ff is not"),
            ("cursor=caf%E9", "cursor must be percent-encoded UTF-8, and caf%E9 is not"),
            ("%ff=1", "a name must be percent-encoded UTF-8, and %ff is not"),
        ] {
            let refused = refused(query).unwrap();
            assert!(refused.contains(meant), "{query}: {refused}");
        }
        for query in ["", "status=failing", "st%61tus=ok", "status=ok&&cursor=", "label=a:b&label=c:d"] {
            assert_eq!(refused(query), None, "{query}");
        }
    }
}
