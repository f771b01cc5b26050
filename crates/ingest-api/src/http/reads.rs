//! Threads for reads that compute. The server's threads take reports: a device list matched against a pattern
//! would block every report of its thread.

use std::{io, sync::OnceLock};

use pisync_core::store::StoreError;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use super::error::ApiError;

/// The threads of this process, once it serves.
static THREADS: OnceLock<Runtime> = OnceLock::new();

/// Niceness of these threads above the server's threads, 0 to 19 (`nice(2)`): reports get the processor first.
const NICENESS: i32 = 10;

/// Starts the threads: half as many as processors, which leaves the other half to reports.
///
/// Fails if the operating system starts no thread.
pub(crate) fn start() -> io::Result<()> {
    let threads = (std::thread::available_parallelism()?.get() / 2).max(1);
    let mut runtime = Builder::new_multi_thread();
    let runtime =
        runtime.worker_threads(threads).thread_name("reads").on_thread_start(give_way).enable_all().build()?;
    // Another server of this process started them.
    let _ = THREADS.set(runtime);
    Ok(())
}

/// Lowers the priority of the calling thread. On Linux a priority belongs to a thread (`nice(2)`).
fn give_way() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!(error:% = error; "a thread of reads has the priority of the server's threads");
    }
}

/// Spawns work on these threads; if they were not started, as in unit tests, on the caller's runtime.
pub(crate) fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    match THREADS.get() {
        Some(threads) => threads.spawn(work),
        None => tokio::spawn(work),
    }
}

/// Runs `work` on these threads and returns its result. It runs to its end even if the caller stops waiting.
pub(crate) async fn compute<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    let done = spawn(work).await.map_err(|panic| StoreError::Unavailable(panic.to_string()))?;
    done.map_err(Into::into)
}
