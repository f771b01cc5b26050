//! Who may call: keys and device tokens, and the authenticator that looks at them.
//!
//! In reading order: [`Scope`] (what a key may), [`Keys`] and [`DeviceKeys`] (what is let in),
//! [`Authenticator`] (the look at one request), [`Caller`] (what a handler learns).

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
pub use keys_file::Keys;
pub use refusal::Refusal;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Who may call the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Everyone who reaches the address
    Off,
    /// Everyone; the log says who would be refused
    Observe,
    /// Who has a key or a device token
    Enforce,
}

/// Where keys are.
#[derive(Debug, Clone, Args)]
pub struct KeySettings {
    /// File with the hashes of the keys
    #[arg(long, global = true, env = "PISYNC_KEYS_FILE")]
    pub keys_file: Option<PathBuf>,
    /// File with the master keys of the device tokens
    #[arg(long, global = true, env = "PISYNC_DEVICE_KEY_FILE")]
    pub device_key_file: Option<PathBuf>,
}
