//! Every link leads somewhere, and every path that is named exists.

use std::{collections::HashMap, path::Path};

use testkit::workspace_root;

use super::{Document, documents, nothing_is_wrong};

/// What a path within the repository begins with.
const FOLDERS: [&str; 4] = ["crates/", "scripts/", "deploy/", "docs/"];

/// What `deploy/make-secrets` makes: it is in no repository.
const MADE: &str = "deploy/secrets";

#[test]
fn every_link_leads_to_a_file_and_an_anchor() {
    let root = workspace_root();
    let mut anchors = HashMap::new();
    let mut wrong = Vec::new();
    for document in documents() {
        for (line, target) in targets(&document) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let from = document.path.parent().unwrap();
            let path = if file.is_empty() { root.join(&document.path) } else { root.join(from).join(file) };
            let known: &Vec<_> = anchors.entry(path.clone()).or_insert_with(|| anchors_of(&path));
            if !path.exists() || !anchor.is_empty() && !known.contains(&anchor.to_owned()) {
                wrong.push(format!("{}:{line}: {target}", document.path.display()));
            }
        }
    }
    nothing_is_wrong(&wrong);
}

/// The relative links and pictures of a document, with their lines.
fn targets(document: &Document) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line, _) in document.lines().filter(|(.., fenced)| !fenced) {
        let text = without_code(line);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let tags = ["src=\"", "href=\""].into_iter().flat_map(|tag| text.split(tag).skip(1));
        let all = links.chain(tags.filter_map(|rest| rest.split('"').next()));
        let is_ours = |target: &&str| !target.contains("://") && !target.starts_with("mailto:");
        found.extend(all.filter(is_ours).map(|target| (at, target.to_owned())));
    }
    found
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The anchors of a page: one for each heading, as GitHub makes them, and those that it names.
fn anchors_of(path: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let document = Document { path: path.to_owned(), text };
    let mut anchors: Vec<String> = Vec::new();
    for (_, line, _) in document.lines().filter(|(.., fenced)| !fenced) {
        anchors.extend(line.split("id=\"").skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())));
        let Some(heading) = line.starts_with('#').then(|| line.trim_start_matches('#')) else { continue };
        let name = slug(heading.trim());
        let mut anchor = name.clone();
        let mut repeated = 0;
        while anchors.contains(&anchor) {
            repeated += 1;
            anchor = format!("{name}-{repeated}");
        }
        anchors.push(anchor);
    }
    anchors
}

/// The anchor of a heading. Of a link in it only the text counts.
pub(super) fn slug(heading: &str) -> String {
    let mut text = heading.replace('`', "");
    while let Some((before, after)) = text.split_once("](") {
        text = format!("{}{}", before.replacen('[', "", 1), after.split_once(')').map_or("", |(_, rest)| rest));
    }
    let is_kept = |char: &char| char.is_alphanumeric() || ['-', '_', ' '].contains(char);
    text.to_lowercase().chars().filter(is_kept).map(|char| if char == ' ' { '-' } else { char }).collect()
}

#[test]
fn an_anchor_is_made_as_github_makes_it() {
    for (heading, anchor) in [
        ("What stands before `ingest-api`", "what-stands-before-ingest-api"),
        ("Users, rights and TLS of the servers", "users-rights-and-tls-of-the-servers"),
        ("GET /api/v1/devices/{id}", "get-apiv1devicesid"),
        ("A [link](a.md#b) in it", "a-link-in-it"),
        ("MongoDB's limits", "mongodbs-limits"),
    ] {
        assert_eq!(slug(heading), anchor);
    }
}

#[test]
fn every_path_in_backticks_exists() {
    let root = workspace_root();
    let (mut wrong, mut named) = (Vec::new(), 0);
    for document in documents() {
        for (at, line, _) in document.lines().filter(|(.., fenced)| !fenced) {
            let code = line.split('`').skip(1).step_by(2).filter_map(|code| code.split_whitespace().next());
            for path in code.filter(|code| FOLDERS.iter().any(|top| code.starts_with(top)) && !code.starts_with(MADE)) {
                named += 1;
                if !exists(&root, path) {
                    wrong.push(format!("{}:{at}: {path}", document.path.display()));
                }
            }
        }
    }
    assert!(named > 60, "only {named} paths are named");
    nothing_is_wrong(&wrong);
}

/// Returns whether a path is there, or one of those that it stands for with `*`.
fn exists(folder: &Path, path: &str) -> bool {
    let Some((before, after)) = path.split_once("*/") else { return folder.join(path.trim_end_matches('*')).exists() };
    let below = std::fs::read_dir(folder.join(before)).into_iter().flatten().flatten();
    below.map(|entry| entry.path()).any(|folder| exists(&folder, after))
}
