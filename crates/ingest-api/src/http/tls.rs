//! TLS in the process, with a certificate that is reloaded on request.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::{Context, ensure};
use pisync_core::signing_keys;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The certificate for new connections.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    held: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads a certificate chain and its key, both PEM.
    ///
    /// Fails if either is unreadable or they do not belong together.
    pub fn open(chain: &Path, key: &Path) -> anyhow::Result<Arc<Self>> {
        let provider = Arc::new(ring::default_provider());
        let held = RwLock::new(Arc::new(read(chain, key, &provider)?));
        Ok(Arc::new(Self { chain: chain.to_owned(), key: key.to_owned(), provider, held }))
    }

    /// Reloads the files; if they are invalid, the old certificate stays.
    pub fn read_again(&self) {
        match read(&self.chain, &self.key, &self.provider) {
            Ok(new) => {
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                log::info!(what = "certificate"; "reloaded");
            }
            Err(error) => {
                log::error!(what = "certificate", error:% = format!("{error:#}"); "not reloaded, the old one stays in force");
            }
        }
    }

    /// Returns the configuration of the server: TLS 1.2 and 1.3 with this certificate.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(chain: &Path, key: &Path, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
    if let Err(why) = signing_keys::require_mode(key, 0o007, "chmod 640") {
        log::warn!(why = why; "the key of the certificate is readable by every user of this machine");
    }
    let of_chain = || format!("reading {}", chain.display());
    let certificates: Vec<_> = CertificateDer::pem_file_iter(chain)
        .with_context(of_chain)?
        .collect::<Result<_, _>>()
        .with_context(of_chain)?;
    ensure!(!certificates.is_empty(), "{} holds no certificate in PEM", chain.display());
    // The error of a key is not quoted: it may contain the key.
    let secret = PrivateKeyDer::from_pem_file(key).ok();
    let secret = secret.with_context(|| format!("{} is unreadable or contains no key in PEM", key.display()))?;
    CertifiedKey::from_der(certificates, secret, provider)
        .with_context(|| format!("{} and {} do not belong together", chain.display(), key.display()))
}
