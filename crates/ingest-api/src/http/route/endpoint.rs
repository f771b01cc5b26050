//! One method of a path: its access, its limits, and its handler.

use actix_web::{Route, middleware::from_fn};

use super::known_query::{self, Known};
use crate::http::{Costly, auth::Scope};

/// The callers that an endpoint admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone: it shows nothing of the fleet and changes nothing.
    Everyone,
    /// A key with this scope, or a wider one (`RequireScope`).
    Key(Scope),
    /// A page for readers: by a session, a key, or a shared link.
    Page,
    /// A page for operators.
    OperatorPage,
    /// A form of an operator page, which needs a session.
    OperatorForm,
}

/// One method of a path.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The HTTP method, such as `GET`.
    pub method: &'static str,
    /// Access of the endpoint.
    pub access: Access,
    costly: Option<Costly>,
    /// Allowed query parameters; `None` allows any.
    known: Option<Known>,
    route: fn() -> Route,
}

impl Endpoint {
    pub(crate) const fn get(access: Access, route: fn() -> Route) -> Self {
        Self { method: "GET", access, costly: None, known: None, route }
    }

    pub(crate) const fn post(access: Access, route: fn() -> Route) -> Self {
        Self { method: "POST", access, costly: None, known: None, route }
    }

    pub(crate) const fn delete(access: Access, route: fn() -> Route) -> Self {
        Self { method: "DELETE", access, costly: None, known: None, route }
    }

    pub(crate) const fn costly(self, costly: Costly) -> Self {
        Self { costly: Some(costly), ..self }
    }

    /// Refuses unknown query parameters.
    pub(crate) const fn with_known_query(self, known: Known) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Returns the route for the framework.
    pub(super) fn route(&self) -> Route {
        let route = (self.route)();
        let route = match self.costly {
            Some(costly) => route.wrap(from_fn(move |request, next| costly.layer(request, next))),
            None => route,
        };
        match self.known {
            Some(known) => route.wrap(from_fn(move |request, next| known_query::check(known, request, next))),
            None => route,
        }
    }
}
