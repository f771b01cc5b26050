//! The middleware of a route that not everyone may use.

use std::future::{Ready, ready};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    web::Data,
};
use futures_util::future::{Either, MapOk, TryFutureExt};

use super::{Caller, Gate, Refusal, Scope};
use crate::{dashboard::caller_by_session, error::ApiError};

/// Lets through who has this scope, and tells the handler who it is ([`Caller`]). Without a
/// [`Gate`] in the application it lets nobody through.
#[derive(Debug, Clone, Copy)]
pub struct Demand(pub Scope);

/// The service behind a [`Demand`].
#[derive(Debug)]
pub struct Demanding<S> {
    demanded: Scope,
    service: S,
}

/// The answer of the route, or the refusal.
type Answer<B> = ServiceResponse<EitherBody<B>>;

impl<S, B> Transform<S, ServiceRequest> for Demand
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Answer<B>;
    type Error = Error;
    type InitError = ();
    type Transform = Demanding<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Demanding { demanded: self.0, service }))
    }
}

impl<S, B> Service<ServiceRequest> for Demanding<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Answer<B>;
    type Error = Error;
    // Named and not boxed: this is passed by every event.
    type Future = Either<MapOk<S::Future, fn(ServiceResponse<B>) -> Answer<B>>, Ready<Result<Answer<B>, Error>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match admit(&request, self.demanded) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                let as_it_is: fn(_) -> _ = ServiceResponse::map_into_left_body;
                Either::Left(self.service.call(request).map_ok(as_it_is))
            }
            Err(refusal) => {
                // With the error in it, which the outermost layer puts into the log.
                let refused = HttpResponse::from_error(ApiError::from(refusal));
                let refused = ServiceResponse::new(request.into_parts().0, refused);
                Either::Right(ready(Ok(refused.map_into_right_body())))
            }
        }
    }
}

fn admit(request: &ServiceRequest, demanded: Scope) -> Result<Caller, Refusal> {
    let (request, gate) = (request.request(), request.app_data::<Data<Gate>>().ok_or(Refusal::NoKey)?);
    let by_session = (demanded == Scope::Read).then(|| caller_by_session(request, gate));
    by_session.flatten().map_or_else(|| gate.admit(request, demanded), Ok)
}
