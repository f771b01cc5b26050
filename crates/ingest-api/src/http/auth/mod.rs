//! Authentication: keys, device tokens, and the authenticator that checks them.
//!
//! In reading order: [`Scope`] (the rights of a key), [`ApiKeys`] and [`DeviceKeys`] (the valid credentials),
//! [`Authenticator`] (checks one request), [`Caller`] (the result for a handler).

mod authenticator;
mod caller;
pub(crate) mod device_token;
mod file;
pub(crate) mod key;
pub(crate) mod keys_file;
mod observe_log;
mod refusal;

pub use authenticator::Authenticator;
pub use caller::Caller;
pub use device_token::DeviceKeys;
pub use key::Scope;
pub use keys_file::ApiKeys;
pub use refusal::Refusal;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Authentication mode of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// No authentication
    Off,
    /// Everyone is admitted; refusals are only logged
    Observe,
    /// A key or a device token is required
    Enforce,
}

/// Files of the keys.
#[derive(Debug, Clone, Args)]
pub struct KeySettings {
    /// File with the hashes of the keys
    #[arg(long, global = true, env = "PISYNC_KEYS_FILE")]
    pub keys_file: Option<PathBuf>,
    /// File with the master keys of the device tokens
    #[arg(long, global = true, env = "PISYNC_DEVICE_KEY_FILE")]
    pub device_key_file: Option<PathBuf>,
}
