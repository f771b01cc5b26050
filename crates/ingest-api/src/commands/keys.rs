//! `keys`: creates, lists and revokes keys, with the files only.

use std::path::Path;

use clap::Subcommand;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use pisync_core::{
    models::{DeviceId, InvalidDeviceId},
    settings,
};

use crate::http::auth::{DeviceKeys, KeySettings, Scope, keys_file::KeysFile};

/// Subcommands of `keys`.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysCommand {
    /// Add a key to the keys file and print it once
    New {
        /// Scope of the key
        #[arg(long, value_enum)]
        scope: Scope,
        /// Owner or purpose of the key
        #[arg(long)]
        note: Option<String>,
    },
    /// List the keys of the keys file, without secrets
    List,
    /// Mark a key as revoked
    Revoke {
        /// Id: the third part of the key
        id: String,
    },
    /// Add a master key to the device key file; tokens of older ones stay good
    NewDeviceKey,
    /// Remove the master key of an epoch from the device key file: its tokens become invalid
    RevokeDeviceKey {
        /// The number in its tokens, after pdt_: 0 to 4294967295
        epoch: u32,
    },
    /// Print the token of a device
    DeviceToken {
        /// The device id
        #[arg(value_parser = device_id)]
        device_id: DeviceId,
    },
}

impl KeysCommand {
    pub(super) fn run(&self, settings: &KeySettings) -> anyhow::Result<()> {
        match self {
            Self::New { scope, note } => say(KeysFile::add(keys_file(settings), *scope, note.clone())?),
            Self::List => list(&KeysFile::read(keys_file(settings))?),
            Self::Revoke { id } => {
                KeysFile::revoke(keys_file(settings), id)?;
                say(format_args!("{id} is revoked; send SIGHUP to each ingest-api"));
            }
            Self::NewDeviceKey => {
                let epoch = DeviceKeys::add(device_key_file(settings))?;
                say(format_args!("epoch {epoch} is in the file; send SIGHUP to each ingest-api"));
            }
            Self::RevokeDeviceKey { epoch } => {
                DeviceKeys::remove(device_key_file(settings), *epoch)?;
                say(format_args!("tokens of epoch {epoch} end; send SIGHUP to each ingest-api"));
            }
            Self::DeviceToken { device_id } => {
                say(DeviceKeys::read(device_key_file(settings))?.token(device_id)?);
            }
        }
        Ok(())
    }
}

fn list(file: &KeysFile) {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(["id", "scope", "created", "revoked", "note"]);
    for key in &file.keys {
        let revoked = key.revoked.map(|at| at.to_string()).unwrap_or_default();
        let (created, note) = (key.created.to_string(), key.note.clone().unwrap_or_default());
        table.add_row([key.id.clone(), key.scope.to_string(), created, revoked, note]);
    }
    say(table);
}

fn keys_file(settings: &KeySettings) -> &Path {
    settings.keys_file.as_deref().unwrap_or_else(|| missing("--keys-file (PISYNC_KEYS_FILE)"))
}

fn device_key_file(settings: &KeySettings) -> &Path {
    settings.device_key_file.as_deref().unwrap_or_else(|| missing("--device-key-file (PISYNC_DEVICE_KEY_FILE)"))
}

fn missing(setting: &str) -> ! {
    settings::reject(format_args!("{setting} is needed"))
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}

/// Parses the device id of a token, in the form that its reports will have.
fn device_id(text: &str) -> Result<DeviceId, InvalidDeviceId> {
    DeviceId::of_report(text)
}
