//! The documents are right: their links, paths and commands, and each of them is short.

mod commands;
mod links;
mod runbook;
mod size;

use std::path::{Path, PathBuf};

use testkit::workspace_root;

/// The documents beside the folder docs.
const TOP: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];

/// A document: its path below the root, and its text.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Its lines with their numbers, and whether each is within a fence, in which no text stands.
    fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let mut fenced = false;
        self.text.lines().enumerate().map(move |(at, line)| {
            let is_fence = line.trim_start().starts_with("```");
            fenced ^= is_fence;
            (at + 1, line, fenced || is_fence)
        })
    }
}

/// Every document that a person reads.
fn documents() -> Vec<Document> {
    let root = workspace_root();
    let mut paths: Vec<_> = TOP.iter().map(|name| root.join(name)).filter(|path| path.exists()).collect();
    pages_below(&root.join("docs"), &mut paths);
    assert!(paths.len() > 20, "only {} documents are here", paths.len());
    let of = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        Document { path: path.strip_prefix(&root).unwrap().to_owned(), text }
    };
    paths.into_iter().map(of).collect()
}

fn pages_below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages_below(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.push(path);
        }
    }
}

/// Fails with all that is wrong, so that one run shows it.
fn nothing_is_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
