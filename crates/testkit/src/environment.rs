//! The variables that the scripts set: addresses of the servers, and folders of the programs.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Returns a variable that `scripts/test` sets. Panics if it is not set.
#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by scripts/test"))
}

/// Returns the path of a server, or of a program that comes with it.
pub(crate) fn server_binary(name: &str) -> PathBuf {
    PathBuf::from(setting("PISYNC_TEST_BIN")).join(name)
}

/// Returns a command for Python with the `MongoDB` driver that the scripts install.
pub fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", PathBuf::from(setting("PISYNC_TEST_BIN")).join("../python"));
    command
}

/// Returns the root of the workspace.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root of the workspace")
}
