//! Suggests the intended route for an unknown path: in another spelling, or misspelt.

use actix_web::http::Method;

use super::all;
use crate::http::route::{Resource, tidy};

/// Maximum number of wrong letters in a path that is recognised.
const MISSPELT: usize = 2;

/// Maximum length of a path that an answer quotes, in characters.
const SHOWN: usize = 100;

/// Returns "did you mean …?" with the methods and the path of a similar route, if there is one.
pub(super) fn of(method: &Method, path: &str) -> Option<String> {
    // `HEAD` is answered as `GET`.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let came = parts(path);
    let near = all().filter_map(|resource| Some((distance(resource, &came)?, resource)));
    // Of equally similar routes, the one with the method.
    let (_, meant) = near.min_by_key(|(distance, resource)| (*distance, !resource.takes(method)))?;
    let methods = if meant.takes(method) { method.to_string() } else { meant.allow().replace(", ", " or ") };
    Some(format!("did you mean {methods} {}?", filled(meant, &came)))
}

/// Returns the segments of a path without the additions of careless programs.
fn parts(path: &str) -> Vec<String> {
    let decoded = tidy::decode(path);
    let part = |part: &str| {
        // `;x=1` is a parameter of a segment, which no route here has; an escaped query becomes a part of the
        // path.
        let part = part.split([';', '?', '#']).next().unwrap_or_default();
        part.trim_matches(|c: char| c.is_whitespace() || c.is_control() || "\"'<>,".contains(c)).to_owned()
    };
    decoded.replace('\\', "/").split('/').map(part).filter(|part| !part.is_empty() && part != ".").collect()
}

/// Returns the distance between a path and a route, in segments and then in letters; `None` if they are not
/// similar.
fn distance(resource: &Resource, came: &[String]) -> Option<(usize, usize)> {
    let pattern: Vec<_> = resource.path.split('/').filter(|part| !part.is_empty()).collect();
    if pattern.is_empty() || came.is_empty() || pattern.iter().any(|part| part.contains(':')) {
        return None;
    }
    let letters = |pattern: &[&str], came: &[String]| -> Option<usize> {
        let pairs = pattern.iter().zip(came);
        let wrong: usize = pairs.map(|(pattern, came)| wrong_letters(pattern, came)).sum();
        (wrong <= MISSPELT).then_some(wrong)
    };
    let is_named = |parts: &[&str]| parts.last().is_some_and(|part| !part.starts_with('{') && part.contains('-'));
    match came.len().cmp(&pattern.len()) {
        std::cmp::Ordering::Equal => Some((0, letters(&pattern, came)?)),
        // The base URL is too long, or too short.
        std::cmp::Ordering::Greater => Some((1, letters(&pattern, &came[came.len() - pattern.len()..])?)),
        std::cmp::Ordering::Less => {
            let end = &pattern[pattern.len() - came.len()..];
            (pattern[0] == "api" && is_named(end)).then(|| Some((2, letters(end, came)?))).flatten()
        }
    }
}

/// Returns the number of wrong letters in a segment, ignoring case and hyphens. An id is never wrong.
fn wrong_letters(pattern: &str, came: &str) -> usize {
    if pattern.starts_with('{') {
        return 0;
    }
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let (pattern, came) = (plain(pattern), plain(came));
    let is_version = |text: &str| text.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    if is_version(&pattern) && is_version(&came) {
        return usize::from(pattern != came);
    }
    let wrong = strsim::damerau_levenshtein(&pattern, &came);
    // In a short word nearly all would be wrong.
    if wrong > pattern.len() / 4 { MISSPELT + 1 } else { wrong }
}

/// Returns the path of a route with the received ids.
fn filled(resource: &Resource, came: &[String]) -> String {
    let pattern: Vec<_> = resource.path.split('/').filter(|part| !part.is_empty()).collect();
    let skipped = came.len().saturating_sub(pattern.len());
    let part = |(place, part): (usize, &&str)| match came.get(place + skipped) {
        Some(id) if part.starts_with('{') && came.len() >= pattern.len() => format!("/{}", encoded(id)),
        _ => format!("/{part}"),
    };
    pattern.iter().enumerate().map(part).collect::<String>().chars().take(SHOWN).collect()
}

fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_written_in_another_way_or_misspelt_is_known() {
        for (method, path, meant) in [
            ("POST", "/API/Sync-Event", "POST /api/sync-event"),
            ("POST", "/api/sync_event", "POST /api/sync-event"),
            ("POST", "/api/syncevent", "POST /api/sync-event"),
            ("POST", "/api/sync-events", "POST /api/sync-event"),
            ("POST", "/api/v1/sync-event", "POST /api/v1/sync-events"),
            ("POST", "/api/v1/sync_events", "POST /api/v1/sync-events"),
            ("POST", "/api/sync-event%20", "POST /api/sync-event"),
            ("POST", "/api/sync-event%0A", "POST /api/sync-event"),
            ("POST", "/api/sync-event;x=1", "POST /api/sync-event"),
            ("POST", "/api/sync-event%3Fx=1", "POST /api/sync-event"),
            ("POST", "/api/v2/sync-events", "POST /api/v1/sync-events"),
            ("POST", "/sync-event", "POST /api/sync-event"),
            ("POST", "/v1/sync-events", "POST /api/v1/sync-events"),
            ("GET", "//api//v1/devices/", "GET /api/v1/devices"),
            ("HEAD", "/api/v1/devices/", "GET /api/v1/devices"),
            ("GET", "/api/v1/Devices/pibook-1/sync_events", "GET /api/v1/devices/pibook-1/sync-events"),
            ("GET", "/api/v1/devices/a%20b/", "GET /api/v1/devices/a%20b"),
            ("GET", "/api/devices/repeated_failures", "GET /api/devices/repeated-failures"),
            ("GET", "/pisync/api/v1/fleet/summary", "GET /api/v1/fleet/summary"),
            ("GET", "/api/v1/sync-event", "POST /api/v1/sync-events"),
            ("PUT", "/api/v1/device", "GET or HEAD /api/v1/devices"),
            ("GET", "/Healthz", "GET /healthz"),
            ("GET", "/metrics/", "GET /metrics"),
        ] {
            let method = method.parse().unwrap();
            assert_eq!(of(&method, path), Some(format!("did you mean {meant}?")), "{path}");
        }
        for path in
            ["/", "//", "/favicon.ico", "/api", "/api/v2/x", "/wp-login.php", "/..%2f..%2fetc/passwd", "/%ff", "/a"]
        {
            assert_eq!(of(&Method::GET, path), None, "{path}");
        }
        let long = of(&Method::GET, &format!("/api/v1/devices/{}/", "x".repeat(10_000))).unwrap();
        assert!(long.len() < 150, "{long}");
    }
}
