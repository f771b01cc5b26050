//! Where the key of the cursors comes from: a file, or Redis, so that all processes have the same.

use std::{fs, sync::Arc};

use pisync_core::queue::{Queue, QueueError};
use tokio::sync::OnceCell;

use crate::cursor::CursorKey;

/// The fewest bytes of a key in a file.
const FEWEST: usize = 32;

/// The key, fetched when it is first needed. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct CursorKeys {
    queue: Queue,
    key: Arc<OnceCell<CursorKey>>,
}

impl CursorKeys {
    /// With the key of the settings, or with the one that all processes share in Redis.
    pub fn new(queue: Queue, given: Option<CursorKey>) -> Self {
        Self { queue, key: Arc::new(OnceCell::new_with(given)) }
    }

    /// The key. Fails where it is not known yet and Redis is away.
    pub async fn key(&self) -> Result<&CursorKey, QueueError> {
        self.key.get_or_try_init(async || Ok(CursorKey::new(&self.queue.cursor_key().await?))).await
    }

    /// The key, if it was needed before.
    pub(crate) fn known(&self) -> Option<&CursorKey> {
        self.key.get()
    }
}

/// Reads a key from a file; what is around it in white space is no part of it.
pub(crate) fn from_file(path: &str) -> Result<CursorKey, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let key = bytes.trim_ascii();
    if key.len() < FEWEST {
        return Err(format!("a key has at least {FEWEST} bytes: make one by `openssl rand -hex 32`"));
    }
    Ok(CursorKey::new(key))
}
