//! CORS: an exact list of origins that may read, by `GET` only, without credentials.

use std::str::FromStr;

use actix_cors::{Cors, CorsError};
use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Uri, header},
    middleware::Next,
};

use super::error::ApiError;

/// An origin as a browser writes it: `https://fleet.example:8443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// The origins whose pages may read.
#[derive(Debug, Clone, Default)]
pub struct Origins(pub Vec<Origin>);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]_".contains(&b);
        if host.is_empty() || !host.bytes().all(fits) || text.parse::<Uri>().is_err() {
            return Err("an origin is scheme://host[:port] in lower case, without a path and without '*'");
        }
        Ok(Self(text.to_owned()))
    }
}

impl Origins {
    /// Returns the CORS layer of a route for these origins.
    pub(crate) fn layer(&self) -> Cors {
        let layer = Cors::default().allowed_methods(["GET"]).allowed_header(header::AUTHORIZATION).max_age(600);
        self.0.iter().fold(layer.block_on_origin_mismatch(false), |layer, origin| layer.allowed_origin(&origin.0))
    }
}

/// Turns a refused preflight into the problem of a method that is not allowed.
pub(crate) async fn refusals_as_problems<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
    allow: String,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let answer = next.call(request).await?;
    let is_refused = answer.response().error().is_some_and(|error| error.as_error::<CorsError>().is_some());
    if !is_refused {
        return Ok(answer.map_into_left_body());
    }
    let (request, _) = answer.into_parts();
    Ok(ServiceResponse::from_err(ApiError::Method { allow }, request).map_into_right_body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_exact() {
        for good in ["https://fleet.example", "http://localhost:3000", "http://[::1]:80"] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "https://",
            "https://*.example",
            "https://a/",
            "https://A.example",
            "ftp://a",
            "http://a:b:c",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
