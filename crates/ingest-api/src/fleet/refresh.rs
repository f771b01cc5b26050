//! Computes a value once for all callers, with short waits.
//!
//! A `MongoDB` that hangs neither answers nor refuses. So a caller waits for [`TIMEOUT`], a computation is
//! cancelled after [`DEADLINE`], and no second one starts before that. Queries do not pile up, and the first one
//! after the server is back succeeds.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pisync_core::store::StoreError;
use tokio::{
    sync::Mutex as Turn,
    time::{Instant, timeout, timeout_at},
};

use crate::http::{error::ApiError, reads};

/// Maximum wait of a caller; the value computed meanwhile is there for the next.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(2_500);

/// Maximum duration of a computation before another one may start.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Lets one computation run at a time. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct OneAtATime(Arc<Turn<()>>);

impl OneAtATime {
    /// Runs `compute` when no other computation runs, and returns its result.
    ///
    /// Fails if that takes longer than `patience`; a computation that has started goes on.
    pub(crate) async fn run<T, F>(
        &self,
        patience: Duration,
        what: &'static str,
        compute: impl FnOnce() -> F,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ApiError>> + Send + 'static,
    {
        let too_long = || StoreError::Unavailable(format!("{what} take too long"));
        let until = Instant::now() + patience;
        let turn = timeout_at(until, self.0.clone().lock_owned()).await.map_err(|_| too_long())?;
        let computation = compute();
        // Spawned, since a driver's future must not be dropped when the caller gives up.
        let computation = reads::spawn(async move {
            let computed = timeout(DEADLINE, computation).await;
            drop(turn);
            computed.map_err(|_| ApiError::from(StoreError::Unavailable(format!("{what} were given up"))))?
        });
        let computed = timeout_at(until, computation).await.map_err(|_| too_long())?;
        computed.map_err(|panic| StoreError::Unavailable(panic.to_string()))?
    }
}

/// A value that is computed again when it is old and requested. Clones share it.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    turn: OneAtATime,
    last: Arc<Mutex<Option<(Instant, T)>>>,
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self { turn: self.turn.clone(), last: Arc::clone(&self.last) }
    }
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { turn: OneAtATime::default(), last: Arc::default() }
    }
}

impl<T: Copy + Send + 'static> Latest<T> {
    /// Returns the value if it is not older than `lag`, else the result of `compute`. If that fails or takes
    /// longer than `patience`, returns the last value if it is not older than `stale`.
    pub(crate) async fn get<F>(
        &self,
        [lag, stale]: [Duration; 2],
        patience: Duration,
        what: &'static str,
        compute: impl FnOnce() -> F,
    ) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>> + Send + 'static,
    {
        if let Some(value) = self.younger_than(lag) {
            return Ok(value);
        }
        let this = self.clone();
        let computed = self.turn.run(patience, what, || {
            let computation = compute();
            async move {
                // The previous holder of the turn may have computed it.
                if let Some(value) = this.younger_than(lag) {
                    return Ok(value);
                }
                let value = computation.await?;
                *this.last() = Some((Instant::now(), value));
                Ok(value)
            }
        });
        match computed.await {
            Ok(value) => Ok(value),
            Err(error) => self.younger_than(stale).ok_or(error),
        }
    }

    fn younger_than(&self, age: Duration) -> Option<T> {
        self.last().filter(|(at, _)| at.elapsed() < age).map(|(_, value)| value)
    }

    fn last(&self) -> MutexGuard<'_, Option<(Instant, T)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    const FRESH: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(5)];

    #[tokio::test(start_paused = true)]
    async fn while_one_hangs_no_other_is_begun_and_the_next_after_it_is() {
        let (latest, begun) = (Latest::<u32>::default(), Arc::new(AtomicU32::new(0)));
        let hang = || {
            begun.fetch_add(1, Ordering::Relaxed);
            pending()
        };
        for _ in 0..5 {
            let asked_at = Instant::now();
            assert!(latest.get(FRESH, TIMEOUT, "counts", hang).await.is_err());
            assert!(asked_at.elapsed() <= Duration::from_secs(3), "{:?}", asked_at.elapsed());
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        tokio::time::sleep(DEADLINE).await;
        assert_eq!(latest.get(FRESH, TIMEOUT, "counts", async || Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_value_serves_while_the_next_one_hangs() {
        let latest = Latest::<u32>::default();
        assert_eq!(latest.get(FRESH, TIMEOUT, "counts", async || Ok(1)).await.unwrap(), 1);
        assert_eq!(latest.get(FRESH, TIMEOUT, "counts", async || Ok(2)).await.unwrap(), 1);
        tokio::time::sleep(FRESH[0]).await;
        assert_eq!(latest.get(FRESH, TIMEOUT, "counts", pending).await.unwrap(), 1);
        tokio::time::sleep(FRESH[1]).await;
        assert!(latest.get(FRESH, TIMEOUT, "counts", pending).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_computation_that_nobody_waits_for_is_there_for_the_next() {
        let latest = Latest::<u32>::default();
        let slow = async || {
            tokio::time::sleep(TIMEOUT + Duration::from_secs(1)).await;
            Ok(3)
        };
        assert!(latest.get(FRESH, TIMEOUT, "counts", slow).await.is_err());
        assert_eq!(latest.get(FRESH, TIMEOUT, "counts", pending).await.unwrap(), 3);
    }
}
