//! A path of the route table with all its methods.

use actix_web::{
    HttpResponse,
    dev::HttpServiceFactory,
    http::Method,
    middleware::{Condition, from_fn},
    web::{self, resource},
};

use super::{
    endpoint::{Access, Endpoint},
    require_scope::RequireScope,
};
use crate::http::{
    cors::{Origins, refusals_as_problems},
    error::ApiError,
};

/// A path with all its methods.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    /// The pattern of the path.
    pub path: &'static str,
    /// The methods with their handlers.
    pub endpoints: &'static [Endpoint],
    /// The word in the navigation of the pages; `None` if it is not in it.
    pub word: Option<&'static str>,
    /// Whether pages of the configured origins may read it.
    cors: bool,
}

impl Resource {
    pub(crate) const fn new(path: &'static str, endpoints: &'static [Endpoint]) -> Self {
        Self { path, endpoints, word: None, cors: false }
    }

    /// Allows pages of the configured origins to read the path.
    pub(crate) const fn with_cors(self) -> Self {
        Self { cors: true, ..self }
    }

    /// Adds the page to the navigation by this word, for the viewers who may see it.
    pub(crate) const fn in_navigation(self, word: &'static str) -> Self {
        Self { word: Some(word), ..self }
    }

    /// Returns whether the page is for operators only.
    pub(crate) fn is_for_operators(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.access == Access::OperatorPage)
    }

    /// Returns the allowed methods: `HEAD` wherever `GET` is.
    pub(crate) fn allow(&self) -> String {
        let methods = self.endpoints.iter().map(|endpoint| endpoint.method);
        methods.map(|method| if method == "GET" { "GET, HEAD" } else { method }).collect::<Vec<_>>().join(", ")
    }

    /// Returns whether a method is allowed.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.endpoints.iter().any(|endpoint| endpoint.method == method)
    }

    /// Returns the service for the framework.
    pub(crate) fn service(&'static self, origins: &Origins) -> impl HttpServiceFactory + 'static {
        let is_shared = self.cors && !origins.0.is_empty();
        let (allow, allowed) = (self.allow(), self.allow());
        let other = web::to(move || {
            let allow = allow.clone();
            async move { Err::<HttpResponse, _>(ApiError::Method { allow }) }
        });
        let resource = self.endpoints.iter().fold(resource(self.path), |resource, one| resource.route(one.route()));
        let problems = from_fn(move |request, next| refusals_as_problems(request, next, allowed.clone()));
        let resource = resource.default_service(other).wrap(RequireScope(self.endpoints));
        resource.wrap(Condition::new(is_shared, origins.layer())).wrap(Condition::new(is_shared, problems))
    }
}
