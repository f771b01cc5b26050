//! The alert log: one JSON object a line, on disk before it counts as sent. Each alert is also logged.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;
use pisync_core::{
    models::{Alert, DeviceId, NotificationKind, Summary},
    time::rfc3339,
};
use serde::Serialize;

use super::payload::WEEKLY_SUMMARY;
use crate::{
    messages::Messages,
    notification::{AlertNotification, Delivery, Notification},
};

/// The name of this receiver, which always exists.
pub const NAME: &str = "log";

/// The file. Several processes may append to it: each line is one write. Clones share it.
#[derive(Debug, Clone)]
pub struct AlertLog {
    path: Arc<Path>,
    file: Arc<RwLock<Arc<File>>>,
}

/// A line for an alert or a weekly summary. Members of alerts alone are left out in a summary.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    id: String,
    alertname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    message: String,
}

impl AlertLog {
    /// Opens the file for appending, and creates it if it does not exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.into(), file: Arc::new(RwLock::new(Arc::new(open(path)?))) })
    }

    /// Reopens the file by its name, after a log rotation has renamed the old one.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let file = Arc::new(open(&self.path)?);
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }

    /// Writes a line for each alert. Once it is sent, all lines are on disk (one fsync).
    ///
    /// A message to the log lists all its alerts, so none is only counted.
    pub(crate) async fn send(&self, notification: &Notification, messages: &Messages) -> Delivery {
        let now = Timestamp::now();
        let lines: Vec<_> = notification.notices.iter().map(|notice| line(notice, messages, now)).collect();
        let delivery = self.append(&lines).await;
        for notice in notification.notices.iter().filter(|_| delivery == Delivery::Sent) {
            let Alert { id, name, .. } = &notice.alert;
            let device_id = notice.alert.device_id().map(DeviceId::as_str);
            log::warn!(alert:% = id, alertname:% = name, status = notice.kind.status(), device_id = device_id;
                "{}", messages.log(notice));
        }
        delivery
    }

    /// Writes a line for a weekly summary. Once it is sent, the line is on disk.
    pub(crate) async fn send_summary(&self, summary: &Summary) -> Delivery {
        let line = Line {
            time: rfc3339(Timestamp::now()),
            id: summary.id.to_string(),
            alertname: WEEKLY_SUMMARY,
            starts_at: rfc3339(summary.from),
            ends_at: Some(rfc3339(summary.to)),
            message: format!("{}. {}", summary.subject, summary.lines.join(". ")),
            ..Line::default()
        };
        self.append(&[line]).await
    }

    async fn append(&self, all: &[Line<'_>]) -> Delivery {
        match self.write(all).await {
            Ok(()) => Delivery::Sent,
            Err(error) => Delivery::Again { after: None, why: format!("writing to the alert log: {error}") },
        }
    }

    async fn write(&self, all: &[Line<'_>]) -> io::Result<()> {
        let mut lines = Vec::new();
        for one in all {
            serde_json::to_writer(&mut lines, one)?;
            lines.push(b'\n');
        }
        let file = Arc::clone(&self.file.read().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(move || {
            if ends_within_a_line(&file)? {
                lines.insert(0, b'\n');
            }
            (&*file).write_all(&lines)?;
            file.sync_data()
        })
        .await?
    }
}

fn open(path: &Path) -> io::Result<File> {
    // A pipe or a terminal must not be read.
    let is_file = path.metadata().map_or(true, |found| found.is_file());
    OpenOptions::new().create(true).read(is_file).append(true).open(path)
}

/// Returns whether the last writer was killed within a line. The next line must not become a part of it.
fn ends_within_a_line(file: &File) -> io::Result<bool> {
    let (end, mut last) = (file.metadata()?.len(), [b'\n']);
    if end > 0 {
        file.read_exact_at(&mut last, end - 1)?;
    }
    Ok(last != [b'\n'])
}

fn line<'a>(notice: &'a AlertNotification, messages: &Messages, now: Timestamp) -> Line<'a> {
    let alert = &notice.alert;
    Line {
        time: rfc3339(now),
        id: alert.id.to_string(),
        alertname: alert.name.as_str(),
        status: Some(notice.kind.status()),
        device_id: alert.device_id().map(DeviceId::as_str),
        labels: alert.labels.to_map(),
        failure_count: notice.failures().map(|(count, _)| count),
        cause: notice.failures().map(|(_, cause)| cause),
        starts_at: rfc3339(alert.starts_at),
        ends_at: alert.ends_at.filter(|_| notice.kind == NotificationKind::Resolved).map(rfc3339),
        message: messages.log(notice),
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::AlertName;

    use super::*;
    use crate::{
        fixtures::{self, at, failing, messages},
        receivers::payload::AlertItem,
    };

    fn notice(kind: NotificationKind) -> AlertNotification {
        fixtures::notice(kind, failing("pibook-1", at("08:00")))
    }

    fn written(notice: &AlertNotification) -> serde_json::Value {
        let now = "2026-11-24T10:00:01.5Z".parse().unwrap();
        serde_json::to_value(line(notice, &messages(), now)).unwrap()
    }

    #[test]
    fn what_is_not_about_failed_syncs_has_no_count_of_them_and_no_cause() {
        let mut silent = notice(NotificationKind::Firing);
        silent.alert.name = AlertName::DEVICE_SILENT;
        let line = written(&silent);
        assert_eq!((line.get("failureCount"), line.get("cause")), (None, None), "{line}");
        let annotations = AlertItem::of(&silent, &messages()).annotations;
        assert!(!annotations.contains_key("failureCount") && !annotations.contains_key("cause"), "{annotations:?}");
    }

    #[test]
    fn a_line_has_the_members_of_the_contract_and_an_end_once_there_is_one() {
        // As for a reopened incident: its message has no end.
        let mut firing = notice(NotificationKind::Firing);
        firing.alert.ends_at = Some(at("11:00"));
        let line = written(&firing);
        let members: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        let expected =
            ["alertname", "cause", "deviceId", "failureCount", "id", "message", "startsAt", "status", "time"];
        assert_eq!(members, expected);
        assert_eq!(line["status"], "firing");
        assert_eq!(line["time"], "2026-11-24T10:00:01.500Z");
        assert_eq!(line["failureCount"], 3);
        let resolved = written(&notice(NotificationKind::Resolved));
        assert_eq!(line["id"], resolved["id"]);
        assert_eq!(resolved["endsAt"], "2026-11-24T11:30:00.000Z");
    }

    #[tokio::test]
    async fn what_comes_after_half_a_line_is_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.log");
        std::fs::write(&path, "{\"time\":\"20").unwrap();
        let log = AlertLog::open(&path).unwrap();
        let notices = vec![notice(NotificationKind::Firing), notice(NotificationKind::Resolved)];
        let group = BTreeMap::new();
        let notification = Notification { id: "1".into(), receiver: NAME.into(), group, notices, more: 0 };
        for _ in 0..2 {
            assert_eq!(log.send(&notification, &messages()).await, Delivery::Sent);
        }
        let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().map(is_json).collect::<Vec<_>>(), [false, true, true, true, true]);
    }
}
