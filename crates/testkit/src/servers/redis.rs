//! A Redis of one test, to be killed, stopped and started again.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{answers, free_port};
use crate::{environment::server_binary, process::Service};

/// A Redis that writes to disk before it answers.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    folder: PathBuf,
    options: Vec<&'static str>,
    service: Service,
}

impl RedisServer {
    /// Starts one with its data in `folder` and further `options` of `redis-server`.
    pub async fn start(folder: PathBuf, options: &[&'static str]) -> Self {
        Self::start_on(free_port(), folder, options).await
    }

    /// Starts one as [`Self::start`] does, on this port.
    pub async fn start_on(port: u16, folder: PathBuf, options: &[&'static str]) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder for Redis");
        let service = Self::launch(port, &folder, options);
        let server = Self { port, folder, options: options.to_vec(), service };
        answers(port).await;
        server
    }

    fn launch(port: u16, folder: &Path, options: &[&str]) -> Service {
        let mut command = Command::new(server_binary("redis-server"));
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]);
        command.arg("--dir").arg(folder).args(options);
        Service::start(command, &folder.join("redis.log"))
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the process.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Starts it again at the same address, with its data on disk.
    pub async fn restart(&mut self) {
        self.service = Self::launch(self.port, &self.folder, &self.options);
        answers(self.port).await;
    }

    /// Runs a command by `redis-cli` and returns its output.
    pub async fn cli(&self, args: &[&str]) -> String {
        let mut command = Command::new(server_binary("redis-cli"));
        let output = command.args(["-p", &self.port.to_string()]).args(args).output().await.expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
