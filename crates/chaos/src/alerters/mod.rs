//! The rows of the alerters: two of them watch a fleet in which device after device begins to
//! fail, they are killed, and afterwards the alert log is compared with what had to be told.
//!
//! In reading order: `world` (the devices and the alerters of one row), `havoc` (what is done to
//! them), `told` and `sink` (what the log and a webhook have and must have), `recovery` (how long the log stands
//! still), `line` (what is printed).

mod havoc;
mod line;
mod recovery;
mod sink;
mod told;
mod world;

use std::time::Instant;

pub(super) use line::{Line, print};
use tokio_util::sync::CancellationToken;

use self::{line::Outcome, world::World};
use super::{Settings, bounded};

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name in the table.
    pub(super) name: &'static str,
    havoc: Havoc,
    expect: Expect,
}

/// What is done in a row.
#[derive(Debug, Clone, Copy)]
enum Havoc {
    Nothing,
    KilledAt(&'static str),
    KilledAtRandom,
    NaiveMark,
    NaiveSend,
}

/// What must come of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Everything told, nothing unfounded, and nothing twice but what was on its way at a kill.
    Told,
    /// The same without any kill: nothing twice.
    ToldOnce,
    /// A control: incidents of which nobody is told.
    Losses,
    /// A control: messages that come twice without any kill.
    Duplicates,
}

const fn killed_at(name: &'static str, point: &'static str) -> Row {
    Row { name, havoc: Havoc::KilledAt(point), expect: Expect::Told }
}

/// The rows, after those of the pipeline.
pub(super) const ALL: &[Row] = &[
    Row { name: "two alerters, no kills", havoc: Havoc::Nothing, expect: Expect::ToldOnce },
    killed_at("alerters killed after_open", "after_open"),
    killed_at("alerters killed during_message_claim", "during_message_claim"),
    killed_at("alerters killed after_message_claim", "after_message_claim"),
    killed_at("alerters killed after_send", "after_send"),
    killed_at("alerters killed during_mark", "during_mark"),
    killed_at("alerters killed after_mark", "after_mark"),
    Row { name: "alerters killed at random", havoc: Havoc::KilledAtRandom, expect: Expect::Told },
    Row { name: "control: alerter marks before it sends", havoc: Havoc::NaiveMark, expect: Expect::Losses },
    Row { name: "control: alerters send before they claim", havoc: Havoc::NaiveSend, expect: Expect::Duplicates },
];

impl Havoc {
    /// Does it, and answers with how often something was killed.
    async fn wreak(self, world: &mut World) -> anyhow::Result<usize> {
        match self {
            Self::Nothing => havoc::nothing(world).await,
            Self::KilledAt(point) => havoc::killed_at(world, point).await,
            Self::KilledAtRandom => havoc::killed_at_random(world).await,
            Self::NaiveMark => havoc::naive_mark(world).await,
            Self::NaiveSend => havoc::naive_send(world).await,
        }
    }
}

/// One row from an empty world to its line. Whatever happens in it, its world is taken down.
pub(super) async fn play(row: &Row, settings: &Settings, seed: u64, stop: &CancellationToken) -> Line {
    log::info!(row = row.name; "playing");
    let (scale, started) = (settings.scale(), Instant::now());
    // Messages to the log leave one after the other: ten thousand take their time.
    let limit = 2 * scale.limit;
    let mut world = None;
    let act = async {
        let world = world.insert(World::begin(scale, seed).await?);
        let kills = row.havoc.wreak(world).await?;
        world.settle(kills).await
    };
    let outcome: anyhow::Result<Outcome> = bounded(Box::pin(act), limit, stop).await;
    let line = Line::new(row, outcome, started.elapsed());
    if let Some(world) = world {
        let keep = settings.logs.as_deref().filter(|_| line.failure.is_some());
        world.strike(row.name, keep).await;
    }
    line
}
