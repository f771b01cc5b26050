//! A tick: evaluates each rule in its order and reconciles incidents, devices a page at a time.

use std::{collections::HashMap, time::Instant};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::{
    crash::CrashSettings,
    models::{Alert, DeviceId, Subject},
    queue::Queue,
    store::{Revision, Store, StoreError, VersionedIncident},
};

use crate::{
    evaluation::Evaluation,
    metrics::Metrics,
    reconcile,
    routing::Routing,
    rules::{self, About, Ask, RULES, Rule, Rules, device_sync_failing},
    snapshot::{Candidates, PAGE, ReadError, Snapshot, SnapshotSource},
};

/// The maximum number of evaluations of a page after conflicts; the next tick does the rest.
const ROUNDS: usize = 5;

/// The number of incidents that one hinted page may open before the fleet is evaluated. Many at once seldom
/// have many reasons.
const MANY: usize = 10;

/// Compares the state of the fleet with the incidents.
///
/// It is level-triggered: a tick depends on the state of things, not on events, so the next tick makes up for a
/// missed one. Hints and ticks take the same path; a hint only names the devices.
#[derive(Debug, Clone)]
pub struct Alerter {
    source: SnapshotSource,
    routing: Routing,
    crash: CrashSettings,
    /// The metrics of the alerter.
    pub metrics: Metrics,
}

/// The snapshot and the settings of one evaluation.
struct Evaluator<'a> {
    alerter: &'a Alerter,
    rules: Rules,
    snapshot: Snapshot,
}

impl Alerter {
    /// Returns an alerter that calls a device failing from `threshold` failed syncs in a row.
    pub fn new(store: Store, queue: Queue, threshold: i32, routing: Routing, crash: CrashSettings) -> Self {
        let source = SnapshotSource::new(store, queue, threshold, rules::inhibitors());
        Self { source, routing, crash, metrics: Metrics::default() }
    }

    /// Evaluates all rules. A tick costs as much as is unhealthy, not as much as exists.
    pub async fn tick(&self) -> Result<(), ReadError> {
        self.tick_at(self.source.store.now().await?).await
    }

    /// Evaluates all rules at this time.
    ///
    /// A rule that cannot read its data leaves its incidents as they are and stops no other rule.
    pub async fn tick_at(&self, now: Timestamp) -> Result<(), ReadError> {
        let start = Instant::now();
        let mut evaluator = self.evaluator(now).await?;
        for rule in RULES {
            evaluator.evaluate(rule).await?;
        }
        reconcile::end_silences(&evaluator.snapshot).await?;
        self.metrics.update_gauges(&self.source.store, self.source.threshold).await?;
        self.metrics.ticked(start.elapsed());
        Ok(())
    }

    /// Evaluates whether these devices are failing.
    pub async fn evaluate(&self, devices: &[DeviceId]) -> Result<(), ReadError> {
        let rule = &device_sync_failing::RULE;
        for page in devices.chunks(PAGE) {
            let mut evaluator = self.evaluator(self.source.store.now().await?).await?;
            let mut planned = evaluator.plan(rule, page.to_vec()).await?;
            let opens = planned.iter().filter(|kept| kept.revision == Revision::Unset).count();
            if opens >= MANY && !evaluator.snapshot.inhibition.has_open_episode() {
                for rule in RULES.iter().filter(|rule| matches!(rule.about, About::Fleet { .. })) {
                    evaluator.evaluate(rule).await?;
                }
                planned = evaluator.plan(rule, page.to_vec()).await?;
            }
            evaluator.write(rule, planned).await?;
        }
        Ok(())
    }

    async fn evaluator(&self, now: Timestamp) -> Result<Evaluator<'_>, StoreError> {
        let rules = self.routing.current().file.rules.clone();
        let snapshot = self.source.snapshot(rules.common.clone(), now).await?;
        Ok(Evaluator { alerter: self, rules, snapshot })
    }
}

impl Evaluator<'_> {
    /// Evaluates a rule. An error of Redis, a refused query or an unreadable document leaves the rule's
    /// incidents as they are. Without `MongoDB` it fails.
    async fn evaluate(&mut self, rule: &Rule) -> Result<(), ReadError> {
        let outcome = match rule.about {
            About::Fleet { .. } => Box::pin(self.evaluate_fleet(rule)).await,
            About::Devices(candidates) => Box::pin(self.evaluate_devices(rule, candidates)).await,
        };
        match outcome {
            Err(
                error @ (ReadError::Queue(_)
                | ReadError::Store(
                    StoreError::Malformed { .. } | StoreError::Refused { .. } | StoreError::Index { .. },
                )),
            ) => {
                log::warn!(rule:% = rule.name, error:% = error; "rule not evaluated, its incidents stay as they are");
                Ok(())
            }
            other => other,
        }
    }

    /// Evaluates the whole fleet before its parts, which its alert inhibits.
    async fn evaluate_fleet(&mut self, rule: &Rule) -> Result<(), ReadError> {
        self.snapshot.open_page(self.snapshot.source.store.alerts().open_of_rule(rule.name).await?);
        let evaluations = (rule.evaluate)(&self.snapshot, &self.rules).await?;
        let is_whole = |found: &Evaluation| found.alert.subject == Subject::Fleet;
        let (whole, parts): (Vec<_>, Vec<_>) = evaluations.into_iter().partition(is_whole);
        for some in [whole, parts] {
            let planned = reconcile::plan(rule, &self.snapshot, &self.alerter.routing, &some).await?;
            if !planned.is_empty() {
                // After a conflict with another alerter, the next tick does the rest.
                reconcile::write(&self.snapshot.source.store, &self.alerter.crash, &planned).await?;
                self.snapshot.refresh_inhibition().await?;
            }
        }
        Ok(())
    }

    /// Evaluates the devices with an open incident, and then those for which one may open.
    async fn evaluate_devices(&mut self, rule: &Rule, candidates: Ask<Candidates>) -> Result<(), ReadError> {
        let (alerts, mut after) = (self.snapshot.source.store.alerts(), None);
        loop {
            let (open, last) = alerts.open_page(rule.name, after.as_deref(), PAGE).await?;
            self.snapshot.open_page(open);
            self.evaluate_page(rule).await?;
            after = last;
            if after.is_none() {
                break;
            }
        }
        let mut candidates = candidates(&self.snapshot, &self.rules).await?;
        while let Some(mut page) = candidates.try_next().await? {
            let open = alerts.open_among(&fingerprints(rule, &page)).await?;
            page.retain(|device| !open.contains(&Alert::fingerprint(rule.name, device)));
            (self.snapshot.devices, self.snapshot.open) = (page, HashMap::new());
            self.evaluate_page(rule).await?;
        }
        Ok(())
    }

    async fn evaluate_page(&mut self, rule: &Rule) -> Result<(), ReadError> {
        let planned = self.plan_page(rule).await?;
        self.write(rule, planned).await
    }

    /// Writes the planned incidents. After a conflict, the devices are evaluated again.
    async fn write(&mut self, rule: &Rule, mut planned: Vec<VersionedIncident>) -> Result<(), ReadError> {
        for _ in 0..ROUNDS {
            let conflicts = reconcile::write(&self.snapshot.source.store, &self.alerter.crash, &planned).await?;
            if conflicts.is_empty() {
                break;
            }
            self.snapshot.now = self.snapshot.now.max(self.snapshot.source.store.now().await?);
            self.snapshot.refresh().await?;
            planned = self.plan(rule, conflicts).await?;
        }
        Ok(())
    }

    async fn plan(&mut self, rule: &Rule, devices: Vec<DeviceId>) -> Result<Vec<VersionedIncident>, ReadError> {
        let open = self.snapshot.source.store.alerts().open_by_fingerprint(&fingerprints(rule, &devices)).await?;
        self.snapshot.open_page(open);
        self.snapshot.devices = devices;
        self.plan_page(rule).await
    }

    async fn plan_page(&self, rule: &Rule) -> Result<Vec<VersionedIncident>, ReadError> {
        if self.snapshot.devices.is_empty() {
            return Ok(Vec::new());
        }
        let evaluations = (rule.evaluate)(&self.snapshot, &self.rules).await?;
        Ok(Box::pin(reconcile::plan(rule, &self.snapshot, &self.alerter.routing, &evaluations)).await?)
    }
}

fn fingerprints(rule: &Rule, devices: &[DeviceId]) -> Vec<String> {
    devices.iter().map(|device| Alert::fingerprint(rule.name, device)).collect()
}
