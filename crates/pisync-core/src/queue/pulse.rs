//! Who is alive: each API and each worker says so again and again, by Redis' clock.
//!
//! It tells a fleet that is silent from a system that does not listen. The time in which no API
//! was alive is written down by the first that is alive again, so it is known whoever else was
//! away meanwhile.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use deadpool_redis::redis::{self, Script};
use jiff::Timestamp;

use super::{Queue, QueueError, unreadable::unreadable};
use crate::models::{Gap, Listening};

static PULSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/pulse.lua")));

/// How often a process says that it is alive.
const EVERY: Duration = Duration::from_secs(10);

/// What the name of a field begins with that holds the end of a gap.
const GAP: &str = "gap:";

/// What kind of process is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An API, which takes reports.
    Ingest,
    /// A worker, which stores them.
    Worker,
}

/// The signs of life that go with a queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulse(Queue);

/// What is known of who is alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// When any API was last alive; none where there never was one.
    pub ingest: Option<Timestamp>,
    /// When any worker was last alive; none where there never was one.
    pub worker: Option<Timestamp>,
    /// When no API was alive.
    pub listening: Listening,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
        }
    }
}

impl Pulse {
    /// The signs of life that go with a queue.
    pub fn new(queue: Queue) -> Self {
        Self(queue)
    }

    /// Says that a process of this kind is alive, also in a Redis that is full.
    pub async fn beat(&self, role: Role) -> Result<(), QueueError> {
        let mut script = PULSE.key(self.0.keys.shared("pulse"));
        script.arg(role.as_str());
        self.0.redis.run(&self.0.keys.shared("pulse"), &script).await
    }

    /// Says so for ever; Redis being away is passed over.
    pub async fn keep(self, role: Role) {
        loop {
            if let Err(error) = self.beat(role).await {
                log::debug!(error:% = error; "no sign of life given");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Who is alive, and when nobody listened.
    pub async fn signs(&self) -> Result<Signs, QueueError> {
        let all = redis::cmd("HGETALL").arg(self.0.keys.shared("pulse")).clone();
        let fields: HashMap<Vec<u8>, Vec<u8>> = self.0.redis.query(&all).await?;
        let fields: HashMap<String, i64> = fields.iter().filter_map(field).collect();
        let time = |millis: &i64| Timestamp::from_millisecond(*millis).ok();
        let last = |role: Role| fields.get(role.as_str()).and_then(time);
        let gap = |(field, to): (&String, &i64)| {
            let from = time(&field.strip_prefix(GAP)?.parse().ok()?)?;
            Some(Gap { from, to: time(to)? })
        };
        let mut gaps: Vec<_> = fields.iter().filter_map(gap).collect();
        gaps.sort_by_key(|gap| gap.from);
        Ok(Signs { ingest: last(Role::Ingest), worker: last(Role::Worker), listening: Listening { gaps } })
    }
}

/// A field and its milliseconds; what is none was put there by a person.
fn field((name, millis): (&Vec<u8>, &Vec<u8>)) -> Option<(String, i64)> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let read = text(name).zip(text(millis).and_then(|millis| millis.parse().ok()));
    if read.is_none() {
        unreadable("pulse", name, "expected milliseconds");
    }
    read
}
