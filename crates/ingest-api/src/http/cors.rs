//! Pages of other origins that may read: an exact list, `GET` alone, no credentials of the browser.

use std::{
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
    web::Data,
};
use futures_util::future::{Either, LocalBoxFuture};

/// An origin as a browser writes it: `https://fleet.example:8443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The origins whose pages may read.
#[derive(Debug, Clone, Default)]
pub struct Origins(pub Vec<Origin>);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]_".contains(&b);
        if host.is_empty() || !host.bytes().all(fits) {
            return Err("an origin is scheme://host[:port] in lower case, with nothing behind it and no '*'");
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| "not an origin")
    }
}

impl Origins {
    /// The origin of the request, if it is one of these.
    fn of(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.0.iter().any(|allowed| allowed.0 == origin).then(|| origin.clone())
    }
}

/// The middleware of a route that pages of the [`Origins`] may read.
#[derive(Debug, Clone, Copy)]
pub struct Cors;

/// The service behind [`Cors`].
#[derive(Debug)]
pub struct Crossing<S>(S);

type Answer<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

impl<S, B> Transform<S, ServiceRequest> for Cors
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = Crossing<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Crossing(service)))
    }
}

impl<S, B> Service<ServiceRequest> for Crossing<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Either<Ready<Answer<B>>, LocalBoxFuture<'static, Answer<B>>>;

    fn poll_ready(&self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Error>> {
        self.0.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let origins = request.app_data::<Data<Origins>>().filter(|origins| !origins.0.is_empty());
        let (listed, origin) = (origins.is_some(), origins.and_then(|origins| origins.of(request.headers())));
        if let Some(origin) = origin.clone().filter(|_| is_preflight(&request)) {
            return Either::Left(ready(Ok(request.into_response(preflight(origin)).map_into_right_body())));
        }
        let answer = self.0.call(request);
        Either::Right(Box::pin(async move {
            let mut answer = answer.await?.map_into_left_body();
            if listed {
                // Also without an origin: a cache must not hand this answer to a page.
                answer.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
            }
            if let Some(origin) = origin {
                answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            }
            Ok(answer)
        }))
    }
}

/// A browser asks whether a page may send a `GET`.
fn is_preflight(request: &ServiceRequest) -> bool {
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    request.method() == Method::OPTIONS && asked.is_some_and(|method| method == "GET")
}

fn preflight(origin: HeaderValue) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::VARY, "Origin"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_exact() {
        for good in ["https://fleet.example", "http://localhost:3000", "http://[::1]:80"] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in ["*", "null", "", "https://", "https://*.example", "https://a/", "https://A.example", "ftp://a"] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
