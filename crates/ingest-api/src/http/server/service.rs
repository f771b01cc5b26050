//! Passes requests in and answers out, and notifies the connection of both.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_http::{ConnectionType, Request, Response};
use actix_service::Service;
use actix_web::{Error, body::BoxBody, dev::ServiceResponse};

use super::{
    connection::Connection,
    pieces::{Answering, Pieces},
    table::Table,
};

/// The application behind the connections of a thread.
pub(super) struct Counted<S> {
    app: S,
    table: Rc<Table>,
    bounds: bool,
}

impl<S> Counted<S> {
    pub(super) fn new(app: S, table: Rc<Table>, bounds: bool) -> Self {
        Self { app, table, bounds }
    }
}

pin_project_lite::pin_project! {
    /// The future of an answer. Named and not boxed: every event passes it.
    pub(super) struct Answer<F> {
        #[pin]
        inner: F,
        answering: Option<Answering>,
        table: Rc<Table>,
        bounds: bool,
    }
}

impl<S> Service<Request> for Counted<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    type Response = Response<Pieces>;
    type Error = Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.app.poll_ready(context)
    }

    fn call(&self, request: Request) -> Self::Future {
        let answering = request.conn_data::<Rc<Connection>>().map(|connection| {
            connection.dispatched();
            Answering::new(Rc::clone(connection))
        });
        Answer { inner: self.app.call(request), answering, table: Rc::clone(&self.table), bounds: self.bounds }
    }
}

impl<F> Future for Answer<F>
where
    F: Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
{
    type Output = Result<Response<Pieces>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(context)).map_or_else(Response::from, Into::into);
        let (answering, bounds) = (this.answering.take(), *this.bounds);
        // The rest of a body could pass for the next head, which has its own limits.
        let leaves_body = bounds && answering.as_ref().is_some_and(Answering::leaves_body);
        let mut answer = answer.map_body(|_, body| Pieces::new(body, answering, bounds));
        if leaves_body || this.table.is_tight() {
            answer.head_mut().set_connection_type(ConnectionType::Close);
        }
        Poll::Ready(Ok(answer))
    }
}
