//! One method of a path: who may use it, what bounds it, and what answers.

use actix_web::{Route, middleware::from_fn};

use super::known_query::{self, Known};
use crate::http::{Costly, auth::Scope};

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone: it shows nothing of the fleet and does nothing.
    Everyone,
    /// A key with this scope, or what reaches as far (`RequireScope`).
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
    /// The parameters that a query may have; any if nothing is said.
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

    /// A read that refuses parameters of the query that it does not know.
    pub(crate) const fn with_known_query(self, known: Known) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Returns what the framework needs of it.
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
