//! What is said of more than one sync after the other: of many devices, and of one that is silent
//! or flaps.

use jiff::Timestamp;
use pisync_core::models::{Alert, AlertName, DeviceId, Finding};

use super::wording::subject;
use crate::{
    notification::{Notice, Reason},
    rules::device_flapping,
};

/// What happened, where it is more than one failed sync after the other.
pub(super) fn sentence(notice: &Notice) -> Option<String> {
    let alert = &notice.alert;
    let told = match alert.name {
        AlertName::DeviceSyncFailing => return None,
        AlertName::FleetSyncFailing => failing(alert, notice.reason),
        AlertName::FleetDigest => digest(alert, notice.reason),
        AlertName::FleetSilent => silent(alert, notice.reason),
        AlertName::DeviceSilent => device_silent(alert, notice.reason),
        AlertName::DeviceFlapping => flapping(alert, notice.reason),
        AlertName::PipelineStalled => stalled(alert, notice.reason),
    };
    Some(told)
}

fn failing(alert: &Alert, reason: Reason) -> String {
    let (fleet, since) = (subject(alert), minute(alert.starts_at));
    if reason == Reason::Resolved {
        let at = alert.ends_at.map(minute).unwrap_or_default();
        return format!("{fleet} syncs again since {at}; too many devices were failing since {since}");
    }
    let still = if reason == Reason::Repeat { "still " } else { "" };
    let shares = alert.finding.as_ref().map(shares).unwrap_or_default();
    let cause = alert.cause.as_str();
    format!(
        "{fleet} is {still}failing since {since}, most on {cause}: {shares}; alerts of single devices are held back"
    )
}

/// What those that fail have in common, where something stands out.
pub(super) fn what_changed(notice: &Notice) -> Option<String> {
    let finding = notice.alert.finding.as_ref().filter(|_| notice.reason != Reason::Resolved)?;
    (!finding.changed.is_empty()).then(|| finding.changed.join("; "))
}

fn silent(alert: &Alert, reason: Reason) -> String {
    if reason == Reason::Resolved {
        let at = alert.ends_at.map(minute).unwrap_or_default();
        return format!("{} is heard again since {at}", subject(alert));
    }
    let of_part = alert.scope().map(|scope| format!(" of {scope}")).unwrap_or_default();
    let (absent, expected) = alert.finding.as_ref().map(|finding| (finding.part, finding.whole)).unwrap_or_default();
    let since = minute(alert.starts_at);
    format!(
        "{absent} of {expected} devices{of_part} are silent, the first since about {since}; alerts of single devices \
         are held back"
    )
}

fn device_silent(alert: &Alert, reason: Reason) -> String {
    let device_id = alert.device_id().map_or("a device", DeviceId::as_str);
    if reason == Reason::Resolved {
        let at = alert.ends_at.map(minute).unwrap_or_default();
        return format!("{device_id} is heard again since {at}");
    }
    format!("nothing was received from {device_id} since {}", minute(alert.starts_at))
}

fn flapping(alert: &Alert, reason: Reason) -> String {
    let (device_id, since) = (alert.device_id().map_or("a device", DeviceId::as_str), minute(alert.starts_at));
    if reason == Reason::Resolved {
        return format!("{device_id} does not fail and recover in turn any more, as it did since {since}");
    }
    let still = if reason == Reason::Repeat { "still " } else { "" };
    let changes = alert.finding.as_ref().map_or(0, |finding| finding.part);
    let (failed, of) = (alert.failure_count, device_flapping::REPORTS);
    format!(
        "{device_id} {still}fails and recovers in turn since {since}: {failed} of its last {of} syncs failed, with \
         {changes} changes; what fails meanwhile is not told each time"
    )
}

fn stalled(alert: &Alert, reason: Reason) -> String {
    if reason == Reason::Resolved {
        return "what devices report gets through again".to_owned();
    }
    let detail = alert.finding.as_ref().and_then(|finding| finding.detail.as_deref()).unwrap_or_default();
    format!("what devices report does not get through: {detail}")
}

/// How many of how many, and what else there is to say.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn shares(finding: &Finding) -> String {
    let percent = 100.0 * finding.part as f64 / finding.whole.max(1) as f64;
    let detail = finding.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{} of {} devices that reported failed, {percent:.1} %{detail}", finding.part, finding.whole)
}

fn digest(alert: &Alert, reason: Reason) -> String {
    if reason == Reason::Resolved {
        return "the last devices that were still failing after the fleet was well again are well too".to_owned();
    }
    let Some(finding) = &alert.finding else { return "some devices still fail".to_owned() };
    let fleet = finding.detail.as_deref().unwrap_or("the fleet");
    let names: Vec<_> = finding.named.iter().map(DeviceId::as_str).collect();
    let more = finding.part.saturating_sub(names.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (count, names) = (finding.part, names.join(", "));
    format!("{count} of the devices are still not well after {fleet} was well again: {names}{more}")
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{Scope, Subject};

    use super::*;
    use crate::{
        facts::Facts,
        receivers::{Links, wording::Wording},
    };

    #[test]
    fn who_is_silent_is_told_of_the_fleet_or_of_the_part_by_its_label() {
        let part = Subject::Scope(Scope { label: "region".into(), value: "nord".into() });
        for (subject, devices, heard) in [
            (Subject::Fleet, "60 of 90 devices are silent", "the fleet is heard again"),
            (part, "60 of 90 devices of region=nord are silent", "region=nord is heard again"),
        ] {
            let mut alert = Alert::new(AlertName::FleetSilent, subject, Timestamp::UNIX_EPOCH);
            alert.finding = Some(Finding { part: 60, whole: 90, detail: None, changed: Vec::new(), named: Vec::new() });
            let said = |reason| silent(&alert, reason);
            assert!(said(Reason::Firing).starts_with(devices), "{}", said(Reason::Firing));
            assert!(said(Reason::Resolved).starts_with(heard), "{}", said(Reason::Resolved));
        }
    }

    #[test]
    fn what_changed_is_a_line_of_what_fires_and_of_what_is_over_no_more() {
        let mut alert = Alert::new(AlertName::FleetSyncFailing, Subject::Fleet, Timestamp::UNIX_EPOCH);
        let changed = vec!["region=nord: 90 % failing".to_owned(), "speed below 0.5 Mbps: 9 % failing".to_owned()];
        alert.finding = Some(Finding { part: 90, whole: 100, detail: None, changed, named: Vec::new() });
        let wording = Wording { links: Links::default(), floor_mbps: 0.5 };
        let lines =
            |reason, alert: &Alert| wording.lines(&Notice { reason, alert: alert.clone(), facts: Facts::default() });
        for reason in [Reason::Firing, Reason::Repeat] {
            let lines = lines(reason, &alert);
            let expected = "what changed: region=nord: 90 % failing; speed below 0.5 Mbps: 9 % failing";
            assert_eq!((lines.len(), lines[1].as_str()), (2, expected));
        }
        assert_eq!(lines(Reason::Resolved, &alert).len(), 1);
        alert.finding = Some(Finding { part: 90, whole: 100, detail: None, changed: Vec::new(), named: Vec::new() });
        assert_eq!(lines(Reason::Firing, &alert).len(), 1, "where nothing stands out, nothing is said");
    }
}
