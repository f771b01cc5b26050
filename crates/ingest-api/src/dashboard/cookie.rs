//! Cookies that no script reads.

use actix_web::{HttpRequest, http::header};
use jiff::SignedDuration;

/// The value of a cookie of a request.
pub(super) fn of<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let headers = request.headers().get_all(header::COOKIE);
    let mut cookies = headers.filter_map(|header| header.to_str().ok()).flat_map(|header| header.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The header that sets it for so long; `same_site` says which pages of other sites send it.
pub(super) fn set(request: &HttpRequest, name: &str, value: &str, lasts: SignedDuration, same_site: &str) -> String {
    // Also where a gateway before us speaks TLS and says so.
    let secure = if request.connection_info().scheme() == "https" { "; Secure" } else { "" };
    format!("{name}={value}; Max-Age={}; Path=/; HttpOnly; SameSite={same_site}{secure}", lasts.as_secs())
}
