//! A bound on reads that cost much: they wait for their turn for a moment, and are then told to come
//! again, so that reports and other reads go on beside them.

use std::{sync::Arc, time::Duration};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::{Bytes, Data},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::ApiError;

/// How long a read waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// How many reads may wait: the others are told at once.
const WAITING: usize = 32;

/// How many lists may be sent at a time.
const LISTS: usize = 4;

/// What makes a read costly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Costly {
    /// It makes `MongoDB` work.
    Computed,
    /// It is a list of any length, sent as fast as its client reads.
    List,
}

/// How many costly reads may go on at a time in this process.
#[derive(Debug)]
pub(crate) struct Permits {
    computed: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Permits {
    /// As many as leave half of `processors` to reports; any number where there are no bounds.
    pub(crate) fn new(processors: usize, are_kept: bool) -> Self {
        let bound = |most| Arc::new(Semaphore::new(if are_kept { most } else { Semaphore::MAX_PERMITS }));
        let waiting = Semaphore::new(if are_kept { WAITING } else { Semaphore::MAX_PERMITS });
        Self { computed: bound((processors / 2).max(1)), lists: bound(LISTS), waiting }
    }

    async fn take(&self, costly: Costly) -> Result<OwnedSemaphorePermit, ApiError> {
        let permits = match costly {
            Costly::Computed => &self.computed,
            Costly::List => &self.lists,
        };
        let _place = self.waiting.try_acquire().map_err(|_| ApiError::Busy)?;
        let permit = timeout(TURN_TIMEOUT, Arc::clone(permits).acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or(ApiError::Busy)
    }
}

impl Costly {
    /// The layer of a costly route: its permit is held until the last byte is handed over.
    pub(crate) async fn layer<B: MessageBody + 'static>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let permits = request.app_data::<Data<Permits>>().cloned();
        let permit = match permits {
            Some(permits) => Some(permits.take(self).await?),
            None => None,
        };
        let answer = next.call(request).await?;
        Ok(answer.map_body(|_, body| match self {
            Self::Computed => body.boxed(),
            Self::List => Held { body: body.boxed(), _permit: permit }.boxed(),
        }))
    }
}

/// A body that holds a permit.
struct Held {
    body: BoxBody,
    _permit: Option<OwnedSemaphorePermit>,
}

impl MessageBody for Held {
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
        let one = permits.take(Costly::Computed).await.unwrap();
        let other = timeout(Duration::from_millis(20), permits.take(Costly::Computed)).await;
        assert!(other.is_err(), "it waits");
        assert!(permits.take(Costly::List).await.is_ok());
        drop(one);
        assert!(permits.take(Costly::Computed).await.is_ok());
    }
}
