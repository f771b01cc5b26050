//! A watch of the process and its memory. Above 256 MB it kills the process, like a cgroup with that limit, but
//! without any rights.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The memory limit of the process in `deploy/`, in kB.
const LIMIT: u64 = 256 * 1024;

/// The interval between two readings of the memory.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A watch of one process.
pub(super) struct Watch {
    task: JoinHandle<Memory>,
    stop: CancellationToken,
}

/// The readings of its memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// The maximum so far, in kB.
    pub(super) peak: u64,
    /// True if the process lived to the end.
    pub(super) is_alive: bool,
}

impl Watch {
    pub(super) fn start(pid: u32) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut memory = Memory { peak: 0, is_alive: true };
            while !stopped.is_cancelled() && memory.is_alive {
                memory.read(pid);
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            memory
        });
        Self { task, stop }
    }

    /// Ends the watch and returns its readings.
    pub(super) async fn end(self) -> Memory {
        self.stop.cancel();
        self.task.await.unwrap_or_default()
    }
}

impl Memory {
    fn read(&mut self, pid: u32) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        // A dead process that is not yet waited for has no memory.
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
