//! `keys`: makes, shows and revokes keys, for which it needs the files alone.

use std::path::Path;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use pisync_core::settings;

use crate::{
    config::{Config, KeySettings, KeysCommand},
    http::auth::{DeviceKeys, keys_file::KeysFile},
};

/// Does what the operator asks.
///
/// Fails if a file cannot be read or written, or if what was named is not there.
pub(super) fn run(command: &KeysCommand, settings: &KeySettings) -> anyhow::Result<()> {
    match command {
        KeysCommand::New { scope, note } => say(KeysFile::add(keys_file(settings), *scope, note.clone())?),
        KeysCommand::List => list(&KeysFile::read(keys_file(settings))?),
        KeysCommand::Revoke { id } => {
            KeysFile::revoke(keys_file(settings), id)?;
            say(format_args!("{id} is revoked; send SIGHUP to each ingest-api"));
        }
        KeysCommand::NewDeviceKey => {
            let epoch = DeviceKeys::add(device_key_file(settings))?;
            say(format_args!("epoch {epoch} is in the file; send SIGHUP to each ingest-api"));
        }
        KeysCommand::RevokeDeviceKey { epoch } => {
            DeviceKeys::remove(device_key_file(settings), *epoch)?;
            say(format_args!("tokens of epoch {epoch} end; send SIGHUP to each ingest-api"));
        }
        KeysCommand::DeviceToken { device_id } => {
            say(DeviceKeys::read(device_key_file(settings))?.token(device_id)?);
        }
    }
    Ok(())
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
    settings::reject(&mut <Config as clap::CommandFactory>::command(), format_args!("{setting} is needed"))
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn say(answer: impl std::fmt::Display) {
    println!("{answer}");
}
