//! The middleware of a route that requires a scope.

use std::{
    future::{Ready, ready},
    rc::Rc,
};

use actix_web::{
    Error, HttpMessage,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::Method,
    web::Data,
};
use futures_util::future::{Either, LocalBoxFuture, MapOk, TryFutureExt};

use super::endpoint::{Access, Endpoint};
use crate::http::{
    auth::{Authenticator, Caller, Refusal, Scope},
    error::refused,
    session::{caller_by_session, may_be_by_session},
};

/// Admits callers with the scope that these endpoints demand, and passes the [`Caller`] to the handler. Without
/// an [`Authenticator`] in the application it admits nobody. Pages authenticate by themselves
/// (`dashboard::viewer`).
#[derive(Debug, Clone, Copy)]
pub(super) struct RequireScope(pub(super) &'static [Endpoint]);

/// The service behind a [`RequireScope`].
#[derive(Debug)]
pub(super) struct RequireScopeService<S> {
    endpoints: &'static [Endpoint],
    service: Rc<S>,
}

/// The answer of the route, or the refusal.
type Answer<B> = ServiceResponse<EitherBody<B>>;

impl<S, B> Transform<S, ServiceRequest> for RequireScope
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = Answer<B>;
    type Error = Error;
    type InitError = ();
    type Transform = RequireScopeService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(RequireScopeService { endpoints: self.0, service: Rc::new(service) }))
    }
}

impl<S, B> Service<ServiceRequest> for RequireScopeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = Answer<B>;
    type Error = Error;
    // Named and not boxed: every event passes it.
    type Future = Either<At<S::Future, B>, LocalBoxFuture<'static, Result<Answer<B>, Error>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Some(demanded) = demanded(self.endpoints, request.method()) else {
            return Either::Left(pass(&*self.service, request));
        };
        let authenticator = request.app_data::<Data<Authenticator>>().cloned();
        let Some(authenticator) = authenticator else { return Either::Left(refuse(request, Refusal::NoKey)) };
        if demanded == Scope::Read && may_be_by_session(request.request(), &authenticator) {
            let service = Rc::clone(&self.service);
            return Either::Right(Box::pin(async move {
                let by_session = caller_by_session(request.request(), &authenticator).await;
                let admitted = by_session.map_or_else(|| authenticator.admit(request.request(), demanded), Ok);
                admit(&*service, request, admitted).await
            }));
        }
        let admitted = authenticator.admit(request.request(), demanded);
        Either::Left(admit(&*self.service, request, admitted))
    }
}

/// The future of a route's answer, or a refusal that is ready.
type At<F, B> = Either<MapOk<F, fn(ServiceResponse<B>) -> Answer<B>>, Ready<Result<Answer<B>, Error>>>;

/// Returns the scope that a method demands: `HEAD` as `GET`, an unknown one as the first endpoint.
fn demanded(endpoints: &[Endpoint], method: &Method) -> Option<Scope> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let endpoint = endpoints.iter().find(|endpoint| endpoint.method == method).or(endpoints.first());
    match endpoint.map(|endpoint| endpoint.access) {
        Some(Access::Key(scope)) => Some(scope),
        Some(Access::Everyone | Access::Page | Access::OperatorPage | Access::OperatorForm) => None,
        None => Some(Scope::Admin),
    }
}

fn admit<S, B>(service: &S, request: ServiceRequest, admitted: Result<Caller, Refusal>) -> At<S::Future, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            pass(service, request)
        }
        Err(refusal) => refuse(request, refusal),
    }
}

fn pass<S, B>(service: &S, request: ServiceRequest) -> At<S::Future, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let as_it_is: fn(_) -> _ = ServiceResponse::map_into_left_body;
    Either::Left(service.call(request).map_ok(as_it_is))
}

fn refuse<F, B: MessageBody>(request: ServiceRequest, refusal: Refusal) -> At<F, B>
where
    MapOk<F, fn(ServiceResponse<B>) -> Answer<B>>: Sized,
{
    Either::Right(ready(Ok(refused(request, refusal))))
}
