//! Failpoints: tests kill a process at a named point. Without the feature `failpoints`, as in release builds, there are
//! no such settings and no such points.

#[cfg(feature = "failpoints")]
use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use clap::Args;
#[cfg(feature = "failpoints")]
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::models::DeviceId;

/// The point at which a process dies; none, unless a test sets one.
#[derive(Debug, Clone, Default, Args)]
pub struct CrashSettings {
    #[cfg(feature = "failpoints")]
    /// For tests: kill this process at the named point, the Nth time it is passed
    #[arg(long, global = true, env = "PISYNC_CRASH_AT", value_name = "POINT[:N]", hide = true)]
    crash_at: Option<CrashAt>,
}

#[cfg(feature = "failpoints")]
#[derive(Debug, Clone)]
struct CrashAt {
    point: String,
    passes_left: Arc<AtomicU32>,
}

#[cfg(not(feature = "failpoints"))]
impl CrashSettings {
    /// Does nothing.
    pub fn pass(&self, _: &str) {}

    /// Returns nothing.
    pub fn argument(&self) -> Option<String> {
        None
    }

    /// Does nothing.
    pub fn pass_reading(&self, _: &DeviceId) {}
}

#[cfg(feature = "failpoints")]
impl CrashSettings {
    /// Kills the process with SIGKILL if this is the point and its turn has come.
    pub fn pass(&self, point: &str) {
        if let Some(crash) = self.crash_at.as_ref().filter(|crash| crash.point == point)
            && crash.passes_left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }

    /// Returns the flag that gives a child process the same setting.
    pub fn argument(&self) -> Option<String> {
        self.crash_at.as_ref().map(|crash| format!("--crash-at={}", crash.point))
    }

    /// Kills the process if the point is `reading/` and this device: a poison message.
    pub fn pass_reading(&self, device_id: &DeviceId) {
        if self.crash_at.is_some() {
            self.pass(&format!("reading/{device_id}"));
        }
    }
}

#[cfg(feature = "failpoints")]
impl FromStr for CrashAt {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (point, passes) = text.rsplit_once(':').unwrap_or((text, "1"));
        Ok(Self { point: point.to_owned(), passes_left: Arc::new(AtomicU32::new(passes.parse()?)) })
    }
}
