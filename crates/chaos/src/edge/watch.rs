//! The process and its memory: above 256 MB it is killed, as in a group with that limit, for which
//! one needs no rights here.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What `deploy/` gives the process, in kB.
const LIMIT: u64 = 256 * 1024;

/// How often the memory is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Looks at a process.
pub(super) struct Watch {
    task: JoinHandle<Memory>,
    stop: CancellationToken,
}

/// What was seen of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// The most at any time, in kB.
    pub(super) peak: u64,
    /// Whether it lived to the end.
    pub(super) is_alive: bool,
}

impl Watch {
    pub(super) fn start(pid: u32) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut memory = Memory { peak: 0, is_alive: true };
            while !stopped.is_cancelled() && memory.is_alive {
                memory.look(pid);
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            memory
        });
        Self { task, stop }
    }

    /// What was seen until now.
    pub(super) async fn end(self) -> Memory {
        self.stop.cancel();
        self.task.await.unwrap_or_default()
    }
}

impl Memory {
    fn look(&mut self, pid: u32) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        // A process that is dead and not yet waited for has no memory.
        self.is_alive = resident.is_some();
        self.peak = self.peak.max(resident.unwrap_or(0));
        if self.peak > LIMIT {
            self.is_alive = false;
            if let Ok(pid) = i32::try_from(pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}
