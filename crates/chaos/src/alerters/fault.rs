//! The faults of alerters, injected while device after device begins to fail.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use anyhow::{bail, ensure};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::world::World;
use crate::crash::{kill, wait_for_crash};

/// A fault.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Nothing,
    KilledAt(&'static str),
    KilledAtRandom,
    NaiveMark,
    NaiveSend,
}

/// The timeout for one of two alerters to die at its named point.
const CRASH_TIMEOUT: Duration = Duration::from_secs(8);

/// The number of passes of its point until an alerter dies there, in turn.
const PASSES: [usize; 5] = [1, 2, 1, 3, 1];

impl Fault {
    /// Injects the fault. Returns the number of kills.
    pub(super) async fn inject(self, world: &mut World) -> anyhow::Result<usize> {
        match self {
            Self::Nothing => nothing(world).await,
            Self::KilledAt(point) => killed_at(world, point).await,
            Self::KilledAtRandom => killed_at_random(world).await,
            Self::NaiveMark => naive_mark(world).await,
            Self::NaiveSend => naive_send(world).await,
        }
    }
}

/// Two alerters run without a fault.
async fn nothing(world: &mut World) -> anyhow::Result<usize> {
    for _ in 0..2 {
        world.start_alerter(&[]).await;
    }
    feed(world).await?;
    Ok(0)
}

/// Two alerters run, and the first to reach `point` dies there. It is replaced by one with the same end.
async fn killed_at(world: &mut World, point: &str) -> anyhow::Result<usize> {
    let lease = world.scale.alert_lease.as_millis().to_string();
    let (mut kills, slices) = (0, world.scale.alerter_kills);
    for turn in 0..slices {
        while world.alerters.len() < 2 {
            let at = format!("{point}:{}", PASSES[(turn + world.alerters.len()) % PASSES.len()]);
            world.start_alerter(&["--lease-ms", &lease, "--crash-at", &at]).await;
        }
        world.fail_a_slice(slices).await?;
        kills += usize::from(one_dies(world).await?);
        world.recover_notified().await?;
    }
    world.stop_alerters().await;
    for _ in 0..2 {
        world.start_alerter(&["--lease-ms", &lease]).await;
    }
    Ok(kills)
}

/// Waits until one of the two has killed itself. Returns false if none did in time.
async fn one_dies(world: &mut World) -> anyhow::Result<bool> {
    let [one, other] = &mut world.alerters[..] else { bail!("there are not two alerters") };
    let (which, status) = tokio::select! {
        status = one.ended() => (0, status),
        status = other.ended() => (1, status),
        () = sleep(CRASH_TIMEOUT) => return Ok(false),
    };
    world.recovery.killed();
    let dead = world.alerters.remove(which);
    ensure!(status.signal() == Some(Signal::SIGKILL as i32), "an alerter ended with {status}:\n{}", dead.log());
    Ok(true)
}

/// One of two alerters is killed at a random time, and replaced.
async fn killed_at_random(world: &mut World) -> anyhow::Result<usize> {
    let lease = world.scale.alert_lease.as_millis().to_string();
    let slices = world.scale.alerter_kills;
    for _ in 0..slices {
        while world.alerters.len() < 2 {
            world.start_alerter(&["--lease-ms", &lease]).await;
        }
        world.fail_a_slice(slices).await?;
        sleep(world.some_ms(0, 600)).await;
        let one = world.rng.usize(..2);
        kill(&mut world.alerters.remove(one)).await?;
        world.recovery.killed();
        world.recover_notified().await?;
    }
    world.start_alerter(&["--lease-ms", &lease]).await;
    Ok(slices)
}

/// An alerter marks a message as sent before it sends it, and dies in between.
async fn naive_mark(world: &mut World) -> anyhow::Result<usize> {
    let (mut kills, slices) = (0, world.scale.alerter_kills);
    for _ in 0..slices {
        world.start("naive_alerter", &["--mode", "mark", "--crash-at", "after_mark"]).await;
        world.fail_a_slice(slices).await?;
        for mut alerter in std::mem::take(&mut world.alerters) {
            kills += usize::from(wait_for_crash(&mut alerter).await?.is_some());
        }
    }
    world.start("naive_alerter", &["--mode", "mark"]).await;
    Ok(kills)
}

/// Two alerters send unmarked messages without a claim, and mark them afterwards.
async fn naive_send(world: &mut World) -> anyhow::Result<usize> {
    for _ in 0..2 {
        world.start("naive_alerter", &["--mode", "send"]).await;
    }
    feed(world).await?;
    Ok(0)
}

async fn feed(world: &mut World) -> anyhow::Result<()> {
    let slices = world.scale.alerter_kills;
    for _ in 0..slices {
        world.fail_a_slice(slices).await?;
        world.recover_notified().await?;
    }
    Ok(())
}
