//! Unknown parameters of a query are refused by name: a filter that is misspelt and passed over would
//! answer with the whole fleet.
//!
//! What a route knows is what it says of itself in the `OpenAPI` document, so no route can be forgotten.

use std::{collections::HashMap, sync::LazyLock};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
};
use utoipa::{
    OpenApi,
    openapi::{
        RefOr,
        path::{Operation, ParameterIn},
    },
};

use super::{Reads, operator};
use crate::error::{ApiError, refused};

/// How alike two names are that may be meant for each other, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The parameters of each `GET` route by its path.
static KNOWN: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
    let paths = Reads::openapi().paths.paths.into_iter();
    paths.filter_map(|(path, item)| Some((path, names(&item.get?)))).collect()
});

fn names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    let of_query = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    of_query.collect()
}

/// Lets through a `GET` whose parameters the route knows.
pub(in crate::routes) async fn check<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    if request.method() == Method::GET && !request.query_string().is_empty() {
        let known = request.match_pattern().and_then(|path| KNOWN.get(&path));
        let known = known.map(Vec::as_slice).unwrap_or_default();
        if let Some(unknown) = unknown(request.query_string(), known) {
            return Ok(refused(request, unknown));
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}

/// The refusal of the first parameter that is not known, or that comes twice.
fn unknown(query: &str, known: &[String]) -> Option<ApiError> {
    let mut seen = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = decode(pair.split('=').next().unwrap_or_default());
        if !known.contains(&name) {
            return Some(operator::fault(&format!("/{name}"), refusal(&name, known)));
        }
        // `label` may be repeated: all must match.
        if name != "label" && seen.contains(&name) {
            return Some(operator::fault(&format!("/{name}"), format!("{name} is given twice: give it once")));
        }
        seen.push(name);
    }
    None
}

fn refusal(name: &str, known: &[String]) -> String {
    let alike = known.iter().map(|known| (strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()), known));
    let meant = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b));
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    match meant {
        Some((_, meant)) => format!("there is no parameter {shown}: did you mean {meant}?"),
        None if known.is_empty() => format!("there is no parameter {shown}: this route takes none"),
        None => format!("there is no parameter {shown}: this route takes {}", known.join(", ")),
    }
}

fn decode(name: &str) -> String {
    let pairs = serde_urlencoded::from_str::<Vec<(String, String)>>(name).unwrap_or_default();
    pairs.into_iter().next().map(|(name, _)| name).unwrap_or_default()
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
            ("stauts=failing", "did you mean status?"),
            ("Status=failing", "did you mean status?"),
            ("status=failing&min_failures=3", "did you mean minFailures?"),
            ("utm_source=x", "this route takes status, minFailures, cursor, label"),
            ("status=ok&status=failing", "status is given twice"),
            ("st%61tus=ok&x%00=1", "there is no parameter x\\0"),
            ("=1", "there is no parameter"),
        ] {
            let refused = refused(query).unwrap();
            assert!(refused.contains(meant), "{query}: {refused}");
        }
        for query in ["", "status=failing", "st%61tus=ok", "status=ok&&cursor=", "label=a:b&label=c:d"] {
            assert_eq!(refused(query), None, "{query}");
        }
    }

    #[test]
    fn every_read_says_what_it_takes() {
        assert!(KNOWN["/api/v1/devices"].contains(&"minFailures".to_owned()));
        assert!(KNOWN["/api/v1/devices/{id}/sync-events"].contains(&"cursor".to_owned()));
        assert!(KNOWN["/api/v1/silences"].is_empty());
    }
}
