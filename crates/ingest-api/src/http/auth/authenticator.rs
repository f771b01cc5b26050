//! Authenticates one request: reads its credential and checks its scope.

use std::{path::Path, sync::Arc};

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
};

use super::{ApiKeys, Auth, Caller, DeviceKeys, Refusal, Scope, file::Reread, key::Presented, observe_log::ObserveLog};

/// Holds the keys and admits or refuses callers.
#[derive(Debug)]
pub struct Authenticator {
    mode: Auth,
    keys: Option<Reread<ApiKeys>>,
    device_keys: Option<Reread<DeviceKeys>>,
    observe_log: Arc<ObserveLog>,
}

impl Authenticator {
    /// Returns an authenticator without keys.
    pub fn new(mode: Auth) -> Self {
        Self { mode, keys: None, device_keys: None, observe_log: Arc::default() }
    }

    /// Adds the keys of this file.
    ///
    /// Fails if it cannot be read.
    pub fn with_keys(self, path: &Path) -> anyhow::Result<Self> {
        Ok(Self { keys: Some(Reread::open(path, ApiKeys::read)?), ..self })
    }

    /// Adds the master keys of this file, whose device tokens are admitted.
    ///
    /// Fails if it cannot be read.
    pub fn with_device_keys(self, path: &Path) -> anyhow::Result<Self> {
        Ok(Self { device_keys: Some(Reread::open(path, DeviceKeys::read)?), ..self })
    }

    /// Reloads the files; an invalid one leaves the keys read before.
    pub fn read_again(&self) {
        let read = [
            ("keys", self.keys.as_ref().map(Reread::again)),
            ("device_keys", self.device_keys.as_ref().map(Reread::again)),
        ];
        for (what, read) in read {
            match read {
                Some(Ok(())) => log::info!(what; "reloaded"),
                Some(Err(error)) => {
                    log::error!(what, error:% = format!("{error:#}"); "not reloaded, the old ones stay in force");
                }
                None => {}
            }
        }
    }

    /// Returns the authentication mode.
    pub(crate) fn mode(&self) -> Auth {
        self.mode
    }

    /// Returns the id and the scope of a key.
    pub(crate) fn key_of(&self, text: &str) -> Option<(Arc<str>, Scope)> {
        let key = Presented::parse(text)?;
        self.keys.as_ref()?.look(|keys| keys.find(&key).map(|kept| (Arc::clone(&kept.id), kept.scope)))
    }

    /// Returns the scope of the key with this id, unless it is revoked. Used for a session that began with it.
    pub(crate) fn scope_of(&self, id: &str) -> Option<Scope> {
        self.keys.as_ref()?.look(|keys| keys.by_id(id).map(|kept| kept.scope))
    }

    /// Returns the caller, if it has the scope `demanded`.
    pub(crate) fn admit(&self, request: &HttpRequest, demanded: Scope) -> Result<Caller, Refusal> {
        if self.mode == Auth::Off {
            return Ok(Caller::anyone());
        }
        let admitted = self.identify(request.headers()).and_then(|caller| {
            caller.reaches(demanded)?;
            Ok(caller)
        });
        match admitted {
            Ok(caller) if self.mode == Auth::Observe => Ok(caller.observed(&self.observe_log)),
            Err(refusal) if self.mode == Auth::Observe => {
                let (method, path) = (request.method(), request.path());
                match request.peer_addr() {
                    Some(peer) => self.observe_log.say(&refusal, format_args!("{method} {path} from {}", peer.ip())),
                    None => self.observe_log.say(&refusal, format_args!("{method} {path}")),
                }
                Ok(Caller::anyone())
            }
            admitted => admitted,
        }
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let presented = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoKey)?;
        let token = presented.to_str().ok().and_then(bearer).ok_or(Refusal::UnknownKey)?;
        let found = match Presented::parse(token) {
            Some(key) => self.keys.as_ref().and_then(|keys| {
                keys.look(|keys| keys.find(&key).map(|kept| Caller::key(Arc::clone(&kept.id), kept.scope)))
            }),
            None => self.device_keys.as_ref().and_then(|keys| keys.look(|keys| keys.find(token))).map(Caller::device),
        };
        found.ok_or(Refusal::UnknownKey)
    }
}

/// Returns the text after the word `Bearer`, in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_is_read() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for other in ["", "Bearer", "Basic abc", "abc"] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
