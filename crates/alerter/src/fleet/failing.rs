//! `FleetSyncFailing`, of the fleet as a whole and of its parts by the labels that the config names.

use std::{collections::BTreeSet, ops::Range};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertId, AlertName, Finding, FleetWindow, FleetWindows, Scope, Subject},
    store::{KeptIncident, StoreError},
};

use super::{
    Fleet, Judged,
    observed::{is_open, note},
};
use crate::rules::verdict::Verdict;

/// How far back the beginning is looked for.
const LOOKS_BACK: SignedDuration = SignedDuration::from_hours(6);

/// How many lines say what those that fail have in common.
const CONTRASTS: usize = 3;

/// What is seen of the fleet at a look.
struct Sight {
    windows: FleetWindows,
    /// How many devices there are.
    fleet: u64,
    /// What those that fail have in common, once that was looked for.
    changed: Option<Vec<String>>,
}

impl Fleet {
    /// Looks at the whole, and then at the parts, which the alert of the whole holds back.
    pub(super) async fn look_at_failing(&self, now: Timestamp) -> Result<(), StoreError> {
        let rule = self.receivers.rules().fleet_sync_failing;
        let windows = self.windows(rule.window_at(now)).await?;
        let Some(fleet) = note("the size of the fleet", self.size(now).await) else { return Ok(()) };
        let mut sight = Sight { windows, fleet, changed: None };
        let whole = Alert::new(AlertName::FleetSyncFailing, Subject::Fleet, now);
        let before = self.last(whole.own_fingerprint(), now).await?;
        Box::pin(self.look_at(&mut sight, whole, before, None, now)).await?;
        Box::pin(self.look_at_parts(&mut sight, now)).await
    }

    /// The parts that fail, and those that did at the last look.
    async fn look_at_parts(&self, sight: &mut Sight, now: Timestamp) -> Result<(), StoreError> {
        let rules = self.receivers.rules();
        let name = AlertName::FleetSyncFailing;
        if rules.fleet_by.is_empty() && self.open_parts(name).await?.is_empty() {
            return Ok(());
        }
        if sight.windows.left_out > 0 {
            let devices = sight.windows.left_out;
            log::warn!(devices = devices; "the labels of fleet_by have too many values: these devices are in no part");
        }
        let mut known = self.known_parts(name, now).await?;
        let by = self.open_of(name).await?;
        let seen = sight.windows.scopes.keys().chain(known.keys()).cloned().collect::<BTreeSet<_>>();
        for scope in seen {
            let before = known.remove(&scope);
            let alert = Alert::new(name, Subject::Scope(scope), now);
            Box::pin(self.look_at(sight, alert, before, by, now)).await?;
        }
        Ok(())
    }

    /// Brings the alert of the whole or of a part into line with what is seen.
    async fn look_at(
        &self,
        sight: &mut Sight,
        alert: Alert,
        before: Option<KeptIncident>,
        inhibited_by: Option<AlertId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rules = self.receivers.rules();
        let scope = alert.scope().cloned();
        let is_looked_at = scope.as_ref().is_none_or(|scope| rules.fleet_by.contains(&scope.label));
        let window = part(&sight.windows, scope.as_ref());
        let rule = rules.fleet_sync_failing;
        let verdict = if is_looked_at {
            rule.judge_part(is_open(before.as_ref()), &window, &sight.windows.all, sight.fleet)
        } else {
            // The config names it no more.
            Verdict::Well
        };
        if before.is_none() && verdict != Verdict::Wrong {
            return Ok(());
        }
        let mut alert = failing(alert, &window);
        if verdict == Verdict::Wrong {
            if sight.changed.is_none() {
                sight.changed = Some(self.what_changed(now).await);
            }
            if let Some(finding) = alert.finding.as_mut() {
                finding.changed = sight.changed.clone().unwrap_or_default();
            }
            if !is_open(before.as_ref()) {
                let since = self.failing_since(scope.as_ref(), sight.fleet, now).await?;
                alert = Alert { starts_at: since, ..alert }.with_own_id();
            }
        }
        let clears_after = match verdict {
            _ if !is_looked_at => SignedDuration::ZERO,
            Verdict::Well if window.reporting == 0 => rule.clears_unheard_after(rules.report_interval),
            _ => rule.clears_after(),
        };
        self.settle(before, Judged { alert, verdict, clears_after, inhibited_by, follows: None }, now).await
    }

    async fn windows(&self, range: Range<Timestamp>) -> Result<FleetWindows, StoreError> {
        let rules = self.receivers.rules();
        self.store.sync_events().windows(range, rules.connectivity_floor_mbps, &rules.fleet_by).await
    }

    /// What those that fail have in common; people are rather told without it than late.
    async fn what_changed(&self, now: Timestamp) -> Vec<String> {
        let window = self.receivers.rules().fleet_sync_failing.window_at(now);
        match self.store.sync_events().what_changed(window).await {
            Ok(changed) => changed.contrasts.iter().take(CONTRASTS).map(ToString::to_string).collect(),
            Err(error) => {
                log::warn!(error:% = error; "what changed is not known");
                Vec::new()
            }
        }
    }

    /// Since when too many fail: an alerter that comes late, or was started late, goes back window
    /// by window to the last that was well. Windows that say nothing lie between those of a herd.
    async fn failing_since(&self, scope: Option<&Scope>, fleet: u64, now: Timestamp) -> Result<Timestamp, StoreError> {
        let rules = self.receivers.rules();
        let rule = rules.fleet_sync_failing;
        let (mut since, mut end, oldest) = (now, now - rule.window, now - LOOKS_BACK);
        while end > oldest && since.duration_since(end) <= rules.report_interval {
            let start = end - rule.window;
            let windows = self.windows(start..end).await?;
            match rule.judge_part(false, &part(&windows, scope), &windows.all, fleet) {
                Verdict::Wrong => since = start,
                Verdict::Well => break,
                Verdict::Unknown => {}
            }
            end = start;
        }
        Ok(since)
    }
}

/// The window of a part, or of the whole.
fn part(windows: &FleetWindows, scope: Option<&Scope>) -> FleetWindow {
    scope.map_or(windows.all, |scope| windows.scopes.get(scope).copied().unwrap_or_default())
}

fn failing(mut alert: Alert, window: &FleetWindow) -> Alert {
    alert.cause = window.main_cause();
    alert.failure_count = i32::try_from(window.failing()).unwrap_or(i32::MAX);
    alert.finding = Some(Finding {
        part: window.failing(),
        whole: window.reporting,
        detail: Some(format!(
            "{} on content, {} on a slow connection, {} without a measured speed",
            window.content, window.connectivity, window.unknown
        )),
        changed: Vec::new(),
        named: Vec::new(),
    });
    alert
}
