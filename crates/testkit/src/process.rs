//! Processes of the system, started from the binaries of the workspace.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::process::{Child, Command};

/// The timeout for the end of a process after SIGTERM.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running process; it is killed when it is dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    log: PathBuf,
    /// The length of the log when the process began, in bytes: an earlier process may have written to it.
    before: usize,
}

impl Service {
    /// Starts `command`. Its output is appended to the file `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let before = std::fs::read_to_string(log).map_or(0, |log| log.len());
        let output = file.try_clone().expect("a second handle of the log file");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(file).kill_on_drop(true).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log: log.to_owned(), before }
    }

    /// Returns a command for a binary of this workspace, which `cargo build --workspace --bins` has built.
    pub fn binary(name: &str) -> Command {
        let test = std::env::current_exe().expect("the path of this test");
        // A test lies one folder below the binaries, a tool beside them.
        let mut folders = test.ancestors().skip(1).take(2).map(|folder| folder.join(name));
        let path = folders.find(|path| path.exists()).unwrap_or_else(|| test.with_file_name(name));
        assert!(path.exists(), "{} is not built: cargo build --workspace --bins", path.display());
        Command::new(path)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a process id");
        signal::kill(Pid::from_raw(pid), signal).expect("sending a signal");
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("killing a process");
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        match tokio::time::timeout(TIMEOUT, self.child.wait()).await {
            Ok(status) => status.expect("an exit status"),
            Err(tokio::time::error::Elapsed { .. }) => panic!("the process did not end; its log:\n{}", self.log()),
        }
    }

    /// Returns the log so far, also that of earlier processes with the same file.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log contains `text`. Returns the rest of that line.
    pub async fn says(&mut self, text: &str) -> String {
        for _ in 0..600 {
            let log = self.log();
            let log = log.get(self.before..).unwrap_or_default();
            if let Some(at) = log.find(text) {
                let rest = &log[at + text.len()..];
                if let Some(end) = rest.find('\n') {
                    return rest[..end].to_owned();
                }
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the process ended with {status}; its log:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the process never said '{text}'; its log:\n{}", self.log())
    }
}
