//! The keys file: one `[[key]]` with the hash of each key, never a key itself.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use pisync_core::time::in_seconds;
use serde::{Deserialize, Serialize};

use super::{
    Scope,
    file::{self, Holds},
    key::{NewKey, Presented, StoredKey},
};

/// The valid keys, by id.
#[derive(Debug, Default)]
pub struct ApiKeys(HashMap<Box<str>, StoredKey>);

/// The file as written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysFile {
    #[serde(default, rename = "key")]
    pub(crate) keys: Vec<ApiKeyEntry>,
}

/// One `[[key]]`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyEntry {
    pub(crate) id: String,
    pub(crate) scope: Scope,
    pub(crate) sha256: String,
    pub(crate) created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Timestamp>,
}

impl ApiKeys {
    /// Reads the keys of a file that are not revoked.
    ///
    /// Fails if the file cannot be read or an entry is invalid.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        KeysFile::parse(&file::read(path, Holds::Hashes)?)
            .and_then(Self::of)
            .with_context(|| path.display().to_string())
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the stored key that was presented, if there is one.
    pub(super) fn find(&self, presented: &Presented<'_>) -> Option<&StoredKey> {
        self.0.get(presented.id).filter(|kept| kept.is(presented))
    }

    /// Returns the key with an id.
    pub(super) fn by_id(&self, id: &str) -> Option<&StoredKey> {
        self.0.get(id)
    }

    fn of(file: KeysFile) -> anyhow::Result<Self> {
        let mut keys = HashMap::new();
        for entry in file.keys {
            let kept = StoredKey::new(&entry.id, entry.scope, &entry.sha256);
            let kept = kept.context("a [[key]] without an id, or whose sha256 is not 64 hex digits")?;
            let twice = keys.insert(entry.id.into_boxed_str(), (kept, entry.revoked.is_some())).is_some();
            ensure!(!twice, "two [[key]] have the same id");
        }
        let live = keys.into_iter().filter(|(_, (_, revoked))| !revoked);
        Ok(Self(live.map(|(id, (kept, _))| (id, kept)).collect()))
    }
}

impl KeysFile {
    /// Reads the whole file, with the revoked keys.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::parse(&file::read(path, Holds::Hashes)?).with_context(|| path.display().to_string())
    }

    /// Adds a key to the file and returns the only copy of it. Creates the file if it is missing.
    pub(crate) fn add(path: &Path, scope: Scope, note: Option<String>) -> anyhow::Result<String> {
        let _lock = file::lock(path)?;
        let mut file = Self::parse(&file::read_if_there(path)?).with_context(|| path.display().to_string())?;
        let NewKey { text, id, sha256 } = NewKey::random(scope).context("asking for random bytes")?;
        file.keys.push(ApiKeyEntry { id, scope, sha256, created: now(), note, revoked: None });
        file.write(path)?;
        Ok(text)
    }

    /// Marks a key as revoked; idempotent.
    pub(crate) fn revoke(path: &Path, id: &str) -> anyhow::Result<()> {
        let _lock = file::lock(path)?;
        let mut file = Self::read(path)?;
        let Some(entry) = file.keys.iter_mut().find(|entry| entry.id == id) else { bail!("there is no such key") };
        entry.revoked.get_or_insert_with(now);
        file.write(path)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        file::parse(text, "[[key]] with id, scope, sha256, created, and optionally note and revoked")
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        file::write(path, &toml::to_string(self).context("writing TOML")?)
    }
}

/// Returns the time, truncated to seconds.
fn now() -> Timestamp {
    in_seconds(Timestamp::now())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn lets_in(path: &Path, key: &str) -> bool {
        ApiKeys::read(path).unwrap().find(&Presented::parse(key).unwrap()).is_some()
    }

    #[test]
    fn keys_are_added_and_revoked_one_by_one_and_the_file_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let one = KeysFile::add(&path, Scope::Ingest, Some("the fleet \"A\"".into())).unwrap();
        let other = KeysFile::add(&path, Scope::Ingest, None).unwrap();
        assert!(lets_in(&path, &one) && lets_in(&path, &other));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(one.rsplit('_').next().unwrap()), "{text}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        KeysFile::revoke(&path, one.split('_').nth(2).unwrap()).unwrap();
        assert!(!lets_in(&path, &one) && lets_in(&path, &other));
        assert!(KeysFile::revoke(&path, "nothing").is_err());
        assert_eq!(KeysFile::read(&path).unwrap().keys.len(), 2);
    }

    #[test]
    fn writers_at_the_same_time_lose_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| KeysFile::add(&path, Scope::Read, None).unwrap());
            }
        });
        assert_eq!(ApiKeys::read(&path).unwrap().len(), 8);
    }

    #[test]
    fn a_file_that_is_not_right_is_refused_by_its_line_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        KeysFile::add(&path, Scope::Read, None).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        for bad in [
            good.replace("sha256", "hunter2"),
            good.replace("sha256 = \"", "sha256 = \"hunter2"),
            good.replace("\"read\"", "\"hunter2\""),
            good.replace("id = ", "hunter2 ="),
            format!("{good}{good}"),
            format!("{good}revokd = \"hunter2\"\n"),
        ] {
            std::fs::write(&path, &bad).unwrap();
            let error = format!("{:#}", ApiKeys::read(&path).unwrap_err());
            assert!(error.contains("keys.toml") && !error.contains("hunter2"), "{bad}: {error}");
        }
    }
}
