//! The settings of `ingest-api`.

use std::net::SocketAddr;

use clap::{CommandFactory, Parser, ValueEnum};
use pisync_core::{
    crash::CrashSettings,
    settings::{self, LogSettings, MongoSettings, RedisSettings},
};

use crate::limits::LimitSettings;

/// Accepts sync events over HTTP and queues them in Redis; serves history and fleet views
#[derive(Debug, Clone, Parser)]
#[command(name = "ingest-api", version)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "PISYNC_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
    /// Events that may wait in the queue; beyond, devices are asked to come back later
    #[arg(long, env = "PISYNC_MAX_QUEUE", default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_queue: u64,
    /// Connections that may be open; more wait until one is closed
    #[arg(long, env = "PISYNC_MAX_CONNECTIONS", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// How much a device and a key may send.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// Who may call: needed for an address beyond loopback
    #[arg(long, env = "PISYNC_AUTH", value_enum)]
    pub auth: Option<Auth>,
    /// Where events wait.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Where events rest.
    #[command(flatten)]
    pub mongo: MongoSettings,
    /// Where to die, in tests of the system.
    #[command(flatten)]
    pub crash: CrashSettings,
    /// Where the log goes.
    #[command(flatten)]
    pub log: LogSettings,
}

/// Who may call the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Everyone who reaches the address.
    Off,
}

impl Config {
    /// Ends the process where the API would be open to a network and nobody has said that it may.
    pub fn refuse_open_door(&self) {
        if !self.bind.ip().is_loopback() && self.auth.is_none() {
            let message = format!(
                "--bind (PISYNC_BIND) {} is beyond loopback: say --auth off (PISYNC_AUTH) to let everyone in \
                 who reaches it, for example where a gateway checks callers",
                self.bind
            );
            settings::reject(&mut Self::command(), message);
        }
    }
}
