//! `psk_<scope>_<id>_<secret>`: a key, its scope, and its stored hash.

use std::{fmt, sync::Arc};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Sizes of an id and of a secret: 64 and 256 random bits.
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// The scope of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Post events
    Ingest,
    /// Read all data, and the metrics
    Read,
    /// Read, and treat alerts
    Operate,
    /// Everything
    Admin,
}

impl Scope {
    /// Returns whether a key of this scope covers `demanded`.
    pub fn reaches(self, demanded: Self) -> bool {
        self == demanded || self == Self::Admin || (self == Self::Operate && demanded == Self::Read)
    }

    /// Returns the word in a key and in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A new key: the only time that its secret is known.
pub(crate) struct NewKey {
    /// The key itself, for the person who asked for it.
    pub(crate) text: String,
    /// The id, as stored in the file.
    pub(crate) id: String,
    /// SHA-256 of the text, in hexadecimal digits.
    pub(crate) sha256: String,
}

impl NewKey {
    /// Returns a new random key.
    ///
    /// Fails if the operating system returns no random bytes.
    pub(crate) fn random(scope: Scope) -> Result<Self, getrandom::Error> {
        let id = random_digits::<ID_BYTES>()?;
        let text = format!("psk_{scope}_{id}_{}", random_digits::<SECRET_BYTES>()?);
        let sha256 = hex::encode(Sha256::digest(&text));
        Ok(Self { text, id, sha256 })
    }
}

/// Returns `N` random bytes from the operating system, in hexadecimal digits.
pub(super) fn random_digits<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// A key as a caller presents it: well-formed, but not looked up yet.
pub(super) struct Presented<'a> {
    text: &'a str,
    scope: &'a str,
    pub(super) id: &'a str,
}

impl<'a> Presented<'a> {
    /// Returns `None` if the text is not in the form of a key.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scope, rest) = text.strip_prefix("psk_")?.split_once('_')?;
        let (id, secret) = rest.split_once('_')?;
        let fits = id.len() == 2 * ID_BYTES && secret.len() == 2 * SECRET_BYTES;
        fits.then_some(Self { text, scope, id })
    }
}

/// A stored key.
#[derive(Debug)]
pub(super) struct StoredKey {
    pub(super) id: Arc<str>,
    pub(super) scope: Scope,
    sha256: [u8; 32],
}

impl StoredKey {
    /// Returns `None` if `sha256` is not a SHA-256 in hexadecimal digits.
    pub(super) fn new(id: &str, scope: Scope, sha256: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(sha256, &mut hash).ok()?;
        (!id.is_empty()).then(|| Self { id: id.into(), scope, sha256: hash })
    }

    /// Returns whether this is the presented key; runs in the same time whichever byte differs.
    pub(super) fn is(&self, presented: &Presented<'_>) -> bool {
        // The hash covers the scope, so the presented scope can be believed.
        presented.scope == self.scope.as_str()
            && bool::from(Sha256::digest(presented.text).as_slice().ct_eq(&self.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Scope; 4] = [Scope::Ingest, Scope::Read, Scope::Operate, Scope::Admin];

    #[test]
    fn a_scope_reaches_itself_and_what_the_table_says() {
        let reached: Vec<Vec<_>> =
            ALL.map(|scope| ALL.into_iter().filter(|demanded| scope.reaches(*demanded)).collect()).into();
        assert_eq!(reached, [vec![Scope::Ingest], vec![Scope::Read], vec![Scope::Read, Scope::Operate], ALL.to_vec()]);
    }

    #[test]
    fn a_key_always_has_the_same_shape_and_never_the_same_secret() {
        for scope in ALL {
            let (one, other) = (NewKey::random(scope).unwrap(), NewKey::random(scope).unwrap());
            let parts: Vec<_> = one.text.split('_').collect();
            assert_eq!((parts.len(), parts[0], parts[1], parts[2]), (4, "psk", scope.as_str(), one.id.as_str()));
            assert_eq!((parts[2].len(), parts[3].len()), (16, 64));
            assert_ne!((&one.id, &one.text), (&other.id, &other.text));
            assert!(!one.sha256.contains(parts[3]));
        }
    }

    #[test]
    fn only_the_very_key_is_the_key() {
        let key = NewKey::random(Scope::Read).unwrap();
        let kept = StoredKey::new(&key.id, Scope::Read, &key.sha256).unwrap();
        let is = |text: &str| Presented::parse(text).is_some_and(|presented| kept.is(&presented));
        assert!(is(&key.text));
        let last = if key.text.ends_with('0') { "1" } else { "0" };
        assert!(!is(&format!("{}{last}", &key.text[..key.text.len() - 1])));
        assert!(!is(&key.text.replace("psk_read", "psk_admin")));
        assert!(!is(&NewKey::random(Scope::Read).unwrap().text));
        for malformed in ["", "psk_", "psk_read", "psk_read_ab_cd", "pdt_1_61_00", &format!("{}0", key.text)] {
            assert!(Presented::parse(malformed).is_none(), "{malformed}");
        }
    }
}
