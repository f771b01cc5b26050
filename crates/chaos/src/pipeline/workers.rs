//! Faults of workers: they die, stop for a while, and race.

use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{recovery::batches_of, scenario::Scenario};
use crate::{
    crash::{kill, wait_for_crash},
    play::until,
};

/// The number of passes of its point until a worker dies there, in turn.
const PASSES: [usize; 6] = [1, 3, 2, 7, 1, 4];

/// The number of workers that die with the same batch: one more than it takes to suspect a message.
const SAME_BATCH: usize = 3;

/// The number of racing workers.
const RACERS: usize = 20;

/// The timeout for a worker to claim a batch, before it is killed without one.
const IDLE: Duration = Duration::from_secs(2);

/// One worker after the other dies at `point`: first with the same batch, then alone with others, then beside a
/// healthy worker.
pub(crate) async fn killed_at(scenario: &mut Scenario, point: &str) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    let mut kills = 0;
    // After the acknowledgement no batch is left for the next worker.
    if point != "after_ack" {
        scenario.processes.send_first_device().await?;
        for _ in 0..SAME_BATCH {
            kills += usize::from(dies_at(scenario, point, &[]).await?);
        }
    }
    scenario.processes.start_fleet(scenario.scale.over);
    let turns = scenario.scale.kills;
    for turn in 0..turns {
        if turn == turns / 2 {
            scenario.processes.start_workers(1).await;
        }
        let at = format!("{point}:{}", PASSES[turn % PASSES.len()]);
        kills += usize::from(dies_at(scenario, &at, &[]).await?);
    }
    scenario.processes.start_workers(1).await;
    Ok(kills)
}

/// Returns a time for the fleet to send, so that each turn of one lease has events.
fn time_for_turns(scenario: &Scenario) -> Duration {
    let turns = u32::try_from(scenario.scale.kills).unwrap_or(u32::MAX);
    scenario.scale.over.max(turns * (scenario.processes.lease + Duration::from_secs(1)))
}

/// Starts a worker and waits for its death. Returns false if it did not die.
async fn dies_at(scenario: &mut Scenario, point: &str, args: &[&str]) -> anyhow::Result<bool> {
    let mut worker = scenario.processes.start_worker(&[&["--crash-at", point], args].concat()).await;
    let pid = worker.pid();
    let Some(when) = wait_for_crash(&mut worker).await? else { return Ok(false) };
    scenario.recovery.killed(pid, when).await;
    Ok(true)
}

/// Three workers run. One after the other is killed, preferably with a batch, and replaced.
pub(crate) async fn killed_at_random(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    scenario.processes.start_fleet(scenario.scale.over);
    scenario.processes.start_workers(3).await;
    for _ in 0..scenario.scale.random_kills {
        sleep(scenario.some_ms(1, 100)).await;
        let one = scenario.rng.usize(..scenario.processes.workers.len());
        let pid = scenario.processes.workers[one].pid();
        holds_a_batch(scenario, pid, IDLE).await;
        let mut victim = scenario.processes.workers.swap_remove(one);
        let when = kill(&mut victim).await?;
        scenario.recovery.killed(pid, when).await;
        scenario.processes.start_workers(1).await;
    }
    Ok(scenario.scale.random_kills)
}

/// Workers with a batch are stopped by SIGSTOP until another worker has claimed it, and then continue.
pub(crate) async fn stopped(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.lease = Duration::from_secs(1);
    scenario.processes.open_api().await;
    scenario.processes.start_fleet(time_for_turns(scenario));
    scenario.processes.start_workers(3).await;
    for turn in 0..scenario.scale.kills {
        let one = turn % scenario.processes.workers.len();
        let pid = scenario.processes.workers[one].pid();
        let held = stop_with_a_batch(scenario, one).await?;
        scenario.recovery.killed(pid, Instant::now()).await;
        until("others to take over from a stopped worker", async || {
            let status = scenario.queue.status_of_all().await.unwrap_or_default();
            !status.is_empty() && !batches_of(&status, pid).any(|batch| held.contains(&batch))
        })
        .await?;
        scenario.processes.workers[one].signal(Signal::SIGCONT);
    }
    Ok(scenario.scale.kills)
}

/// Stops a worker while it holds batches. Returns the batches.
async fn stop_with_a_batch(scenario: &Scenario, one: usize) -> anyhow::Result<Vec<String>> {
    let (worker, started) = (&scenario.processes.workers[one], Instant::now());
    while started.elapsed() < 10 * IDLE {
        if !holds_a_batch(scenario, worker.pid(), IDLE).await {
            continue;
        }
        worker.signal(Signal::SIGSTOP);
        let held: Vec<_> = batches_of(&scenario.queue.status_of_all().await?, worker.pid()).collect();
        if !held.is_empty() {
            return Ok(held);
        }
        worker.signal(Signal::SIGCONT);
    }
    anyhow::bail!("a worker got no batch to be stopped with")
}

/// Waits until a process holds a batch. Returns false if it did not in time.
async fn holds_a_batch(scenario: &Scenario, pid: u32, longest: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < longest {
        let status = scenario.queue.status_of_all().await.unwrap_or_default();
        if batches_of(&status, pid).next().is_some() {
            return true;
        }
        sleep(Duration::from_millis(2)).await;
    }
    false
}

/// A worker dies with a batch, and twenty wake up shortly before its lease ends.
pub(crate) async fn race(scenario: &mut Scenario) -> anyhow::Result<usize> {
    scenario.processes.open_api().await;
    scenario.processes.start_workers(RACERS).await;
    scenario.processes.start_fleet(time_for_turns(scenario));
    let mut kills = 0;
    for _ in 0..scenario.scale.kills {
        scenario.processes.workers.iter().for_each(|worker| worker.signal(Signal::SIGSTOP));
        let died = dies_at(scenario, "before_insert", &["--lanes", "1"]).await?;
        sleep(scenario.processes.lease.mul_f64(0.8)).await;
        scenario.processes.workers.iter().for_each(|worker| worker.signal(Signal::SIGCONT));
        kills += usize::from(died);
        let before = scenario.recovery.times().len();
        until("the end of a race", async || !died || scenario.recovery.times().len() > before).await?;
    }
    ensure!(scenario.recovery.times().len() >= kills, "a batch without a worker was not seen to its end");
    Ok(kills)
}
