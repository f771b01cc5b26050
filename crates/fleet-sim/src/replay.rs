//! `fleet-sim replay`: posts recorded bodies unchanged, one per line.

use std::{
    fs::File,
    io::{BufRead, BufReader, Lines},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;

use crate::{
    config::ReplaySettings,
    report,
    workers::{self, Job},
};

/// Posts all lines of the file and prints the figures. Returns true if every one was accepted.
pub async fn run(settings: ReplaySettings) -> anyhow::Result<bool> {
    let recording = Recording::open(&settings.file)?;
    let workers = (0..settings.posting.concurrency).map(|_| recording.clone()).collect();
    let driven = workers::drive(&settings.posting, workers, None).await?;
    report::print(settings.posting.json, &driven.figures, driven.figures.rows())?;
    Ok(driven.figures.all_accepted() && !driven.stopped)
}

/// The lines of a file. Clones share them, and each line goes to the first worker that asks. So with several workers,
/// lines may arrive in another order than in the file.
#[derive(Clone)]
struct Recording {
    lines: Arc<Mutex<Lines<BufReader<File>>>>,
    name: Arc<str>,
}

impl Recording {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        Ok(Self { lines: Arc::new(Mutex::new(BufReader::new(file).lines())), name: name.into() })
    }
}

impl Iterator for Recording {
    type Item = anyhow::Result<Job>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.find(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty()))?;
        let job = line.map(|body| Job { body, due: None, again: false, watch: None });
        Some(job.with_context(|| format!("reading {}", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_sent_once_and_as_it_is() {
        let recorded = [r#"{"deviceId": "a" }"#, "not JSON", "\t[1e2]  "];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}\n\n{}\n{}", recorded[0], recorded[1], recorded[2])).unwrap();
        let first = Recording::open(file.path()).unwrap();
        let mut workers = [first.clone(), first];
        let mut bodies = Vec::new();
        while let Some(job) = workers[bodies.len() % 2].next() {
            bodies.push(job.unwrap().body);
        }
        assert_eq!(bodies, recorded);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Recording::open(Path::new("no/such.ndjson")).err().unwrap();
        assert!(error.to_string().contains("no/such.ndjson"));
    }
}
