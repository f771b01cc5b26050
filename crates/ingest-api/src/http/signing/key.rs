//! The key that signs sessions, links and cursors: HMAC-SHA256 (RFC 2104), one scope for each use.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a seal: the first 128 bits of the MAC.
pub(crate) const SEAL: usize = 16;

/// A key, optionally with former keys, which only verify.
#[derive(Clone)]
pub struct SigningKey(Vec<Hmac<Sha256>>);

impl SigningKey {
    /// Returns a key of any length; below 32 bytes it is easier to guess than the seal.
    pub fn new(bytes: &[u8]) -> Self {
        let Ok(hmac) = Hmac::new_from_slice(bytes) else { unreachable!("HMAC takes keys of any length") };
        Self(vec![hmac])
    }

    /// Adds a former key, whose seals stay valid.
    #[must_use]
    pub(crate) fn and_opens(mut self, former: &[u8]) -> Self {
        self.0.extend(Self::new(former).0);
        self
    }

    /// Returns the seal of a text, valid in one scope only.
    pub(crate) fn seal(&self, scope: &[u8], text: &[u8]) -> [u8; SEAL] {
        self.mac(scope, text)[..SEAL].try_into().unwrap_or_default()
    }

    /// Returns whether a text was sealed with this key in this scope.
    pub(crate) fn is_sealed(&self, scope: &[u8], text: &[u8], seal: &[u8; SEAL]) -> bool {
        self.0.iter().any(|key| mac(key, scope, text).verify_truncated_left(seal).is_ok())
    }

    /// Returns a signature of a text, valid for one purpose only.
    pub(crate) fn sign(&self, purpose: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(purpose.as_bytes(), text.as_bytes()))
    }

    /// Returns whether a text was signed with this key for this purpose.
    pub(crate) fn is_signed(&self, purpose: &str, text: &str, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.0.iter().any(|key| mac(key, purpose.as_bytes(), text.as_bytes()).verify_slice(&signature).is_ok())
    }

    /// Returns the MAC by the first key.
    fn mac(&self, scope: &[u8], text: &[u8]) -> [u8; 32] {
        self.0.first().map(|key| mac(key, scope, text).finalize().into_bytes().into()).unwrap_or_default()
    }
}

/// The length of the scope comes first, so that no byte moves between scope and text.
fn mac(key: &Hmac<Sha256>, scope: &[u8], text: &[u8]) -> Hmac<Sha256> {
    key.clone().chain_update((scope.len() as u64).to_be_bytes()).chain_update(scope).chain_update(text)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_nowhere() {
        assert_eq!(format!("{:?}", SigningKey::new(&[7; 32])), "(secret)");
    }

    #[test]
    fn what_is_sealed_for_one_use_opens_no_other() {
        let (key, other) = (SigningKey::new(&[7; 32]), SigningKey::new(&[8; 32]));
        let (seal, signature) = (key.seal(b"ab", b"c"), key.sign("ab", "c"));
        assert!(key.is_sealed(b"ab", b"c", &seal) && key.is_signed("ab", "c", &signature));
        assert!(!key.is_sealed(b"a", b"bc", &seal) && !key.is_signed("a", "bc", &signature));
        assert!(!other.is_sealed(b"ab", b"c", &seal) && !other.is_signed("ab", "c", &signature));
        assert!(!key.is_signed("ab", "c", &URL_SAFE_NO_PAD.encode(seal)), "a seal is no signature");
        assert!(other.and_opens(&[7; 32]).is_sealed(b"ab", b"c", &seal));
    }
}
