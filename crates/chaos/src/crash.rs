//! Deaths of processes: by a signal of ours, or by themselves at a named point.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use nix::sys::signal::Signal;
use testkit::Service;
use tokio::time::timeout;

/// The timeout for a process to reach its named point.
const CRASH_TIMEOUT: Duration = Duration::from_secs(15);

/// Kills a process by SIGKILL and returns the time. Fails if it was dead already.
pub(crate) async fn kill(service: &mut Service) -> anyhow::Result<Instant> {
    let when = Instant::now();
    service.signal(Signal::SIGKILL);
    let status = service.ended().await;
    ensure!(status.signal() == Some(Signal::SIGKILL as i32), "a process ended with {status}:\n{}", service.log());
    Ok(when)
}

/// Waits until a process has killed itself at its named point. Returns `None` if it never got there; then it is
/// stopped.
pub(crate) async fn wait_for_crash(service: &mut Service) -> anyhow::Result<Option<Instant>> {
    match timeout(CRASH_TIMEOUT, service.ended()).await {
        Ok(status) if status.signal() == Some(Signal::SIGKILL as i32) => Ok(Some(Instant::now())),
        Ok(status) => bail!("a process ended with {status}:\n{}", service.log()),
        Err(_) => {
            service.terminate().await;
            Ok(None)
        }
    }
}
