//! The keys that sign sessions, links and cursors: from a file, or random for this process.

mod key;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use pisync_core::{settings::Secret, signing_keys};

pub(crate) use self::key::SEAL;
pub use self::key::SigningKey;

/// Maximum number of former keys that were removed from the file. They still verify their seals, until those
/// expire.
const FORMER: usize = 8;

/// The keys. Clones share them.
#[derive(Debug, Clone)]
pub struct SigningKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: Option<PathBuf>,
    held: RwLock<(Vec<Secret>, Arc<SigningKey>)>,
}

impl SigningKeys {
    /// Reads the keys of a file.
    ///
    /// Fails with the fault of the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        Ok(Self::with(Some(path.to_owned()), signing_keys::read(path)?))
    }

    /// Returns a random key. It ends with the process, and so do its seals.
    ///
    /// Fails if the operating system returns no random bytes.
    pub fn of_process() -> Result<Self, String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        Ok(Self::with(None, vec![Secret::new(URL_SAFE_NO_PAD.encode(random))]))
    }

    fn with(path: Option<PathBuf>, keys: Vec<Secret>) -> Self {
        let key = Arc::new(key(&keys));
        Self(Arc::new(Inner { path, held: RwLock::new((keys, key)) }))
    }

    /// Returns the key that signs; it also verifies the seals of its predecessors.
    pub fn key(&self) -> Arc<SigningKey> {
        Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Reloads the file. The former keys still verify; an invalid file leaves the keys unchanged.
    pub(crate) fn read_again(&self) {
        let Some(path) = &self.0.path else { return };
        match signing_keys::read(path) {
            Ok(mut keys) => {
                let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
                let former: Vec<_> = held.0.iter().filter(|key| !keys.contains(key)).cloned().collect();
                keys.extend(former.into_iter().take(FORMER));
                *held = (keys.clone(), Arc::new(key(&keys)));
                log::info!(what = "signing_keys"; "reloaded");
            }
            Err(error) => {
                log::error!(what = "signing_keys", error:% = error; "not reloaded, the old ones stay in force");
            }
        }
    }
}

fn key(keys: &[Secret]) -> SigningKey {
    let (first, further) =
        keys.split_first().map_or((&b""[..], &[][..]), |(first, further)| (first.expose().as_bytes(), further));
    further.iter().fold(SigningKey::new(first), |key, former| key.and_opens(former.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn write(path: &Path, key: &str) {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).mode(0o600).open(path);
        file.unwrap().write_all(key.as_bytes()).unwrap();
    }

    #[test]
    fn what_a_former_key_sealed_still_opens_and_a_new_process_has_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing");
        write(&path, &"a".repeat(32));
        let keys = SigningKeys::open(&path).unwrap();
        let signed = keys.key().sign("purpose", "text");
        write(&path, &"b".repeat(32));
        keys.read_again();
        assert!(keys.key().is_signed("purpose", "text", &signed));
        assert_ne!(keys.key().sign("purpose", "text"), signed);
        write(&path, "short");
        keys.read_again();
        assert!(keys.key().is_signed("purpose", "text", &signed));
        write(&path, &"b".repeat(32));
        assert!(!SigningKeys::open(&path).unwrap().key().is_signed("purpose", "text", &signed));
        let [one, other] = [(); 2].map(|()| SigningKeys::of_process().unwrap());
        assert_ne!(one.key().sign("purpose", "text"), other.key().sign("purpose", "text"));
    }
}
