//! No call to the store is itself in a `select!` or a timeout: a driver's future must not be dropped half way. The only
//! way to wait with a limit is `store::detached`.

use std::path::{Path, PathBuf};

use testkit::workspace_root;

/// The calls within which a future is detached.
const DETACHED: [&str; 3] = ["detached(", "ensure_indexes_in_time(", ".answers("];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the text between the bracket at the beginning and its counterpart.
fn bracketed(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' | '{' => depth += 1,
            ')' | '}' => {
                depth -= 1;
                if depth == 0 {
                    return &text[..=at];
                }
            }
            _ => {}
        }
    }
    text
}

/// Returns the expressions that a `select!` or a timeout may drop half way.
fn droppable(source: &str) -> Vec<String> {
    let selects = source.split("select! ").skip(1).flat_map(|rest| {
        let arms = bracketed(rest).lines().filter_map(|line| line.split_once(" = ").map(|(_, arm)| arm.to_owned()));
        arms.collect::<Vec<_>>()
    });
    let timeouts = source.split("timeout(").skip(1).map(|rest| bracketed(&format!("({rest}")).to_owned());
    selects.chain(timeouts).collect()
}

fn asks_the_store(expression: &str) -> bool {
    let asks =
        ["store.", "store()", "self.step(", "alerts()", "silences()"].iter().any(|word| expression.contains(word));
    asks && !DETACHED.iter().any(|word| expression.contains(word)) && !expression.contains("spawn(")
}

#[test]
fn nothing_that_asks_the_store_is_dropped_half_way() {
    assert_eq!(droppable("a(); select! {\n  x = store.ping() => {}\n}\nb = store.ping();"), ["store.ping() => {}"]);
    assert!(asks_the_store("store.ping() => {}") && !asks_the_store("detached(LIMIT, store.ping()) => {}"));
    assert!(droppable("timeout(LIMIT, store.ping()).await").iter().any(|expression| asks_the_store(expression)));

    let mut found = Vec::new();
    for name in ["pisync-core", "ingest-api", "queue-worker", "alerter"] {
        sources(&workspace_root().join("crates").join(name).join("src"), &mut found);
    }
    assert!(found.len() > 100, "only {} files", found.len());
    for path in found {
        for expression in droppable(&std::fs::read_to_string(&path).unwrap()) {
            // A message is given up only after minutes: its connection is of no use any more.
            let is_sending = path.ends_with("alerter/src/outbox/mod.rs") && expression.starts_with("self.step(");
            assert!(!asks_the_store(&expression) || is_sending, "{}: {expression}", path.display());
        }
    }
}
