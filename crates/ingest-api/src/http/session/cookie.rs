//! Cookies that no script reads, limited to this server's own path.

use actix_web::{HttpRequest, http::header};
use jiff::SignedDuration;

use crate::http::{Site, root};

/// Returns the value of a request's cookie.
pub(crate) fn of<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let name = full_name(request, name);
    let headers = request.headers().get_all(header::COOKIE);
    let mut cookies = headers.filter_map(|header| header.to_str().ok()).flat_map(|header| header.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(&*name)?.strip_prefix('='))
}

/// Returns the `Set-Cookie` header; `same_site` names the pages of other sites that send the cookie.
pub(crate) fn set(request: &HttpRequest, name: &str, value: &str, lasts: SignedDuration, same_site: &str) -> String {
    let name = full_name(request, name);
    let secure = if is_https(request) { "; Secure" } else { "" };
    let (path, lasts) = (root(), lasts.as_secs());
    format!("{name}={value}; Max-Age={lasts}; Path={path}/; HttpOnly; SameSite={same_site}{secure}")
}

/// Returns the name with the prefix by which a browser accepts it from this server only, and over TLS only.
/// `__Host-` requires the path `/`.
fn full_name(request: &HttpRequest, name: &str) -> String {
    let prefix = match (is_https(request), root().is_empty()) {
        (true, true) => "__Host-",
        (true, false) => "__Secure-",
        (false, _) => "",
    };
    format!("{prefix}{name}")
}

fn is_https(request: &HttpRequest) -> bool {
    Site::of(request).is_some_and(|site| site.is_https(request))
}
