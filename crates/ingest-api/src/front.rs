//! Opens the files for authentication, CORS, TLS and signing, as the settings name them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::web::Data;
use pisync_core::settings;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::Config,
    http::{
        Site,
        auth::{Auth, Authenticator},
        cors::Origins,
        signing::SigningKeys,
        tls::Certificate,
    },
};

/// The parts that every request passes before its route.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    /// Authenticates callers.
    pub authenticator: Data<Authenticator>,
    /// Origins whose pages may read.
    pub origins: Origins,
    /// Public address, trusted proxies and allowed hosts.
    pub site: Data<Site>,
    /// Keys that sign sessions and links.
    pub signing_keys: SigningKeys,
    /// Keys that sign cursors.
    pub cursor_keys: SigningKeys,
    /// The certificate, if the process speaks TLS.
    pub certificate: Option<Arc<Certificate>>,
}

impl Front {
    /// Opens the files of the settings; if one is invalid, the process exits with status 2.
    pub(crate) fn open(config: &Config) -> Self {
        let certificate = certificate(config);
        let signing_keys = signing_keys(config);
        let open =
            |path: &PathBuf| reject_string(SigningKeys::open(path), "--cursor-key-file (PISYNC_CURSOR_KEY_FILE)");
        Self {
            authenticator: Data::new(authenticator(config)),
            origins: Origins(config.front.cors_origins.clone()),
            site: Data::new(Site::new(&config.site, config.bind, certificate.is_some(), config.has_bounds())),
            cursor_keys: config.cursor_key_file.as_ref().map_or_else(|| signing_keys.clone(), open),
            signing_keys,
            certificate,
        }
    }

    /// Reloads the files at each SIGHUP.
    ///
    /// Fails if the process cannot install signal handlers.
    pub(crate) fn read_again_on_hangup(&self) -> std::io::Result<()> {
        let (front, mut hangup) = (self.clone(), signal(SignalKind::hangup())?);
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                front.authenticator.read_again();
                front.signing_keys.read_again();
                front.cursor_keys.read_again();
                front.certificate.iter().for_each(|certificate| certificate.read_again());
            }
        });
        Ok(())
    }
}

fn authenticator(config: &Config) -> Authenticator {
    let settings = &config.front;
    let mode = settings.auth.unwrap_or(Auth::Off);
    let mut authenticator = Authenticator::new(mode);
    if mode == Auth::Off {
        return authenticator;
    }
    match &config.keys.keys_file {
        Some(path) => authenticator = or_reject(authenticator.with_keys(path), "--keys-file (PISYNC_KEYS_FILE)"),
        None if mode == Auth::Enforce => {
            settings::reject("--auth enforce (PISYNC_AUTH) needs --keys-file (PISYNC_KEYS_FILE); `keys new` makes one")
        }
        None => {}
    }
    if let Some(path) = &config.keys.device_key_file {
        authenticator = or_reject(authenticator.with_device_keys(path), "--device-key-file (PISYNC_DEVICE_KEY_FILE)");
    }
    authenticator
}

fn signing_keys(config: &Config) -> SigningKeys {
    let Some(path) = &config.signing_key_file else {
        log::warn!(
            "no --signing-key-file (PISYNC_SIGNING_KEY_FILE): sessions, links and cursors end with this process, and \
             are good at no other; several ingest-api need the same file"
        );
        return reject_string(SigningKeys::of_process(), "random bytes for a signing key");
    };
    reject_string(SigningKeys::open(path), "--signing-key-file (PISYNC_SIGNING_KEY_FILE)")
}

fn certificate(config: &Config) -> Option<Arc<Certificate>> {
    let open = |chain: &Path, key: &Path| {
        or_reject(Certificate::open(chain, key), "--tls-cert (PISYNC_TLS_CERT) and --tls-key (PISYNC_TLS_KEY)")
    };
    match (&config.front.tls_cert, &config.front.tls_key) {
        (Some(chain), Some(key)) => Some(open(chain, key)),
        (None, None) => None,
        _ => settings::reject("--tls-cert (PISYNC_TLS_CERT) and --tls-key (PISYNC_TLS_KEY) need each other"),
    }
}

fn reject_string<T>(opened: Result<T, String>, setting: &str) -> T {
    opened.unwrap_or_else(|error| settings::reject(format_args!("{setting}: {error}")))
}

fn or_reject<T>(opened: anyhow::Result<T>, setting: &str) -> T {
    opened.unwrap_or_else(|error| settings::reject(format_args!("{setting}: {error:#}")))
}
