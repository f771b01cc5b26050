//! The HTTP side of `PiSync`: what a device reports goes through [`routes`] into the queue.
//!
//! In reading order: [`config`], [`server`], [`routes`], [`hours`], [`error`]; [`cursor`] and
//! [`cursor_key`] for lists.

pub mod config;
pub mod cursor;
pub mod cursor_key;
pub mod error;
pub mod hours;
pub mod routes;
pub mod server;

use std::net::TcpListener;

use anyhow::Context;
use pisync_core::{
    queue::{LastSeen, Producer, Queue, QueueError},
    shutdown,
    store::Store,
};

use crate::{config::Config, cursor_key::CursorKeys, hours::Hours, server::State};

/// Serves until a signal to stop comes.
///
/// Fails where the address cannot be bound or Redis serves another queue; Redis or `MongoDB`
/// being away is no failure, they may come.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("listening for signals")?;
    let listener = TcpListener::bind(config.bind).with_context(|| format!("binding {}", config.bind))?;
    let queue = Queue::new(&config.redis)?;
    match queue.check().await {
        Err(error @ QueueError::Misconfigured(_)) => return Err(error.into()),
        Err(error) => log::warn!(error:% = error; "starting without redis"),
        Ok(()) => {}
    }
    let store = Store::open(&config.mongo, "ingest-api").await.context("opening the store")?;
    let indexes = store.clone();
    tokio::spawn(async move { indexes.ensure_indexes_in_time().await });

    let producer = Producer::start(queue.clone(), config.max_queue);
    let state = State {
        cursor_keys: CursorKeys::new(queue.clone(), config.cursor_key_file),
        last_seen: LastSeen::new(queue.clone()),
        hours: Hours::new(queue.clone(), store.clone()),
        silent_after: config.silent_after,
        queue,
        producer,
        crash: config.crash,
        store,
    };
    log::info!(address:% = listener.local_addr()?; "listening");
    server::serve(listener, state, stop).await.context("serving")
}
