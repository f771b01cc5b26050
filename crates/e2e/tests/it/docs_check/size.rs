//! Each document is as short as its reader needs it.

use testkit::workspace_root;

use super::{Document, documents, nothing_is_wrong};

/// Words of a paragraph, at most.
const PARAGRAPH: usize = 60;

#[test]
fn no_paragraph_is_long() {
    let mut wrong = Vec::new();
    for document in documents().iter().filter(|document| is_bound(document)) {
        let long = paragraphs(document).into_iter().filter(|(_, words)| *words > PARAGRAPH);
        wrong.extend(long.map(|(at, words)| format!("{}:{at}: {words} words", document.path.display())));
    }
    nothing_is_wrong(&wrong);
}

/// The README and all of docs; what is generated stands in tables.
fn is_bound(document: &Document) -> bool {
    document.path.starts_with("docs") || document.path.ends_with("README.md")
}

/// The paragraphs and items of lists, with the line of each and its number of words.
fn paragraphs(document: &Document) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut is_new = true;
    for (at, line, fenced) in document.lines() {
        let text = line.trim();
        if fenced || text.is_empty() || text.starts_with(['|', '#', '<']) {
            is_new = true;
            continue;
        }
        let is_item =
            text.starts_with(['-', '*', '>']) || text.split_once(". ").is_some_and(|(at, _)| at.parse::<u32>().is_ok());
        let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
        match found.last_mut().filter(|_| !is_new && !is_item) {
            Some((_, before)) => *before += words,
            None => found.push((at, words)),
        }
        is_new = false;
    }
    found
}

#[test]
fn the_readme_and_the_map_are_read_in_minutes() {
    let read = |name: &str| std::fs::read_to_string(workspace_root().join(name)).unwrap();
    let (lines, letters) = (read("README.md").lines().count(), read("ARCHITECTURE.md").chars().count());
    assert!(lines <= 150, "README.md has {lines} lines");
    assert!(letters <= 14_000, "ARCHITECTURE.md has {letters} characters");
}
