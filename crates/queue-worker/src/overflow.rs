//! Moves dead letters over the bound of a partition to the store.

use std::time::Duration;

use anyhow::Result;
use pisync_core::{
    queue::{KEPT_DEAD, Partition, Queue},
    store::{Store, detached},
};
use tokio::time::sleep;

/// The interval between two rounds, varied by a quarter so that workers do not run together.
const INTERVAL: Duration = Duration::from_secs(10);

/// The timeout of one round; a longer one runs on beside the next.
const TIMEOUT: Duration = Duration::from_mins(5);

/// The number of dead letters moved in one step.
const BATCH_SIZE: usize = 1_000;

/// Moves dead letters over the bound, again and again, for ever.
pub async fn keep(queue: Queue, store: Store) {
    loop {
        sleep(INTERVAL.mul_f64(fastrand::f64().mul_add(0.5, 0.75))).await;
        let (queue, store) = (queue.clone(), store.clone());
        match detached(TIMEOUT, async move { move_out_all(&queue, &store).await }).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                log::debug!(error:% = error; "dead letters could not be moved, retrying in the next round");
            }
            Err(undone) => log::debug!(error:% = undone; "dead letters could not be moved, retrying in the next round"),
        }
    }
}

/// Moves the dead letters over the bound of every partition to the store.
///
/// A partition that fails stops no other. Returns the last error.
pub async fn move_out_all(queue: &Queue, store: &Store) -> Result<()> {
    let mut moved = Ok(());
    for partition in queue.partitions() {
        moved = move_out(queue, store, partition).await.and(moved);
    }
    moved
}

/// Copies the oldest dead letters over the bound to the store, then removes them from the queue.
async fn move_out(queue: &Queue, store: &Store, partition: Partition) -> Result<()> {
    loop {
        let over = queue.dead_letters(partition, KEPT_DEAD, BATCH_SIZE).await?;
        if over.is_empty() {
            return Ok(());
        }
        let letters: Vec<_> = over.iter().map(|buried| &buried.letter).collect();
        store.dead_letters().copy(&letters).await?;
        for buried in &over {
            queue.move_out(buried).await?;
        }
        log::warn!(partition = partition.number(), letters = over.len(); "dead letters moved to the store");
    }
}
