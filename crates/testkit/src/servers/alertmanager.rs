//! A real Alertmanager of one test.

use std::path::PathBuf;

use serde_json::Value;
use tokio::process::Command;

use super::{answers, free_port};
use crate::{environment::server_binary, process::Service};

/// A running Alertmanager without a cluster.
#[derive(Debug)]
pub struct AlertmanagerServer {
    port: u16,
    folder: PathBuf,
    service: Service,
}

impl AlertmanagerServer {
    /// Starts one with its files in `folder`. It notifies the URL `webhook` without delay.
    pub async fn start(folder: PathBuf, webhook: &str) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder for Alertmanager");
        let config = format!(
            "route:\n  receiver: people\n  group_by: [alertname]\n  group_wait: 0s\n  group_interval: 1s\n\
             receivers:\n- name: people\n  webhook_configs:\n  - url: {webhook}\n    send_resolved: true\n"
        );
        std::fs::write(folder.join("alertmanager.yml"), config).expect("its configuration");
        let port = free_port();
        let mut server = Self { port, service: Self::launch(port, &folder), folder };
        server.service.says("Listening on").await;
        server
    }

    fn launch(port: u16, folder: &std::path::Path) -> Service {
        let mut command = Command::new(server_binary("alertmanager"));
        command.arg(format!("--config.file={}", folder.join("alertmanager.yml").display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        command.args([&format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address="]);
        Service::start(command, &folder.join("alertmanager.log"))
    }

    /// Kills it and starts it again at the same address, without its alerts.
    pub async fn restart(&mut self) {
        self.service.kill().await;
        self.service = Self::launch(self.port, &self.folder);
        answers(self.port).await;
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the firing alerts, as amtool lists them.
    pub async fn firing(&self) -> Vec<Value> {
        let mut command = Command::new(server_binary("amtool"));
        command.args(["alert", "query", "--output=json", "--alertmanager.url", &self.url()]);
        let output = command.output().await.expect("amtool");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        serde_json::from_slice::<Option<Vec<Value>>>(&output.stdout).expect("JSON of amtool").unwrap_or_default()
    }
}
