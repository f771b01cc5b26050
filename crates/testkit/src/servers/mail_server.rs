//! A real mail server of one test, with STARTTLS.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::{
    environment::{setting, workspace_root},
    process::Service,
};

/// A running mail server: login `pisync`, password `hunter2`.
#[derive(Debug)]
pub struct MailServer {
    /// The port on loopback.
    pub port: u16,
    service: Service,
    log: PathBuf,
}

impl MailServer {
    /// Starts one with this certificate and key, both PEM.
    pub async fn start(certificate: &Path, key: &Path, log: PathBuf) -> Self {
        let mut command = Command::new("python3");
        command.arg(workspace_root().join("crates/testkit/src/servers/mail_server.py")).arg(certificate).arg(key);
        command.env("PYTHONPATH", setting("PISYNC_TEST_AIOSMTPD"));
        let mut service = Service::start(command, &log);
        let port = service.says("listening on port").await.trim().parse().expect("a port");
        Self { port, service, log }
    }

    /// Returns the received mails.
    pub fn mails(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mails = log.lines().filter_map(|line| line.strip_prefix("mail "));
        mails.map(|mail| serde_json::from_str(mail).expect("JSON")).collect()
    }

    /// Returns the process.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }
}
