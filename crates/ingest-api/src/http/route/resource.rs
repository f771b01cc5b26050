//! A row of the route table: a path, who may do what there, and what answers.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse, Route,
    body::{BodySize, BoxBody, MessageBody},
    dev::{HttpServiceFactory, ResponseHead},
    guard,
    http::{Method, header},
    middleware::{Condition, from_fn},
    web::{self, Bytes, resource},
};

use super::known_query;
use crate::http::{
    Costly,
    auth::{Demand, Scope},
    cors::Cors,
    error::ApiError,
};

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone: it shows nothing of the fleet and does nothing.
    Everyone,
    /// A key with this scope, or what reaches as far ([`Demand`]).
    Key(Scope),
    /// A page for those who may read: by a session, a key, or a link that was shared.
    Page,
    /// A page for operators.
    OperatorPage,
    /// A form of a page for operators, which needs a session.
    OperatorForm,
}

/// One method of a path.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Such as `GET`.
    pub method: &'static str,
    /// Who may use it.
    pub access: Access,
    costly: Option<Costly>,
    /// Whether a query may have what the documentation names alone.
    knows_query: bool,
    route: fn() -> Route,
}

/// A path with all its methods.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    /// The pattern of the path.
    pub path: &'static str,
    /// What can be done there.
    pub endpoints: &'static [Endpoint],
    /// Whether pages of other origins may read it, if the settings name them.
    cors: bool,
}

impl Endpoint {
    pub(crate) const fn get(access: Access, route: fn() -> Route) -> Self {
        Self { method: "GET", access, costly: None, knows_query: false, route }
    }

    pub(crate) const fn post(access: Access, route: fn() -> Route) -> Self {
        Self { method: "POST", access, costly: None, knows_query: false, route }
    }

    pub(crate) const fn delete(access: Access, route: fn() -> Route) -> Self {
        Self { method: "DELETE", access, costly: None, knows_query: false, route }
    }

    pub(crate) const fn costly(self, costly: Costly) -> Self {
        Self { costly: Some(costly), ..self }
    }

    /// A read that refuses parameters of the query that it does not know.
    pub(crate) const fn with_known_query(self) -> Self {
        Self { knows_query: true, ..self }
    }

    fn route(&self) -> Route {
        let route = (self.route)();
        let route = match self.costly {
            Some(costly) => route.wrap(from_fn(move |request, next| costly.layer(request, next))),
            None => route,
        };
        if self.knows_query { route.wrap(from_fn(known_query::check)) } else { route }
    }
}

/// A route for `GET`, and for `HEAD`, which is answered in the same way but for the body ([`leave_out`]). In
/// place of the framework's, which leaves `HEAD` to others.
pub(crate) fn get() -> Route {
    Route::new().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// The body of an answer to `HEAD`, so that no list is read to its end for nobody. The length of what is
/// left out is said where it is known.
///
/// By hand: where the next request has come already, the framework has forgotten that this one was a
/// `HEAD`, and would send the body.
pub(crate) fn leave_out(head: &mut ResponseHead, body: BoxBody) -> BoxBody {
    if let BodySize::Sized(length) = body.size() {
        head.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    if body.size() == BodySize::None {
        return body;
    }
    head.no_chunking(true);
    BoxBody::new(LeftOut)
}

/// A body of which nothing is sent.
struct LeftOut;

impl MessageBody for LeftOut {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

impl Resource {
    pub(crate) const fn new(path: &'static str, endpoints: &'static [Endpoint]) -> Self {
        Self { path, endpoints, cors: false }
    }

    /// A path that pages of other origins may read.
    pub(crate) const fn with_cors(self) -> Self {
        Self { cors: true, ..self }
    }

    /// The methods that are answered: `HEAD` wherever `GET` is.
    pub(crate) fn allow(&self) -> String {
        let methods = self.endpoints.iter().map(|endpoint| endpoint.method);
        methods.map(|method| if method == "GET" { "GET, HEAD" } else { method }).collect::<Vec<_>>().join(", ")
    }

    /// Whether a method is answered.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.endpoints.iter().any(|endpoint| endpoint.method == method)
    }

    /// What the framework needs of it.
    pub(crate) fn service(&'static self) -> impl HttpServiceFactory + 'static {
        let allow = self.allow();
        let other = web::to(move || {
            let allow = allow.clone();
            async move { Err::<HttpResponse, _>(ApiError::Method { allow }) }
        });
        let resource = self.endpoints.iter().fold(resource(self.path), |resource, one| resource.route(one.route()));
        resource.default_service(other).wrap(Demand(self.endpoints)).wrap(Condition::new(self.cors, Cors))
    }
}
