//! A test that reads the clock several times, or sleeps where it could poll, fails now and then on a busy machine. So
//! tests use the clock of `testkit` only.

use std::path::{Path, PathBuf};

use testkit::workspace_root;

/// Calls that only `crates/testkit/src` may contain.
const FORBIDDEN: [&str; 5] = ["sleep(", "Timestamp::now(", "SystemTime::now(", "Instant::now(", "Zoned::now("];

/// The tests in which time must pass: file, number of calls, and the reason against polling.
const PASSES: [(&str, usize, &str); 11] = [
    ("alerter_hanging.rs", 1, "a proxy polls for the order to hang"),
    ("alertmanager.rs", 2, "an alert has to outlive its own end"),
    ("auth.rs", 1, "the log is silent for a second"),
    ("bad_input.rs", 2, "clients that are slow"),
    ("edge.rs", 3, "clients that are slow, and one that does not read"),
    ("edge_heads.rs", 2, "a client that is slow"),
    ("faults.rs", 3, "a worker is stopped at any moment; a store is away for a while"),
    ("hanging.rs", 1, "cached answers have to expire"),
    ("identity.rs", 2, "a worker is killed at any moment; another must not spin"),
    ("queue_model.rs", 2, "a lease has to end by the clock of Redis"),
    ("redis_sets.rs", 1, "a client retries"),
];

/// Returns the forbidden calls in a text.
fn found(source: &str) -> Vec<&'static str> {
    FORBIDDEN.into_iter().filter(|word| source.contains(word)).collect()
}

/// Collects the Rust files in a folder and in those below it.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn tests_read_the_clock_and_sleep_by_the_helpers_alone() {
    assert_eq!(found("tokio::time::sleep(A).await; jiff::Timestamp::now()"), ["sleep(", "Timestamp::now("]);
    let crates = workspace_root().join("crates");
    let folders = std::fs::read_dir(crates).unwrap().flatten().map(|entry| entry.path().join("tests/it"));
    let mut files = Vec::new();
    folders.for_each(|folder| sources(&folder, &mut files));
    let mut passes = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "clock.rs" {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let found = found(&source);
        assert!(
            found.is_empty(),
            "{name} calls {found:?}: take testkit::now, TestEnv::until or what crates/testkit/src/clock.rs has"
        );
        let count = source.matches("testkit::pass(").count();
        if count > 0 {
            passes.push((name, count));
        }
    }
    passes.sort();
    let allowed: Vec<_> = PASSES.iter().map(|(name, count, _)| ((*name).to_owned(), *count)).collect();
    assert_eq!(passes, allowed, "can it poll by TestEnv::until? Otherwise give a reason in PASSES");
}
