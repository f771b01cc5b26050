//! What a message says to people: what is wrong, since when, why, and where to look.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use pisync_core::models::{Alert, AlertName, Cause, Summary};
use reqwest::Url;

use super::fleet_wording;
use crate::{
    facts::FailedSync,
    notification::{Notice, Notification, Reason},
};

/// Where the dashboard is, for links.
#[derive(Debug, Clone, Default)]
pub struct Links(Option<Url>);

/// How messages are worded.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    pub(crate) links: Links,
    /// Below it, in Mbps, the connection is taken for the cause.
    pub(crate) floor_mbps: f64,
}

impl Links {
    /// Links to pages under this address.
    pub fn to(external_url: Url) -> Self {
        Self(Some(external_url))
    }

    /// The address itself.
    pub(super) fn base(&self) -> Option<&str> {
        self.0.as_ref().map(|url| url.as_str().trim_end_matches('/'))
    }

    /// The page of what an alert is about: its device, or the fleet.
    fn page(&self, alert: &Alert) -> Option<String> {
        let Some(device_id) = alert.device_id() else { return Some(format!("{}/", self.base()?)) };
        let mut url = self.0.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().push("device");
        url.query_pairs_mut().append_pair("id", device_id.as_str());
        Some(url.into())
    }
}

impl Wording {
    /// A message in one line: of one alert what it is, of many how many.
    pub(super) fn subject(notification: &Notification) -> String {
        if let ([notice], 0) = (notification.notices.as_slice(), notification.more) {
            let word = if notice.reason == Reason::Resolved { "RESOLVED" } else { "FIRING" };
            return format!("[{word}] {}", Self::headline(notice));
        }
        let resolved = notification.notices.iter().filter(|notice| notice.reason == Reason::Resolved).count();
        let firing = notification.notices.len() - resolved;
        let mut parts = Vec::new();
        parts.extend((firing > 0).then(|| format!("{firing} firing")));
        parts.extend((resolved > 0).then(|| format!("{resolved} resolved")));
        parts.extend((notification.more > 0).then(|| format!("{} more", notification.more)));
        let what = notification.group.get(super::labels::ALERTNAME).map_or("alerts", String::as_str);
        format!("[PiSync] {what}: {}", parts.join(", "))
    }

    /// One alert in one line.
    pub(super) fn headline(notice: &Notice) -> String {
        if let Some(sentence) = fleet_wording::sentence(notice) {
            return sentence;
        }
        let alert = &notice.alert;
        let (device, count, since) = (subject(alert), alert.failure_count, minute(alert.starts_at));
        match notice.reason {
            Reason::Firing => format!("{device} failed {count} syncs in a row since {since}"),
            Reason::Repeat => {
                format!("{device} still fails: {count} syncs in a row since {since}")
            }
            Reason::Resolved => {
                let at = alert.ends_at.map(|at| format!(" at {}", minute(at))).unwrap_or_default();
                let lasted = lasted(alert).map(|lasted| format!(", for {lasted}")).unwrap_or_default();
                format!("{device} is well again: a good sync{at}; it was failing since {since}{lasted}")
            }
        }
    }

    /// What is behind it, each with its name, most important first.
    pub(super) fn details(&self, notice: &Notice) -> Vec<(&'static str, String)> {
        let (alert, facts) = (&notice.alert, &notice.facts);
        let mut details = Vec::new();
        if notice.reason != Reason::Resolved && alert.name == AlertName::DeviceSyncFailing {
            details.push(("cause", self.cause(notice)));
            if !facts.last_errors.is_empty() {
                let errors: Vec<_> = facts.last_errors.iter().map(failed_sync).collect();
                details.push(("last errors", errors.join("; ")));
            }
            let good = facts.last_good_sync.map_or_else(|| "none is known".to_owned(), minute);
            details.push(("last good sync", good));
        }
        details.extend(fleet_wording::what_changed(notice).map(|changed| ("what changed", changed)));
        let page = if alert.device_id().is_some() { "device" } else { "fleet" };
        details.extend(self.links.page(alert).map(|link| (page, link)));
        details
    }

    /// Why, with the numbers that say so.
    fn cause(&self, notice: &Notice) -> String {
        let usual = notice.facts.usual_speed.map(|speed| format!("; usual are {} Mbps", round(speed)));
        format!("{}: {}{}", notice.alert.cause.as_str(), self.why(notice), usual.unwrap_or_default())
    }

    /// What the last failed sync points to.
    pub(super) fn why(&self, notice: &Notice) -> String {
        let speed = notice.facts.last_errors.first().map(|failed| failed.speed);
        let (at, floor) = (speed.map(|speed| format!(" ({} Mbps)", round(speed))), round(self.floor_mbps));
        let at = at.unwrap_or_default();
        match notice.alert.cause {
            Cause::Connectivity => match self.usual_far_above(notice) {
                Some(usual) => format!(
                    "the connection was slow at the last one{at}, below a quarter of the {} Mbps that are usual",
                    round(usual)
                ),
                None => format!("the connection was slow at the last one{at}, below {floor} Mbps"),
            },
            Cause::Content => format!("the connection was fine at the last one{at}, not below {floor} Mbps"),
            Cause::Unknown => "no speed was measured at the last one".to_owned(),
        }
    }

    /// What is usual for the device, where that is what the last speed is slow by, and not the floor.
    fn usual_far_above(&self, notice: &Notice) -> Option<f64> {
        let evidence = notice.alert.evidence.filter(|evidence| evidence.speed >= self.floor_mbps)?;
        evidence.usual
    }

    /// The page of the device.
    pub(super) fn link(&self, notice: &Notice) -> Option<String> {
        self.links.page(&notice.alert)
    }

    /// A week, line by line, and where to look.
    pub(super) fn week(&self, summary: &Summary) -> Vec<String> {
        let mut lines = summary.lines.clone();
        lines.extend(self.links.base().map(|base| format!("fleet: {base}/")));
        lines
    }

    /// One alert with its details, line by line.
    pub(super) fn lines(&self, notice: &Notice) -> Vec<String> {
        let mut lines = vec![Self::headline(notice)];
        lines.extend(self.details(notice).into_iter().map(|(name, detail)| format!("{name}: {detail}")));
        lines
    }
}

/// What an alert is about.
pub(crate) fn subject(alert: &Alert) -> String {
    let part = || alert.scope().map(ToString::to_string);
    alert.device_id().map(ToString::to_string).or_else(part).unwrap_or_else(|| "the fleet".to_owned())
}

/// What is not listed, if there is something.
pub(super) fn rest(notification: &Notification) -> Option<String> {
    (notification.more > 0).then(|| format!("and {} more alerts, which are not listed here", notification.more))
}

fn failed_sync(failed: &FailedSync) -> String {
    let FailedSync { at, errors, files, speed } = failed;
    let plural = |count: i64, thing: &str| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
    format!("{}: {}, {} synced, {} Mbps", minute(*at), plural(*errors, "error"), plural(*files, "file"), round(*speed))
}

/// How long an incident lasted, if it is over.
pub(super) fn lasted(alert: &Alert) -> Option<String> {
    let lasted = alert.ends_at?.duration_since(alert.starts_at).max(SignedDuration::ZERO);
    Some(in_words(lasted.unsigned_abs()))
}

/// The two largest units.
pub(crate) fn in_words(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A time for people: to the minute, in UTC, as its name says.
fn minute(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn round(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{DeviceId, Subject};

    use super::*;

    #[test]
    fn a_length_of_time_is_told_in_its_two_largest_units() {
        for (minutes, words) in
            [(0, "0 min"), (59, "59 min"), (61, "1 h 1 min"), (1_439, "23 h 59 min"), (1_500, "1 d 1 h")]
        {
            assert_eq!(in_words(Duration::from_mins(minutes)), words);
        }
    }

    #[test]
    fn a_link_holds_any_device_id() {
        let links = Links::to(Url::parse("https://example.org/pisync/").unwrap());
        let run = pisync_core::models::FailureRun {
            count: 3,
            since: Timestamp::UNIX_EPOCH,
            last_at: Timestamp::UNIX_EPOCH,
            last_speed: 0.1,
        };
        let device = DeviceId::parse("école/7 ?#").unwrap();
        let alert = Alert::device_sync_failing(device, &run);
        assert_eq!(links.page(&alert).unwrap(), "https://example.org/pisync/device?id=%C3%A9cole%2F7+%3F%23");
        let fleet = Alert::new(AlertName::FleetSyncFailing, Subject::Fleet, Timestamp::UNIX_EPOCH);
        assert_eq!(links.page(&fleet).unwrap(), "https://example.org/pisync/");
    }
}
