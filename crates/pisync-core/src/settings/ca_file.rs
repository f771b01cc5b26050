//! A file with the certificates of a private CA.

use std::{
    fs,
    path::{Path, PathBuf},
};

use deadpool_redis::redis::{Client, TlsCertificates};

/// The trusted certificates and their file.
#[derive(Debug, Clone)]
pub struct CaFile {
    path: PathBuf,
    pem: Vec<u8>,
}

impl CaFile {
    /// Reads the file.
    ///
    /// Fails, with the reason for people, if it holds no readable certificate.
    pub fn read(path: &str) -> Result<Self, String> {
        let pem = fs::read(path).map_err(|error| format!("the file cannot be read: {error}"))?;
        if pem.iter().all(u8::is_ascii_whitespace) {
            return Err("the file is empty".into());
        }
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err("the file holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".into());
        }
        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) };
        Client::build_with_tls("rediss://localhost", certificates)
            .map_err(|_| "the file holds a certificate that cannot be read")?;
        Ok(Self { path: PathBuf::from(path), pem })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its content.
    pub(crate) fn pem(&self) -> &[u8] {
        &self.pem
    }
}
