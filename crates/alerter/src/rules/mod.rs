//! The rules, a file for each: its name, settings, inhibition, data, conditions and message.

pub(crate) mod common;
mod device_flapping;
mod device_silent;
pub(crate) mod device_sync_failing;
mod fleet_digest;
mod fleet_silent;
mod fleet_sync_failing;
mod pipeline_stalled;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use pisync_core::models::{AlertName, Schedule};
use serde::{Deserialize, Serialize};

use self::common::Common;
use crate::{
    evaluation::Evaluation,
    inhibition::Inhibitor,
    routing::schedule,
    snapshot::{Candidates, ReadError, Snapshot},
    tables::Table,
};

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: AlertName,
    /// The rules whose open alerts suppress the messages of this one, the surest reason first.
    pub(crate) inhibited_by: &'static [AlertName],
    pub(crate) about: About,
    /// Evaluates the fleet, or the devices of the snapshot's page.
    pub(crate) evaluate: Ask<Vec<Evaluation>>,
    /// The template of its messages, for the blocks of `messages/en/base.txt`. A long one is a file beside.
    pub(crate) message: &'static str,
}

/// The subjects of a rule's alerts.
#[derive(Debug)]
pub(crate) enum About {
    /// The fleet, or parts of it. `digest_of` is the rule about single devices whose open alerts the digest
    /// lists after the end. Without it, an alert inhibits others only while it is open.
    Fleet { digest_of: Option<AlertName> },
    /// Single devices. Holds the function that returns the devices for which an incident may open.
    Devices(Ask<Candidates>),
}

/// An asynchronous function of a rule.
pub(crate) type Ask<T> = for<'a> fn(&'a Snapshot, &'a Rules) -> BoxFuture<'a, Result<T, ReadError>>;

/// The settings of a rule that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Makes the list of the rules from their files, and `[rules]` from their settings.
macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        /// `[rules]`: the settings of the rules, a table for each.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Rules {
            /// The settings that several rules share.
            pub common: Common,
            $(#[doc = concat!("`[rules.", stringify!($rule), "]`")] pub $rule: $rule::Settings,)*
        }

        impl Rules {
            pub(crate) fn read(table: &mut Table<'_>, schedules: &[Arc<Schedule>]) -> Self {
                $(let $rule = table.settings(stringify!($rule));)*
                let mut common: Common = table.read().unwrap_or_default();
                common.schedule = schedule::find(table, "expected", common.expected.as_deref(), schedules);
                Self { common, $($rule),* }
            }
        }

        pub(crate) static RULES: &[Rule] = &[$($rule::RULE),*];
    };
}

// In the order in which they inhibit each other: rules about many devices come first.
rules! {
    fleet_sync_failing,
    pipeline_stalled,
    fleet_silent,
    fleet_digest,
    device_silent,
    device_flapping,
    device_sync_failing,
}

/// Returns the rules whose alerts inhibit others.
pub(crate) fn inhibitors() -> Vec<Inhibitor> {
    let inhibits = |rule: &&Rule| RULES.iter().any(|other| other.inhibited_by.contains(&rule.name));
    let digest_of = |rule: &Rule| if let About::Fleet { digest_of } = rule.about { digest_of } else { None };
    let inhibitor = |rule: &Rule| Inhibitor { rule: rule.name, digest_of: digest_of(rule) };
    RULES.iter().filter(inhibits).map(inhibitor).collect()
}
