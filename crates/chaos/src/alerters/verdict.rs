//! What came of a row of the alerters, and whether it is what must.

use std::time::Duration;

use serde::Serialize;

use super::{alert_log::Faults, webhook::Posts};
use crate::table::{Columns, KillColumns};

/// What must come of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Everything told, nothing unfounded, and nothing twice but what was on its way at a kill.
    SentNotification,
    /// The same without any kill: nothing twice.
    ToldOnce,
    /// A control: incidents of which nobody is told.
    Losses,
    /// A control: messages that come twice without any kill.
    Duplicates,
}

/// The most lines of one message to the log: what may be on its way at a kill.
const ON_ITS_WAY: u64 = alerter::outbox::LISTED as u64;

/// The alert log and the store against what had to be told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Findings {
    /// Devices that failed.
    pub(super) incidents: u64,
    /// What is wrong with what was told of them.
    pub(super) faults: Faults,
    /// Lines that cannot be read.
    pub(super) torn: u64,
    /// Incidents that the store does not know as they are.
    pub(super) unsettled: u64,
    /// What came to the webhook.
    pub(super) posts: Posts,
    /// Of how many alerts that must have told.
    pub(super) owed: u64,
}

/// What was found at the end of a row.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What was told.
    pub(super) findings: Findings,
    /// How many alerters were killed.
    pub(super) kills: usize,
    /// The times to recovery, shortest first.
    pub(super) recovery: Vec<Duration>,
}

/// The columns of the table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlerterColumns {
    incidents: u64,
    lost: u64,
    duplicate_lines: u64,
    unfounded: u64,
    unsettled: u64,
    messages: u64,
    repeated: u64,
    #[serde(flatten)]
    kills: KillColumns,
}

impl AlerterColumns {
    pub(super) fn new(outcome: &Outcome, took: Duration) -> Self {
        let Outcome { findings, kills, recovery } = outcome;
        Self {
            incidents: findings.incidents,
            lost: findings.faults.lost,
            duplicate_lines: findings.faults.duplicates,
            unfounded: findings.faults.unfounded,
            unsettled: findings.unsettled,
            messages: findings.posts.messages,
            repeated: findings.posts.repeated,
            kills: KillColumns::new(*kills, recovery, took),
        }
    }
}

impl Columns for AlerterColumns {
    const HEADS: &'static [&'static str] = &[
        "row",
        "incidents",
        "lost",
        "duplicate lines",
        "unfounded",
        "unsettled",
        "messages",
        "repeated",
        "kills",
        "recovery p50",
        "p99",
        "time",
    ];

    fn cells(&self) -> Vec<String> {
        let found = [
            self.incidents,
            self.lost,
            self.duplicate_lines,
            self.unfounded,
            self.unsettled,
            self.messages,
            self.repeated,
        ];
        found.iter().map(u64::to_string).chain(self.kills.cells()).collect()
    }
}

/// Why this is not what must come of the row. A kill may make one message come again and leave half
/// a line behind; nothing else may.
pub(super) fn verdict(expect: Expect, outcome: &Outcome) -> Option<String> {
    let Outcome { findings, kills, .. } = outcome;
    let Findings { faults, torn, unsettled, posts, owed, .. } = findings;
    let Faults { lost, duplicates, unfounded } = *faults;
    if *kills == 0 && matches!(expect, Expect::SentNotification | Expect::Losses) {
        return Some("nothing was done to the alerters".into());
    }
    match expect {
        Expect::SentNotification | Expect::ToldOnce if lost + unfounded + unsettled > 0 || *torn > *kills as u64 => {
            Some(format!("{lost} lost, {unfounded} unfounded, {torn} torn lines, {unsettled} unsettled"))
        }
        Expect::SentNotification | Expect::ToldOnce if posts.changed > 0 || posts.told != *owed => {
            Some(format!("the webhook was told of {} alerts instead of {owed}: {posts:?}", posts.told))
        }
        Expect::SentNotification | Expect::ToldOnce
            if duplicates.max(ON_ITS_WAY * posts.repeated) > ON_ITS_WAY * *kills as u64 =>
        {
            Some(format!(
                "{duplicates} lines and {} messages more than once: {kills} kills cannot do that",
                posts.repeated
            ))
        }
        Expect::Losses if lost == 0 => Some("the control lost nothing".into()),
        Expect::Duplicates if duplicates == 0 => Some("the control told nothing twice".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_passes_with_what_kills_can_make_and_a_control_with_its_own_damage() {
        for (expect, [lost, duplicates, unfounded], kills, is_right) in [
            (Expect::SentNotification, [0, 0, 0], 1, true),
            (Expect::SentNotification, [0, 50, 0], 1, true),
            (Expect::SentNotification, [0, 51, 0], 1, false),
            (Expect::SentNotification, [0, 0, 0], 0, false),
            (Expect::SentNotification, [1, 0, 0], 1, false),
            (Expect::SentNotification, [0, 0, 1], 1, false),
            (Expect::ToldOnce, [0, 0, 0], 0, true),
            (Expect::ToldOnce, [0, 1, 0], 0, false),
            (Expect::Losses, [1, 0, 0], 1, true),
            (Expect::Losses, [1, 0, 0], 0, false),
            (Expect::Losses, [0, 1, 0], 1, false),
            (Expect::Duplicates, [0, 1, 0], 0, true),
            (Expect::Duplicates, [1, 0, 0], 0, false),
        ] {
            let faults = Faults { lost, duplicates, unfounded };
            let outcome = Outcome { findings: Findings { faults, ..Findings::default() }, kills, ..Outcome::default() };
            assert_eq!(verdict(expect, &outcome).is_none(), is_right, "{expect:?} {outcome:?}");
        }
        let torn =
            |torn| Outcome { findings: Findings { torn, ..Findings::default() }, kills: 1, ..Outcome::default() };
        assert!(
            verdict(Expect::SentNotification, &torn(1)).is_none()
                && verdict(Expect::SentNotification, &torn(2)).is_some()
        );
    }
}
