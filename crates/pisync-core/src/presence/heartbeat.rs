//! Heartbeats: each API and each worker sends one regularly, and an alerter at the end of each tick, by Redis' clock.
//!
//! They distinguish a silent fleet from a system that does not listen. If no API was alive for some time, the first one
//! back records that gap. So the gap is known, even if other processes were down as well.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use deadpool_redis::redis::{self, Script};
use jiff::{SignedDuration, Timestamp};

use crate::{
    models::{Gap, Listening},
    process::Process,
    queue::{Queue, QueueError},
    redis::unreadable,
};

static HEARTBEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/heartbeat.lua")));

/// The interval between heartbeats of a process.
const INTERVAL: Duration = Duration::from_secs(10);

/// The prefix of a field with the end of a gap.
const GAP: &str = "gap:";

/// The prefix of a field with the due time of an alerter's next tick.
const DUE: &str = "due:";

/// The time without a heartbeat after which an API or a worker is dead; they send one every [`INTERVAL`].
const ABSENT: SignedDuration = SignedDuration::from_mins(2);

/// The tolerated delay of an alerter's tick.
const LATE: SignedDuration = SignedDuration::from_mins(1);

/// The heartbeat of an alerter at the end of a tick.
#[derive(Debug, Clone, Copy)]
pub struct Tick<'a> {
    /// The name of the process.
    pub alerter: &'a str,
    /// The time until its next tick.
    pub next: Duration,
    /// The number of its receivers besides the log.
    pub receivers: usize,
}

/// The state of the processes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// There never was one.
    Never,
    /// None is alive; the age of the last heartbeat.
    Lost(SignedDuration),
    /// One is alive; the age of its heartbeat.
    Alive(SignedDuration),
}

/// The heartbeats of a queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heartbeat(Queue);

/// The liveness of all processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Liveness {
    /// Time of the last heartbeat of any API; none if there never was one.
    pub ingest: Option<Timestamp>,
    /// Time of the last heartbeat of any worker; none if there never was one.
    pub worker: Option<Timestamp>,
    /// Time of the last completed tick of any alerter; none if there never was one.
    pub alerter: Option<Timestamp>,
    /// Due time of the next tick of an alerter, of several the latest.
    pub next_tick: Option<Timestamp>,
    /// The number of receivers besides the log, of the alerter of the last tick.
    pub receivers: u64,
    /// The times without a live API.
    pub listening: Listening,
}

impl Contact {
    /// Returns whether one is alive.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Alive(_))
    }

    /// Returns the age of the last heartbeat, if there ever was one.
    pub fn age(self) -> Option<SignedDuration> {
        match self {
            Self::Never => None,
            Self::Lost(age) | Self::Alive(age) => Some(age),
        }
    }

    fn until(last: Option<Timestamp>, end: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(last) = last else { return Self::Never };
        let age = now.duration_since(last).max(SignedDuration::ZERO);
        if end.is_some_and(|end| now <= end) { Self::Alive(age) } else { Self::Lost(age) }
    }
}

impl Liveness {
    /// Returns whether a worker is alive.
    pub fn worker_at(&self, now: Timestamp) -> Contact {
        Contact::until(self.worker, self.worker.and_then(|last| last.checked_add(ABSENT).ok()), now)
    }

    /// Returns whether an alerter is alive: by its own schedule, no tick is overdue.
    pub fn alerter_at(&self, now: Timestamp) -> Contact {
        Contact::until(self.alerter, self.next_tick.and_then(|due| due.checked_add(LATE).ok()), now)
    }
}

impl Heartbeat {
    /// Returns the heartbeats of a queue.
    pub fn new(queue: Queue) -> Self {
        Self(queue)
    }

    /// Sends a heartbeat of this kind of process; works with a full Redis too.
    pub async fn send(&self, role: Process) -> Result<(), QueueError> {
        let mut script = HEARTBEAT.key(self.0.keys.shared("heartbeat"));
        script.arg(role.as_str());
        self.0.redis.run(&self.0.keys.shared("heartbeat"), &script).await
    }

    /// Records a completed tick of an alerter; works with a full Redis too.
    pub async fn ticked(&self, tick: &Tick<'_>) -> Result<(), QueueError> {
        let mut script = HEARTBEAT.key(self.0.keys.shared("heartbeat"));
        let next = u64::try_from(tick.next.as_millis()).unwrap_or(u64::MAX);
        script.arg(Process::Alerter.as_str()).arg(tick.alerter).arg(next).arg(tick.receivers);
        self.0.redis.run(&self.0.keys.shared("heartbeat"), &script).await
    }

    /// Sends heartbeats for ever; failures of Redis are ignored.
    pub async fn keep(self, role: Process) {
        loop {
            if let Err(error) = self.send(role).await {
                log::debug!(error:% = error; "heartbeat not sent");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Returns the liveness of all processes, and the gaps.
    pub async fn liveness(&self) -> Result<Liveness, QueueError> {
        let all = redis::cmd("HGETALL").arg(self.0.keys.shared("heartbeat")).clone();
        let fields: HashMap<Vec<u8>, Vec<u8>> = self.0.redis.query(&all).await?;
        let fields: HashMap<String, i64> = fields.iter().filter_map(field).collect();
        let time = |millis: &i64| Timestamp::from_millisecond(*millis).ok();
        let last = |role: Process| fields.get(role.as_str()).and_then(time);
        let gap = |(field, to): (&String, &i64)| {
            let from = time(&field.strip_prefix(GAP)?.parse().ok()?)?;
            Some(Gap { from, to: time(to)? })
        };
        let mut gaps: Vec<_> = fields.iter().filter_map(gap).collect();
        gaps.sort_by_key(|gap| gap.from);
        let due = fields.iter().filter(|(field, _)| field.starts_with(DUE)).filter_map(|(_, due)| time(due));
        let receivers = fields.get("receivers").and_then(|count| u64::try_from(*count).ok());
        Ok(Liveness {
            ingest: last(Process::Ingest),
            worker: last(Process::Worker),
            alerter: last(Process::Alerter),
            next_tick: due.max(),
            receivers: receivers.unwrap_or_default(),
            listening: Listening { gaps },
        })
    }
}

/// Returns a field and its milliseconds; a field in another form was written by a person.
fn field((name, millis): (&Vec<u8>, &Vec<u8>)) -> Option<(String, i64)> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let read = text(name).zip(text(millis).and_then(|millis| millis.parse().ok()));
    if read.is_none() {
        unreadable("heartbeat", name, "expected milliseconds");
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alerter_is_alive_until_its_next_tick_is_a_minute_late() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let hourly = Liveness { alerter: Some(at(0)), next_tick: Some(at(3_600)), ..Liveness::default() };
        let age = SignedDuration::from_secs;
        assert_eq!(hourly.alerter_at(at(3_660)), Contact::Alive(age(3_660)));
        assert_eq!(hourly.alerter_at(at(3_661)), Contact::Lost(age(3_661)));
        assert_eq!(Liveness::default().alerter_at(at(0)), Contact::Never);
        let without_schedule = Liveness { next_tick: None, ..hourly };
        assert_eq!(without_schedule.alerter_at(at(1)), Contact::Lost(age(1)));
    }

    #[test]
    fn a_worker_is_alive_for_two_minutes_after_its_last_sign() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let liveness = Liveness { worker: Some(at(0)), ..Liveness::default() };
        assert!(liveness.worker_at(at(120)).is_alive() && !liveness.worker_at(at(121)).is_alive());
        assert_eq!(Liveness::default().worker_at(at(0)), Contact::Never);
    }
}
