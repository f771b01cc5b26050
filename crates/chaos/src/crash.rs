//! How processes die: by us, or by themselves at a named point.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use nix::sys::signal::Signal;
use testkit::Service;
use tokio::time::timeout;

/// How long a process that is to die at a named point may take to get there.
const CRASH_TIMEOUT: Duration = Duration::from_secs(15);

/// Kills a process by SIGKILL; it must have been alive. Returns when that was.
pub(crate) async fn kill(service: &mut Service) -> anyhow::Result<Instant> {
    let when = Instant::now();
    service.signal(Signal::SIGKILL);
    let status = service.ended().await;
    ensure!(status.signal() == Some(Signal::SIGKILL as i32), "a process ended with {status}:\n{}", service.log());
    Ok(when)
}

/// Waits until a process has killed itself at its named point. `None`: it never came there, and
/// was told to stop.
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
