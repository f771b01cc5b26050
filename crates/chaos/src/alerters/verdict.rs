//! The result of a row with alerters, and its check.

use std::time::Duration;

use serde::Serialize;

use super::{alert_log::Faults, webhook::Posts};
use crate::table::{Columns, KillColumns};

/// The expected result of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// All messages are delivered, none is unfounded, and only messages in flight at a kill are repeated.
    Delivered,
    /// The same without a kill, so no message is repeated.
    DeliveredOnce,
    /// A control: some incidents have no message.
    Losses,
    /// A control: messages are repeated without a kill.
    Duplicates,
}

/// The maximum number of lines in one message to the log, and so of lines in flight at a kill.
const ON_ITS_WAY: u64 = alerter::outbox::LISTED as u64;

/// The alert log and the store, compared with the expected messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Findings {
    /// The number of devices that failed.
    pub(super) incidents: u64,
    /// The wrong lines of their incidents.
    pub(super) faults: Faults,
    /// The number of unreadable lines.
    pub(super) torn: u64,
    /// The number of incidents with another state in the store than expected.
    pub(super) unsettled: u64,
    /// The messages that the webhook received.
    pub(super) posts: Posts,
    /// The number of alerts that these messages should have.
    pub(super) owed: u64,
}

/// The result of a row.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The messages, compared with the expected ones.
    pub(super) findings: Findings,
    /// The number of killed alerters.
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

/// Returns the reason for which a row fails, if it does. A kill may repeat one message and leave half a line behind;
/// nothing else is allowed.
pub(super) fn verdict(expect: Expect, outcome: &Outcome) -> Option<String> {
    let Outcome { findings, kills, .. } = outcome;
    let Findings { faults, torn, unsettled, posts, owed, .. } = findings;
    let Faults { lost, duplicates, unfounded } = *faults;
    if *kills == 0 && matches!(expect, Expect::Delivered | Expect::Losses) {
        return Some("no alerter was killed".into());
    }
    match expect {
        Expect::Delivered | Expect::DeliveredOnce if lost + unfounded + unsettled > 0 || *torn > *kills as u64 => {
            Some(format!("{lost} lost, {unfounded} unfounded, {torn} torn lines, {unsettled} unsettled"))
        }
        Expect::Delivered | Expect::DeliveredOnce if posts.changed > 0 || posts.alerts != *owed => {
            Some(format!("the webhook got {} alerts instead of {owed}: {posts:?}", posts.alerts))
        }
        Expect::Delivered | Expect::DeliveredOnce
            if duplicates.max(ON_ITS_WAY * posts.repeated) > ON_ITS_WAY * *kills as u64 =>
        {
            Some(format!("{duplicates} lines and {} messages are repeated: too many for {kills} kills", posts.repeated))
        }
        Expect::Losses if lost == 0 => Some("the control lost nothing".into()),
        Expect::Duplicates if duplicates == 0 => Some("the control repeated no message".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_passes_with_what_kills_can_make_and_a_control_with_its_own_damage() {
        for (expect, [lost, duplicates, unfounded], kills, is_right) in [
            (Expect::Delivered, [0, 0, 0], 1, true),
            (Expect::Delivered, [0, 50, 0], 1, true),
            (Expect::Delivered, [0, 51, 0], 1, false),
            (Expect::Delivered, [0, 0, 0], 0, false),
            (Expect::Delivered, [1, 0, 0], 1, false),
            (Expect::Delivered, [0, 0, 1], 1, false),
            (Expect::DeliveredOnce, [0, 0, 0], 0, true),
            (Expect::DeliveredOnce, [0, 1, 0], 0, false),
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
        assert!(verdict(Expect::Delivered, &torn(1)).is_none() && verdict(Expect::Delivered, &torn(2)).is_some());
    }
}
