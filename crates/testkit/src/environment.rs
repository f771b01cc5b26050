//! What the scripts say in the environment: where the servers are, and the programs that they fetched.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Returns what `scripts/test` says in the environment. Panics if it says nothing.
#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by scripts/test"))
}

/// Returns the path of a server, or of a program that comes with it.
pub(crate) fn server_binary(name: &str) -> PathBuf {
    PathBuf::from(setting("PISYNC_TEST_BIN")).join(name)
}

/// A Python that has the driver which the scripts fetch.
pub fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", PathBuf::from(setting("PISYNC_TEST_BIN")).join("../python"));
    command
}

/// The root of the workspace.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root of the workspace")
}
