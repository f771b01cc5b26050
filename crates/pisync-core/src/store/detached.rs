//! Waits for the store with a deadline, without dropping the driver's work half way.
//!
//! A dropped future of the `MongoDB` driver may leave a connection behind that is never used again. So no call to the
//! store may itself be in a `select!` or a timeout. This is the only way to wait for it with a limit.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::StoreError;

/// The reason that there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// It takes longer than the limit, and continues in the background.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It panicked.
    #[error("the task failed")]
    Died,
}

impl From<Undone> for StoreError {
    fn from(undone: Undone) -> Self {
        Self::Unavailable(undone.to_string())
    }
}

/// Runs `work` in its own task and waits for it, at most `limit`. If the caller stops waiting, by the limit or by being
/// dropped, the task still runs to its end.
pub async fn detached<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Undone> {
    let task: JoinHandle<T> = tokio::spawn(work);
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(Undone::Died),
        Err(_) => Err(Undone::Late(limit)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// Returns work that lasts until it may end, and a signal of its end.
    fn work() -> (oneshot::Sender<()>, oneshot::Receiver<()>, impl Future<Output = ()> + Send + 'static) {
        let (may_end, wait) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let work = async move {
            let _ = wait.await;
            let _ = ended.send(());
        };
        (may_end, end, work)
    }

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_for_it_any_more() {
        let (may_end, end, late) = work();
        let limit = Duration::from_millis(1);
        assert_eq!(detached(limit, late).await, Err(Undone::Late(limit)));
        may_end.send(()).unwrap();
        end.await.unwrap();

        let (may_end, end, dropped) = work();
        tokio::select! {
            biased;
            _ = detached(Duration::from_mins(1), dropped) => panic!("it lasts until it may end"),
            () = std::future::ready(()) => {}
        }
        may_end.send(()).unwrap();
        end.await.unwrap();
    }

    #[tokio::test]
    async fn work_in_time_is_answered_and_a_panic_is_told() {
        assert_eq!(detached(Duration::from_mins(1), async { 7 }).await, Ok(7));
        assert_eq!(detached(Duration::from_mins(1), async { panic!("of a test") }).await, Err::<(), _>(Undone::Died));
    }
}
