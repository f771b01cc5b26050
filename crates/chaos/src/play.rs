//! Runs rows: with a timeout, several at a time, and with the logs of failed rows kept.

use std::{panic::AssertUnwindSafe, path::Path, time::Duration};

use anyhow::{anyhow, ensure};
use futures_util::{FutureExt, StreamExt, future, stream};
use testkit::wait_until;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::table::{Columns, Line};

/// The timeout for a state of the system.
const TIMEOUT: Duration = Duration::from_secs(100);

/// The interval between two checks of that state.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs `jobs` rows at a time, none of them after a signal. Returns their lines in the order of the rows.
pub(crate) async fn several<R, C: Columns>(
    jobs: usize,
    rows: &[&R],
    stop: &CancellationToken,
    play: impl AsyncFn(&R) -> Line<C>,
) -> Vec<Line<C>> {
    let rows = stream::iter(rows).take_while(|_| future::ready(!stop.is_cancelled()));
    let play = &play;
    let played = rows.map(|row| async move {
        let line = play(row).await;
        line.log();
        line
    });
    played.buffered(jobs).collect().await
}

/// Returns the result of `act`. Fails if it panics, exceeds its time or is stopped by a signal.
pub(crate) async fn bounded<T>(
    act: impl Future<Output = anyhow::Result<T>>,
    limit: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<T> {
    tokio::select! {
        played = timeout(limit, AssertUnwindSafe(act).catch_unwind()) => match played {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("the row panicked; its log is above")),
            Err(_) => Err(anyhow!("timed out after {} s", limit.as_secs())),
        },
        () = stop.cancelled() => Err(anyhow!("stopped by a signal")),
    }
}

/// Waits until `reached` returns true. Fails after a timeout.
pub(crate) async fn until(what: &str, reached: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    ensure!(wait_until(TIMEOUT, POLL_INTERVAL, reached).await, "timed out waiting for {what}");
    Ok(())
}

/// Copies the files of a failed row's environment to a folder named after the row.
pub(crate) fn keep_logs(from: &Path, to: &Path, row: &str) {
    let to = to.join(row.replace([' ', ',', ':'], "-"));
    let copied = std::fs::create_dir_all(&to).and_then(|()| {
        for entry in std::fs::read_dir(from)?.flatten().filter(|entry| entry.path().is_file()) {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    });
    if let Err(error) = copied {
        log::warn!(error:% = error, folder:% = to.display(); "logs were not kept");
    }
}
