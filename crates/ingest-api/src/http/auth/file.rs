//! Files of keys: reloaded on request, written atomically.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use anyhow::Context;
use pisync_core::signing_keys;

/// The content of a file, as last read.
#[derive(Debug)]
pub(super) struct Reread<T> {
    path: PathBuf,
    read: fn(&Path) -> anyhow::Result<T>,
    held: RwLock<T>,
}

impl<T> Reread<T> {
    /// Reads the file for the first time.
    pub(super) fn open(path: &Path, read: fn(&Path) -> anyhow::Result<T>) -> anyhow::Result<Self> {
        Ok(Self { path: path.to_owned(), read, held: RwLock::new(read(path)?) })
    }

    /// Reloads the file; on failure the last content stays.
    pub(super) fn again(&self) -> anyhow::Result<()> {
        let new = (self.read)(&self.path)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Calls `look` with the content.
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the text of a file that only its owner may write; if it holds secrets, only its owner may read it.
///
/// Fails with the mode and the remedy.
pub(super) fn read(path: &Path, holds: Holds) -> anyhow::Result<String> {
    let (forbidden, remedy) = match holds {
        Holds::Hashes => (0o022, "chmod go-w"),
        Holds::Secrets => (0o027, "chmod 600"),
    };
    signing_keys::private(path, forbidden, remedy).map_err(anyhow::Error::msg)
}

/// Content of a file, which decides the modes it may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    /// Hashes of keys; harmless to a reader.
    Hashes,
    /// Secrets that make tokens.
    Secrets,
}

/// Returns the text of a file; empty if it does not exist.
pub(super) fn read_if_there(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text.with_context(|| format!("reading {}", path.display())),
    }
}

/// Parses TOML. An error names the line but quotes nothing from it, since it may hold a secret.
pub(super) fn parse<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        anyhow::anyhow!("line {}: expected {what}", before.matches('\n').count() + 1)
    })
}

/// Locks the file against other writers until the lock is dropped; waits for it.
pub(super) fn lock(path: &Path) -> anyhow::Result<File> {
    let path = beside(path, ".lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("making {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}

/// Replaces the file by `text`: a concurrent reader, or one after a crash, finds the old file or the new one.
/// Only its owner may read it. The caller holds the [`lock`].
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = beside(path, ".new");
    let written = replace(path, &new, text);
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.with_context(|| format!("writing {}", path.display()))
}

fn replace(path: &Path, new: &Path, text: &str) -> io::Result<()> {
    // A file left by a crash may have another mode.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
