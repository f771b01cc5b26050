//! A real Alertmanager, or the members of its cluster. Alerts are pushed to the API v2 of each member, as
//! Prometheus does.
//!
//! Alertmanager resolves an alert at its `endsAt`, and forgets all alerts on a restart. So firing alerts are
//! pushed again and again, each time with a later end.

use std::{collections::HashSet, time::Duration};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use pisync_core::{
    models::{Alert, AlertState, Incident, NotificationKind},
    settings::Secret,
    store::{Store, VersionedIncident},
    time::rfc3339,
};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    http::{Authorities, Endpoint},
    payload,
};
use crate::{
    device_context::DeviceContext,
    messages::Messages,
    notification::{AlertNotification, Delivery, Notification},
    tables::{Length, Table, Texts, values},
};

/// The time without a push after which Alertmanager resolves an alert.
const RESOLVE_AFTER: Duration = Duration::from_mins(15);

/// The interval at which firing alerts are pushed again.
const RESEND: Duration = Duration::from_mins(1);

/// The number of alerts that are read and pushed at a time.
const BATCH_SIZE: usize = 500;

/// The keys of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    urls: Texts,
    resolve_after: Option<Length<1, 86_400>>,
    resend: Option<Length<1, 86_400>>,
    bearer_file: Option<Secret>,
    ca_file: Option<Authorities>,
}

/// One Alertmanager, or the members of its cluster.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    members: Vec<Endpoint>,
    resolve_after: Duration,
    /// The interval of [`Alertmanager::keep_alive`].
    pub(crate) resend: Duration,
}

impl Alertmanager {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { urls, bearer_file, ca_file, .. } = settings;
        let resolve_after = settings.resolve_after.map_or(RESOLVE_AFTER, |Length(length)| length);
        let resend = settings.resend.map_or_else(|| RESEND.min(resolve_after / 4), |Length(length)| length);
        if resend > resolve_after / 2 {
            table.fault("resend", "must be at most half of resolve_after, or a late one resolves alerts");
        }
        let urls = urls.into_vec().iter().map(|url| of_api(url)).collect::<Result<Vec<_>, _>>();
        let urls = table.check("urls", urls)?;
        let member = |url| Endpoint::new(table, url, ca_file.clone(), bearer_file.clone());
        let members: Vec<_> = urls.into_iter().filter_map(member).collect();
        if members.is_empty() {
            table.fault("urls", "must be at least one address");
        }
        (!members.is_empty()).then_some(Self { members, resolve_after, resend })
    }

    /// Pushes to every member, as Prometheus does: the cluster notifies people once. One member that accepts
    /// the alerts is enough, since the others get the firing ones later, by [`Alertmanager::keep_alive`].
    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let alerts = notification.notices.iter().map(|notice| self.alert(notice, messages)).collect();
        self.push(alerts).await
    }

    /// Pushes the firing alerts again that the receiver of this name was notified of and that are not held back
    /// now.
    ///
    /// An alert may end between the read and the push, and would then fire there for [`RESOLVE_AFTER`]. So
    /// these are read again, and the ended ones are pushed as resolved.
    pub(crate) async fn keep_alive(&self, store: &Store, name: &str, messages: &Messages) -> anyhow::Result<()> {
        let mut pages = store.alerts().open(BATCH_SIZE).await?;
        while let Some(page) = pages.try_next().await? {
            let firing = firing_there(page, name);
            let fingerprints: Vec<_> = firing.iter().map(Alert::own_fingerprint).collect();
            self.push_all(&firing, NotificationKind::Firing, messages).await?;
            let still = firing_there(store.alerts().open_by_fingerprint(&fingerprints).await?, name);
            let still: HashSet<_> = still.into_iter().map(|alert| alert.id).collect();
            let mut ended: Vec<_> = firing.into_iter().filter(|alert| !still.contains(&alert.id)).collect();
            for alert in &mut ended {
                alert.ends_at = Some(Timestamp::now());
            }
            self.push_all(&ended, NotificationKind::Resolved, messages).await?;
        }
        Ok(())
    }

    async fn push_all(&self, alerts: &[Alert], kind: NotificationKind, messages: &Messages) -> anyhow::Result<()> {
        if alerts.is_empty() {
            return Ok(());
        }
        let notice = |alert: Alert| AlertNotification { kind, alert, context: DeviceContext::default() };
        let all = alerts.iter().map(|alert| self.alert(&notice(alert.clone()), messages)).collect();
        if let Delivery::Again { why, .. } | Delivery::Dead { why } = self.push(all).await {
            anyhow::bail!(why);
        }
        Ok(())
    }

    async fn push(&self, alerts: Vec<Value>) -> Delivery {
        let body = Value::from(alerts).to_string().into_bytes();
        let pushes = self.members.iter().map(|member| member.post(body.clone(), &[]));
        let all = futures_util::future::join_all(pushes).await;
        let worst = all.iter().find(|delivery| **delivery != Delivery::Sent).cloned();
        if all.contains(&Delivery::Sent) { Delivery::Sent } else { worst.unwrap_or(Delivery::Sent) }
    }

    fn alert(&self, notice: &AlertNotification, messages: &Messages) -> Value {
        let end = payload::ends_at(notice).or_else(|| Timestamp::now().checked_add(self.resolve_after).ok());
        json!({
            "labels": notice.alert.labels(),
            "annotations": payload::annotations(notice, messages),
            "startsAt": rfc3339(notice.alert.starts_at),
            "endsAt": end.map(rfc3339),
            "generatorURL": messages.links.page(&notice.alert).unwrap_or_default(),
        })
    }
}

/// Returns the alerts of these incidents that fire at the receiver of this name.
fn firing_there(open: Vec<VersionedIncident>, name: &str) -> Vec<Alert> {
    let is_firing_there = |incident: &Incident| {
        let is_told = incident.sent_to(name).is_some_and(|told| !told.is_resolved);
        incident.alert.state == AlertState::Firing && is_told && !incident.is_held_back()
    };
    let incidents = open.into_iter().map(|kept| kept.incident);
    incidents.filter(is_firing_there).map(|incident| incident.alert).collect()
}

/// Returns the API's address of a member.
fn of_api(text: &str) -> Result<Url, &'static str> {
    let mut url = values::web_address(text)?;
    let segments = url.path_segments_mut().map_err(|()| "must have a path");
    segments?.pop_if_empty().extend(["api", "v2", "alerts"]);
    Ok(url)
}
