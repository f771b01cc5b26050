//! The headers of every answer that tell a browser to be careful.

use actix_web::{http::header, middleware::DefaultHeaders};

/// Set where the route has not set them itself; HSTS only where the process speaks TLS.
pub fn careful(tls: bool) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // With no-referrer a browser sends `Origin: null` with our own forms.
        .add((header::REFERRER_POLICY, "same-origin"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        .add((header::CACHE_CONTROL, "no-store"));
    if tls { headers.add((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")) } else { headers }
}
