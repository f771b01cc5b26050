//! Limits concurrent costly reads: they wait briefly for a permit, else get a 503, so that reports and other
//! reads go on.

use std::{sync::Arc, time::Duration};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::{Bytes, Data},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    budget::{Budget, Taken, share},
    error::{ApiError, refused},
};

/// How long a read waits for its permit.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum number of waiting reads: further ones get a 503 at once.
const WAITING: usize = 32;

/// Maximum number of lists sent at a time: each holds about half a megabyte, and a slow client keeps its own for
/// long.
const LISTS: usize = 32;

/// The kind of a costly read. Its handler runs by [`crate::http::reads`], never on the threads of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Costly {
    /// Makes `MongoDB` work.
    Computed,
    /// A list of any length, sent as fast as its client reads.
    List,
}

/// Permits for costly reads of this process.
#[derive(Debug)]
pub(crate) struct Permits {
    computed: Arc<Semaphore>,
    waiting: Semaphore,
    /// Each caller has a share, so that slow callers do not take all.
    lists: Budget,
}

/// A permit: a computation holds it until it is done, a list until its last byte is sent.
#[derive(Debug)]
enum Permit {
    Computed { _permit: OwnedSemaphorePermit },
    List { _taken: Taken },
}

impl Permits {
    /// Returns permits that leave half of `processors` to reports; unlimited if `are_kept` is false.
    pub(crate) fn new(processors: usize, are_kept: bool) -> Self {
        let bound = |most: usize, unbound: usize| if are_kept { most } else { unbound };
        Self {
            computed: Arc::new(Semaphore::new(bound((processors / 2).max(1), Semaphore::MAX_PERMITS))),
            waiting: Semaphore::new(bound(WAITING, Semaphore::MAX_PERMITS)),
            lists: Budget::new(bound(LISTS, usize::MAX)),
        }
    }

    async fn compute(&self) -> Result<Permit, ApiError> {
        let _place = self.waiting.try_acquire().map_err(|_| ApiError::Busy)?;
        let permit = timeout(TURN_TIMEOUT, Arc::clone(&self.computed).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or(ApiError::Busy)?;
        Ok(Permit::Computed { _permit: permit })
    }

    fn list(&self, share: impl FnOnce(&Budget) -> Taken) -> Result<Permit, ApiError> {
        let mut taken = share(&self.lists);
        taken.take(1).map_err(|_| ApiError::Busy)?;
        Ok(Permit::List { _taken: taken })
    }
}

impl Costly {
    /// Limits the reads of a costly route.
    pub(crate) async fn layer<B: MessageBody + 'static>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<EitherBody<BoxBody>>, Error> {
        let permit = match (self, request.app_data::<Data<Permits>>()) {
            (_, None) => None,
            (Self::Computed, Some(permits)) => Some(permits.compute().await),
            (Self::List, Some(permits)) => Some(permits.list(|lists| share(request.request(), lists))),
        };
        let permit = match permit.transpose() {
            Ok(permit) => permit,
            Err(error) => return Ok(refused(request, error)),
        };
        let answer = next.call(request).await?;
        let answer = answer.map_body(|_, body| match self {
            Self::Computed => body.boxed(),
            Self::List => PermittedBody { body: body.boxed(), _permit: permit }.boxed(),
        });
        Ok(answer.map_into_left_body())
    }
}

/// A body that holds a permit.
struct PermittedBody {
    body: BoxBody,
    _permit: Option<Permit>,
}

impl MessageBody for PermittedBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, Self::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn one_costly_read_for_two_processors_and_lists_beside_it() {
        let permits = Permits::new(2, true);
        let one = permits.compute().await.unwrap();
        let other = timeout(Duration::from_millis(20), permits.compute()).await;
        assert!(other.is_err(), "it waits");
        assert!(permits.list(|lists| lists.of("a", 2)).is_ok());
        drop(one);
        assert!(permits.compute().await.is_ok());
    }

    #[test]
    fn slow_readers_of_lists_leave_some_to_others() {
        let permits = Permits::new(2, true);
        let list = |caller: &str| permits.list(|lists| lists.of(caller, 2));
        let held: Vec<_> = std::iter::from_fn(|| list("slow").ok()).collect();
        assert_eq!(held.len(), LISTS / 2);
        assert!(list("other").is_ok());
        drop(held);
        assert!(list("slow").is_ok());
    }
}
