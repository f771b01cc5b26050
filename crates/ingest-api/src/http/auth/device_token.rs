//! `pdt_<epoch>_<device id in hex>_<mac>`: a token of one device, checked without a list of devices.

use std::{collections::HashMap, fmt, path::Path};

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use pisync_core::models::DeviceId;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{file, key::random_digits};

/// Size of a secret and of a MAC, in bytes.
const BYTES: usize = 32;
/// Maximum size of a device id, in bytes.
const DEVICE_ID_BYTES: usize = 4 * DeviceId::MAX_CHARS;

/// The master keys by epoch. A token is valid only if its epoch has a key here.
pub struct DeviceKeys(HashMap<u32, Hmac<Sha256>>);

/// The file as written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceKeysFile {
    #[serde(default, rename = "device_key")]
    device_keys: Vec<Entry>,
}

/// One `[[device_key]]`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    epoch: u32,
    secret: String,
}

impl DeviceKeys {
    /// Reads the master keys of a file.
    ///
    /// Fails if the file cannot be read or an entry is invalid.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        DeviceKeysFile::parse(&file::read(path, file::Holds::Secrets)?)
            .and_then(Self::of)
            .with_context(|| path.display().to_string())
    }

    /// Adds the master key of a new epoch to the file and keeps the older ones. Creates the file if it is
    /// missing.
    pub(crate) fn add(path: &Path) -> anyhow::Result<u32> {
        let _lock = file::lock(path)?;
        let mut file = DeviceKeysFile::read_if_there(path)?;
        let newest = file.device_keys.iter().map(|entry| entry.epoch).max().unwrap_or(0);
        let epoch = newest.checked_add(1).context("there is no epoch after the newest")?;
        let secret = random_digits::<BYTES>().context("asking for random bytes")?;
        file.device_keys.push(Entry { epoch, secret });
        file.write(path)?;
        Ok(epoch)
    }

    /// Removes the master key of an epoch from the file.
    ///
    /// Fails if there is none of this epoch.
    pub(crate) fn remove(path: &Path, epoch: u32) -> anyhow::Result<()> {
        let _lock = file::lock(path)?;
        let mut file = DeviceKeysFile::read_if_there(path)?;
        let count = file.device_keys.len();
        file.device_keys.retain(|entry| entry.epoch != epoch);
        ensure!(file.device_keys.len() < count, "{} has no [[device_key]] of epoch {epoch}", path.display());
        file.write(path)
    }

    /// Returns the token of a device, of the newest epoch.
    ///
    /// Fails if there is no master key.
    pub(crate) fn token(&self, device_id: &DeviceId) -> anyhow::Result<String> {
        let epoch = self.0.keys().max().context("the file has no [[device_key]]")?;
        let mac = mac(&self.0[epoch], &epoch.to_string(), device_id.as_str().as_bytes()).finalize().into_bytes();
        Ok(format!("pdt_{epoch}_{}_{}", hex::encode(device_id.as_str()), hex::encode(mac)))
    }

    /// Returns the device of a token; `None` if the token is invalid. Runs in the same time whichever byte of
    /// the MAC differs.
    pub(super) fn find(&self, text: &str) -> Option<DeviceId> {
        let (epoch, rest) = text.strip_prefix("pdt_")?.split_once('_')?;
        // A token has exactly one spelling.
        let (device_id, given) = rest.split_once('_').filter(|_| !rest.bytes().any(|b| b.is_ascii_uppercase()))?;
        let (mut id_room, mut mac_room) = ([0; DEVICE_ID_BYTES], [0; BYTES]);
        let id = id_room.get_mut(..device_id.len() / 2)?;
        hex::decode_to_slice(device_id, id).ok()?;
        hex::decode_to_slice(given, &mut mac_room).ok()?;
        // The MAC covers the epoch as written, so there is one spelling.
        let key = self.0.get(&epoch.parse().ok()?)?;
        mac(key, epoch, id).verify_slice(&mac_room).ok()?;
        DeviceId::parse(std::str::from_utf8(id).ok()?).ok()
    }

    fn of(file: DeviceKeysFile) -> anyhow::Result<Self> {
        let mut keys = HashMap::new();
        for Entry { epoch, secret } in file.device_keys {
            let mut bytes = [0; BYTES];
            hex::decode_to_slice(&secret, &mut bytes)
                .ok()
                .with_context(|| format!("the secret of epoch {epoch} is not 64 hex digits"))?;
            let twice = keys.insert(epoch, Hmac::new_from_slice(&bytes)?).is_some();
            ensure!(!twice, "two [[device_key]] have the epoch {epoch}");
        }
        Ok(Self(keys))
    }
}

fn mac(key: &Hmac<Sha256>, epoch: &str, device_id: &[u8]) -> Hmac<Sha256> {
    // A keyed state is cloned: keying it anew would be half of the work.
    key.clone().chain_update(epoch).chain_update([0]).chain_update(device_id)
}

impl DeviceKeysFile {
    fn parse(text: &str) -> anyhow::Result<Self> {
        file::parse(text, "[[device_key]] with epoch and secret")
    }

    fn read_if_there(path: &Path) -> anyhow::Result<Self> {
        Self::parse(&file::read_if_there(path)?).with_context(|| path.display().to_string())
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        file::write(path, &toml::to_string(self).context("writing TOML")?)
    }
}

impl fmt::Debug for DeviceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    use super::*;

    fn device(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    #[test]
    fn a_token_names_its_device_and_any_change_makes_it_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device-keys.toml");
        DeviceKeys::add(&path).unwrap();
        let keys = DeviceKeys::read(&path).unwrap();
        for name in ["pibook-1", "école_7", &"🍓".repeat(128)] {
            let token = keys.token(&device(name)).unwrap();
            assert_eq!(keys.find(&token), Some(device(name)));
            for at in 0..token.len() {
                let other = if &token[at..=at] == "1" { "2" } else { "1" };
                let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
                assert_eq!(keys.find(&changed), None, "{changed}");
            }
            let (whole, mac) = token.rsplit_once('_').unwrap();
            for other in [&token[..token.len() - 2], &format!("{whole}_"), &format!("{whole}_{}", mac.to_uppercase())] {
                assert_eq!(keys.find(other), None, "{other}");
            }
            assert_eq!(keys.find(&token.replacen("pdt_1", "pdt_01", 1)), None);
            assert_eq!(keys.find(&token.replacen("pdt_1", "pdt_+1", 1)), None);
        }
    }

    #[test]
    fn a_new_epoch_leaves_the_older_ones_until_they_are_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device-keys.toml");
        assert_eq!(DeviceKeys::add(&path).unwrap(), 1);
        let old = DeviceKeys::read(&path).unwrap().token(&device("a")).unwrap();
        assert_eq!(DeviceKeys::add(&path).unwrap(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let both = DeviceKeys::read(&path).unwrap();
        let new = both.token(&device("a")).unwrap();
        assert!(new.starts_with("pdt_2_") && both.find(&new).is_some() && both.find(&old).is_some());

        DeviceKeys::remove(&path, 1).unwrap();
        assert!(DeviceKeys::remove(&path, 1).unwrap_err().to_string().contains("epoch 1"));
        let one = DeviceKeys::read(&path).unwrap();
        assert!(one.find(&new).is_some() && one.find(&old).is_none());
    }

    #[test]
    fn a_secret_shows_neither_in_an_error_nor_in_debug() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device-keys.toml");
        std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
        for bad in ["secret = 'hunter2'", "epoch = 'hunter2'\nsecret = 'hunter2'", "epoch = 1\nsecret = 'hunter2'"] {
            std::fs::write(&path, format!("[[device_key]]\n{bad}\n")).unwrap();
            let error = format!("{:#}", DeviceKeys::read(&path).unwrap_err());
            assert!(error.contains("device-keys.toml") && !error.contains("hunter2"), "{error}");
        }
        let secret = "ab".repeat(32);
        std::fs::write(&path, format!("[[device_key]]\nepoch = 7\nsecret = '{secret}'\n")).unwrap();
        assert_eq!(format!("{:?}", DeviceKeys::read(&path).unwrap()), "{7}");
    }
}
