//! How rows are played: within their time, several at a time, and with the logs of those that fail.

use std::{panic::AssertUnwindSafe, path::Path, time::Duration};

use anyhow::{anyhow, ensure};
use futures_util::{FutureExt, StreamExt, future, stream};
use testkit::wait_until;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::table::{Columns, Line};

/// How long the system may take to a state that is waited for.
const TIMEOUT: Duration = Duration::from_secs(100);

/// How often it is looked whether it is there.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Plays `jobs` rows at a time, none of them after a signal. Returns their lines in the order of the rows.
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

/// Returns what comes of an act; an error if it breaks down, takes too long or is stopped by a signal.
pub(crate) async fn bounded<T>(
    act: impl Future<Output = anyhow::Result<T>>,
    limit: Duration,
    stop: &CancellationToken,
) -> anyhow::Result<T> {
    tokio::select! {
        played = timeout(limit, AssertUnwindSafe(act).catch_unwind()) => match played {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("a process broke down; its log is above")),
            Err(_) => Err(anyhow!("not done after {} s", limit.as_secs())),
        },
        () = stop.cancelled() => Err(anyhow!("stopped by a signal")),
    }
}

/// Waits until `reached` returns true; fails if that takes too long.
pub(crate) async fn until(what: &str, reached: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    ensure!(wait_until(TIMEOUT, POLL_INTERVAL, reached).await, "waited in vain for {what}");
    Ok(())
}

/// Copies the files of the world of a row that failed to a folder of its name.
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
