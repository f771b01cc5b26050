//! Security headers of every answer.

use actix_web::{
    http::header::{self, HeaderName},
    middleware::DefaultHeaders,
};

/// Headers of every answer.
pub(crate) const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With no-referrer a browser sends `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Returns the layer that sets them unless the route did; HSTS only if the process speaks TLS.
pub fn security_headers(tls: bool) -> DefaultHeaders {
    let headers = SECURITY_HEADERS.into_iter().fold(DefaultHeaders::new(), DefaultHeaders::add);
    if tls { headers.add((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")) } else { headers }
}
