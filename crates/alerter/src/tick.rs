//! A tick: each rule in its order is evaluated and reconciled, of devices a page at a time.

use std::{collections::HashMap, time::Instant};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::{
    crash::CrashSettings,
    models::{Alert, AlertName, DeviceId, Subject},
    queue::Queue,
    store::{KeptIncident, Revision, Store, StoreError},
};

use crate::{
    evaluate::{self, DEVICE_RULES, FLEET_RULES},
    evaluation::Evaluation,
    metrics::Metrics,
    reconcile::{Changed, Reconciler, Written},
    routing::Routing,
    snapshot::{PAGE, ReadError, Snapshot, Source},
};

/// How often a page is evaluated again for what others changed meanwhile; then the next tick sees to
/// it.
const ROUNDS: usize = 5;

/// How many incidents one hinted page may open before the fleet is evaluated: so many at once are
/// seldom many reasons.
const MANY: usize = 10;

/// Compares the state of the fleet with the incidents.
///
/// Level-triggered: what a tick finds depends on how things are, not on what it was told before,
/// so a tick that was missed is made good by the next. Hints and ticks go the same way; a hint
/// only says which devices.
#[derive(Debug, Clone)]
pub struct Alerter {
    source: Source,
    threshold: i32,
    routing: Routing,
    reconciler: Reconciler,
    metrics: Metrics,
}

impl Alerter {
    /// Returns an alerter that calls a device failing from `threshold` failed syncs in a row.
    pub fn new(store: Store, queue: Queue, threshold: i32, routing: Routing, crash: CrashSettings) -> Self {
        let reconciler = Reconciler::new(store.clone(), routing.clone(), crash);
        Self { source: Source::new(store, queue), threshold, routing, reconciler, metrics: Metrics::new() }
    }

    /// Returns what is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Evaluates all rules: what a tick costs is what is wrong, not what exists.
    pub async fn tick(&self) -> Result<Changed, ReadError> {
        self.tick_at(self.source.store.now().await?).await
    }

    /// The same as if it were another time.
    ///
    /// A rule that cannot read its data leaves its incidents as they are and stops no other rule.
    pub async fn tick_at(&self, now: Timestamp) -> Result<Changed, ReadError> {
        let start = Instant::now();
        let mut snapshot = self.snapshot(now).await?;
        let mut changed = self.evaluate_fleet(&mut snapshot).await?;
        for rule in DEVICE_RULES {
            let outcome = Box::pin(self.evaluate_devices(rule, &mut snapshot)).await;
            changed += unless_unreadable(rule, outcome)?;
        }
        self.reconciler.end_silences(&snapshot).await?;
        self.metrics.look_at(&self.source.store, self.threshold).await?;
        self.metrics.ticked(start.elapsed());
        Ok(changed)
    }

    /// Evaluates whether these devices fail.
    pub async fn evaluate(&self, devices: &[DeviceId]) -> Result<Changed, ReadError> {
        let mut changed = Changed::default();
        for page in devices.chunks(PAGE) {
            let mut snapshot = self.snapshot(self.source.store.now().await?).await?;
            let (rule, page) = (AlertName::DeviceSyncFailing, page.to_vec());
            let planned = self.plan(rule, &mut snapshot, page.clone()).await?;
            let opens = planned.iter().filter(|kept| kept.revision == Revision::Unset).count();
            if opens >= MANY && !snapshot.inhibition.has_open_episode() {
                Box::pin(self.evaluate_fleet(&mut snapshot)).await?;
                changed += self.evaluate_page(rule, &mut snapshot, page).await?;
            } else {
                changed += self.write(rule, &mut snapshot, planned).await?;
            }
        }
        Ok(changed)
    }

    /// Pings who waits for a tick.
    pub(crate) fn ping(&self) -> impl Future<Output = ()> + Send + use<> {
        let routing = self.routing.clone();
        async move { routing.ping().await }
    }

    async fn snapshot(&self, now: Timestamp) -> Result<Snapshot, StoreError> {
        self.source.snapshot(self.routing.rules(), self.threshold, now).await
    }

    async fn evaluate_fleet(&self, snapshot: &mut Snapshot) -> Result<Changed, ReadError> {
        let mut changed = Changed::default();
        for rule in FLEET_RULES {
            let outcome = Box::pin(self.evaluate_fleet_rule(rule, snapshot)).await;
            changed += unless_unreadable(rule, outcome)?;
        }
        Ok(changed)
    }

    /// The whole fleet before its parts, which its alert inhibits.
    async fn evaluate_fleet_rule(&self, rule: AlertName, snapshot: &mut Snapshot) -> Result<Changed, ReadError> {
        snapshot.open_page(self.source.store.alerts().open_of_rule(rule).await?);
        let evaluations = evaluate::evaluate(rule, snapshot).await?;
        let is_whole = |found: &Evaluation| found.alert.subject == Subject::Fleet;
        let (whole, parts): (Vec<_>, Vec<_>) = evaluations.into_iter().partition(is_whole);
        let mut changed = Changed::default();
        for some in [whole, parts] {
            let planned = self.reconciler.plan(snapshot, &some).await?;
            if !planned.is_empty() {
                // Where another alerter was first, the next tick sees to it.
                changed += self.reconciler.write(&planned).await?.changed;
                snapshot.refresh_inhibition().await?;
            }
        }
        Ok(changed)
    }

    /// The devices with an open incident, and then those for which one may open.
    async fn evaluate_devices(&self, rule: AlertName, snapshot: &mut Snapshot) -> Result<Changed, ReadError> {
        let (alerts, mut changed, mut after) = (self.source.store.alerts(), Changed::default(), None);
        loop {
            let (open, last) = alerts.open_page(rule, after.as_deref(), PAGE).await?;
            snapshot.open_page(open);
            let planned = self.plan_page(rule, snapshot).await?;
            changed += self.write(rule, snapshot, planned).await?;
            after = last;
            if after.is_none() {
                break;
            }
        }
        let Some(mut candidates) = evaluate::candidates(rule, snapshot).await? else { return Ok(changed) };
        while let Some(mut page) = candidates.try_next().await? {
            let open = alerts.open_among(&fingerprints(rule, &page)).await?;
            page.retain(|device| !open.contains(&Alert::fingerprint(rule, device)));
            (snapshot.devices, snapshot.open) = (page, HashMap::new());
            let planned = self.plan_page(rule, snapshot).await?;
            changed += self.write(rule, snapshot, planned).await?;
        }
        Ok(changed)
    }

    async fn evaluate_page(
        &self,
        rule: AlertName,
        snapshot: &mut Snapshot,
        devices: Vec<DeviceId>,
    ) -> Result<Changed, ReadError> {
        let planned = self.plan(rule, snapshot, devices).await?;
        self.write(rule, snapshot, planned).await
    }

    /// Writes what planned. The devices of incidents that others changed meanwhile are evaluated
    /// again.
    async fn write(
        &self,
        rule: AlertName,
        snapshot: &mut Snapshot,
        mut planned: Vec<KeptIncident>,
    ) -> Result<Changed, ReadError> {
        let mut changed = Changed::default();
        for _ in 0..ROUNDS {
            let written = self.reconciler.write(&planned).await?;
            changed += written.changed;
            let Written { conflicts, .. } = written;
            if conflicts.is_empty() {
                break;
            }
            snapshot.now = snapshot.now.max(self.source.store.now().await?);
            snapshot.refresh().await?;
            planned = self.plan(rule, snapshot, conflicts).await?;
        }
        Ok(changed)
    }

    async fn plan(
        &self,
        rule: AlertName,
        snapshot: &mut Snapshot,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<KeptIncident>, ReadError> {
        let open = self.source.store.alerts().open_by_fingerprint(&fingerprints(rule, &devices)).await?;
        snapshot.open_page(open);
        snapshot.devices = devices;
        self.plan_page(rule, snapshot).await
    }

    async fn plan_page(&self, rule: AlertName, snapshot: &Snapshot) -> Result<Vec<KeptIncident>, ReadError> {
        if snapshot.devices.is_empty() {
            return Ok(Vec::new());
        }
        let evaluations = evaluate::evaluate(rule, snapshot).await?;
        Ok(Box::pin(self.reconciler.plan(snapshot, &evaluations)).await?)
    }
}

fn fingerprints(rule: AlertName, devices: &[DeviceId]) -> Vec<String> {
    devices.iter().map(|device| Alert::fingerprint(rule, device)).collect()
}

/// Returns the outcome of a rule. Redis being away, a query that `MongoDB` refuses, or a document that
/// cannot be read, leaves the rule's incidents as they are; without `MongoDB` no rule can go on.
fn unless_unreadable(rule: AlertName, outcome: Result<Changed, ReadError>) -> Result<Changed, ReadError> {
    match outcome {
        Err(
            error @ (ReadError::Queue(_)
            | ReadError::Store(
                StoreError::Malformed { .. } | StoreError::Refused { .. } | StoreError::Index { .. },
            )),
        ) => {
            log::warn!(rule:% = rule, error:% = error; "not evaluated, its incidents stay as they are");
            Ok(Changed::default())
        }
        other => other,
    }
}
