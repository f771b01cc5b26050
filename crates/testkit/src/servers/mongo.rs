//! A `MongoDB` of one test, to be killed, stopped and started again.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::{free_port, mongo_shell::mongo_admin};
use crate::{
    environment::{python, server_binary, workspace_root},
    process::Service,
};

/// A replica set of one node.
#[derive(Debug)]
pub struct MongoServer {
    port: u16,
    folder: PathBuf,
    options: Vec<&'static str>,
    service: Service,
}

/// A replica set of three nodes.
#[derive(Debug)]
pub struct MongoSet {
    nodes: Vec<MongoServer>,
}

impl MongoServer {
    /// Starts one with its data in `folder` and waits until it is primary.
    pub async fn start(folder: PathBuf) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// Starts one as [`Self::start`] does, with further options of `mongod`.
    pub async fn start_with(folder: PathBuf, options: &[&'static str]) -> Self {
        let server = Self::launch(folder, options);
        initiate(&[&server]).await;
        server
    }

    fn launch(folder: PathBuf, options: &[&'static str]) -> Self {
        std::fs::create_dir_all(folder.join("data")).expect("a folder for MongoDB");
        let port = free_port();
        let service = Self::service_on(port, &folder, options);
        Self { port, folder, options: options.to_vec(), service }
    }

    fn service_on(port: u16, folder: &Path, options: &[&str]) -> Service {
        let mut command = Command::new(server_binary("mongod"));
        command.args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--replSet", "rs0", "--nounixsocket"]);
        command.args(["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64", "--quiet"]).args(options);
        command.arg("--dbpath").arg(folder.join("data"));
        Service::start(command, &folder.join("mongod.log"))
    }

    /// Returns its URI.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?replicaSet=rs0", self.port)
    }

    /// Returns the process.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Starts it again at the same address, with its data on disk.
    pub async fn restart(&mut self) {
        self.service = Self::service_on(self.port, &self.folder, &self.options);
        initiate(&[self]).await;
    }
}

impl MongoServer {
    /// Returns its host and port, without the name of the replica set.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops it and starts it again at the same address with these further options. It is a replica set already, and
    /// may require a user now.
    pub async fn restart_as(&mut self, options: &[&'static str]) {
        self.service.terminate().await;
        self.options = options.to_vec();
        self.service = Self::service_on(self.port, &self.folder, &self.options);
        self.service.says("Waiting for connections").await;
    }
}

impl MongoSet {
    /// Starts three nodes with their data in `folder` and waits until one is primary.
    pub async fn start(folder: &Path) -> Self {
        let nodes: Vec<_> = (0..3).map(|i| MongoServer::launch(folder.join(format!("mongo-{i}")), &[])).collect();
        initiate(&nodes.iter().collect::<Vec<_>>()).await;
        Self { nodes }
    }

    /// Returns the URI of the set.
    pub fn uri(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("mongodb://{}/?replicaSet=rs0", hosts.join(","))
    }

    /// Returns the index of the primary, if there is one.
    pub async fn primary(&self) -> Option<usize> {
        const SCRIPT: &str = "
import sys, pymongo
for place, port in enumerate(sys.argv[1:]):
    try:
        client = pymongo.MongoClient('127.0.0.1', int(port), directConnection=True, serverSelectionTimeoutMS=500)
        if client.admin.command('hello').get('isWritablePrimary'):
            print(place)
    except pymongo.errors.PyMongoError:
        pass  # that node is dead
";
        let mut command = python();
        command.args(["-c", SCRIPT]).args(self.nodes.iter().map(|node| node.port.to_string()));
        let output = command.output().await.expect("python3");
        String::from_utf8_lossy(&output.stdout).lines().next()?.parse().ok()
    }

    /// Returns the process of a node.
    pub fn service(&mut self, place: usize) -> &mut Service {
        &mut self.nodes[place].service
    }

    /// Starts a node again at its address; the others know it.
    pub fn restart(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        node.service = MongoServer::service_on(node.port, &node.folder, &node.options);
    }

    /// Makes the primary step down, and waits until another node is primary.
    pub async fn step_down(&self) {
        let rest = serde_json::json!({ "secondaryCatchUpPeriodSecs": 3 });
        mongo_admin(&self.uri(), "replSetStepDown", 5, rest).await;
    }
}

/// Makes the nodes one replica set, if they are none yet, and waits until there is a primary.
async fn initiate(nodes: &[&MongoServer]) {
    let mut command = python();
    command.arg(workspace_root().join("scripts/lib/replica_set.py"));
    for node in nodes {
        command.args([node.port.to_string(), node.service.pid().to_string()]);
    }
    let status = command.stdout(Stdio::null()).status().await.expect("python3");
    assert!(status.success(), "no primary; the log is in {}", nodes[0].folder.display());
}
