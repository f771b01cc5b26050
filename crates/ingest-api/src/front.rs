//! What stands before the routes: keys, origins and TLS, as the settings say.

use std::{path::Path, sync::Arc};

use actix_web::web::Data;
use pisync_core::settings;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    auth::{Auth, Gate},
    config::Config,
    cors::Origins,
    tls::Certificate,
};

/// What stands before the routes.
#[derive(Debug, Clone)]
pub struct Front {
    /// Who may call.
    pub gate: Data<Gate>,
    /// Pages of which origins may read.
    pub origins: Data<Origins>,
    /// What the process shows of itself, if it speaks TLS.
    pub certificate: Option<Arc<Certificate>>,
}

impl Front {
    /// Opens the files that the settings name; a bad one ends the process with status 2.
    pub fn open(config: &Config) -> Self {
        Self {
            gate: Data::new(gate(config)),
            origins: Data::new(Origins(config.front.cors_origins.clone())),
            certificate: certificate(config),
        }
    }

    /// Reads the files again at each SIGHUP.
    ///
    /// Fails where the process may not install signal handlers.
    pub fn read_again_on_hangup(&self) -> std::io::Result<()> {
        let (front, mut hangup) = (self.clone(), signal(SignalKind::hangup())?);
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                front.gate.read_again();
                front.certificate.iter().for_each(|certificate| certificate.read_again());
            }
        });
        Ok(())
    }
}

fn gate(config: &Config) -> Gate {
    let settings = &config.front;
    let mode = settings.auth.unwrap_or(Auth::Off);
    let mut gate = Gate::new(mode);
    if mode == Auth::Off {
        return gate;
    }
    match &config.keys.keys_file {
        Some(path) => gate = or_reject(gate.with_keys(path), "--keys-file (PISYNC_KEYS_FILE)"),
        None if mode == Auth::Enforce => {
            reject("--auth enforce (PISYNC_AUTH) needs --keys-file (PISYNC_KEYS_FILE); `keys new` makes one")
        }
        None => {}
    }
    if let Some(path) = &config.keys.device_key_file {
        gate = or_reject(gate.with_device_keys(path), "--device-key-file (PISYNC_DEVICE_KEY_FILE)");
    }
    gate
}

fn certificate(config: &Config) -> Option<Arc<Certificate>> {
    let open = |chain: &Path, key: &Path| {
        or_reject(Certificate::open(chain, key), "--tls-cert (PISYNC_TLS_CERT) and --tls-key (PISYNC_TLS_KEY)")
    };
    match (&config.front.tls_cert, &config.front.tls_key) {
        (Some(chain), Some(key)) => Some(open(chain, key)),
        (None, None) => None,
        _ => reject("--tls-cert (PISYNC_TLS_CERT) and --tls-key (PISYNC_TLS_KEY) need each other"),
    }
}

fn or_reject<T>(opened: anyhow::Result<T>, setting: &str) -> T {
    opened.unwrap_or_else(|error| reject(&format!("{setting}: {error:#}")))
}

fn reject(message: &str) -> ! {
    settings::reject(&mut <Config as clap::CommandFactory>::command(), message)
}
