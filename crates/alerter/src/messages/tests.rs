//! The text of each message, and a template for each rule and kind of message.

use pisync_core::models::{
    Alert, AlertName, Cause, CauseInputs, DeviceId, FleetPart, FleetStats, NotificationKind, Subject,
};

use super::*;
use crate::{
    device_context::{DeviceContext, FailedSync},
    fixtures::{at, notice},
    rules::RULES,
};

const KINDS: [NotificationKind; 3] = [NotificationKind::Firing, NotificationKind::Repeat, NotificationKind::Resolved];

/// The number of characters that fit a phone.
const FITS: usize = 79;

fn messages() -> Messages {
    Messages::new(Links { dashboard: "https://example.org/pisync/".parse().ok(), runbook: None }, 0.5)
}

fn device(id: &str) -> Subject {
    Subject::Device(DeviceId::parse(id).unwrap())
}

fn part(value: &str) -> Subject {
    Subject::Part(FleetPart { label: "region".into(), value: value.into() })
}

fn alert(name: AlertName, subject: Subject, part: u64, whole: u64) -> Alert {
    let mut alert = Alert::new(name, subject, at("08:00"));
    let examples = vec![DeviceId::parse("pi-1").unwrap(), DeviceId::parse("pi-2").unwrap()];
    let changed = vec!["region=nord: 90 % failing".to_owned()];
    let facts =
        [("content", 3), ("connectivity", 5), ("unknown", 0), ("noWorkerMinutes", 6), ("oldestWaitsMinutes", 7)];
    alert.finding = Some(FleetStats { changed, examples, ..FleetStats::new(part, whole).with(facts) });
    (alert.failure_count, alert.cause) = (4, Cause::Content);
    alert
}

/// For each rule the firing message, the headline of a repeat, and that of the resolved message.
const SAID: &str = "\
PiSync: 305 of 1932 devices failing, content
  failed: 15.7 % of the devices that reported: 3 on content, 5 on a slow connection, 0 without a measured speed
  suppressed: alerts of single devices
PiSync: still 305 of 1932 devices failing
PiSync: few devices are failing now
PiSync: ingestion pipeline stalled
  no worker: no heartbeat for 6 min
  oldest queued event: has waited for 7 min
PiSync: ingestion pipeline still stalled
PiSync: reports get through again
region=nord: 60 of 90 devices silent
  suppressed: alerts of single devices
region=nord: still 60 of 90 devices silent
region=nord: few devices are silent now
PiSync: 12 devices have not recovered
  recovered: the rest of the fleet
  devices: pi-1, pi-2 and 10 more
PiSync: 12 devices have still not recovered
PiSync: the last devices have recovered
a: silent since 2026-11-24 08:00 UTC
a: still silent since 2026-11-24 08:00 UTC
a reports again after 3 h 30 min
a: flapping, 9 changes in 21 syncs
  failed: 4 of its last 21 syncs
  suppressed: individual failure alerts, while it flaps
a: still flapping, 9 changes in 21 syncs
a is no longer flapping
a: 4 failed syncs in a row
  cause: content: the connection was fine at the last one, not below 0.5 Mbps
  last good sync: unknown
a: still failing, 4 failed syncs in a row
a has recovered after 3 h 30 min
";

#[test]
fn each_rule_says_what_happened_and_what_is_behind_it() {
    let about = [
        (Subject::Fleet, 305, 1_932),
        (Subject::Fleet, 9, 9),
        (part("nord"), 60, 90),
        (Subject::Fleet, 12, 12),
        (device("a"), 0, 0),
        (device("a"), 9, 20),
        (device("a"), 0, 0),
    ];
    let mut said = String::new();
    for (rule, (subject, part, whole)) in RULES.iter().zip(about) {
        for kind in KINDS {
            let text = messages().alert(&notice(kind, alert(rule.name, subject.clone(), part, whole)), Format::Plain);
            said.extend([&text.headline, "\n"]);
            let details =
                text.details.iter().filter(|line| !line.starts_with("since") && !line.starts_with("what changed"));
            said.extend(details.filter(|_| kind == NotificationKind::Firing).map(|line| format!("  {line}\n")));
        }
    }
    assert_eq!(said, SAID);
}

/// Every rule and kind of message, with the longest names, no labels, and none, one and many.
#[test]
fn every_subject_and_first_line_fits_a_phone() {
    let long = "x".repeat(100);
    for (name, kind) in RULES.iter().flat_map(|rule| KINDS.map(|kind| (rule.name, kind))) {
        for (count, failed) in [(0, 0), (1, 1), (1_000_000, i32::MAX)] {
            let subjects = if name.as_str().starts_with("Device") {
                [device("<a>"), device(&long)]
            } else {
                [Subject::Fleet, part(&long)]
            };
            for subject in subjects {
                let alert = Alert {
                    failure_count: failed,
                    cause: Cause::Connectivity,
                    ..alert(name, subject.clone(), count, count)
                };
                let notice = notice(kind, alert);
                let text = messages().for_test().alert(&notice, Format::Plain);
                let headline = &text.headline;
                assert!(headline.chars().count() <= FITS && headline.starts_with("[TEST] "), "{headline}");
                assert!(!headline.contains(" 1 devices") && !headline.contains(" 1 syncs"), "{headline}");
                let full = text.details.contains(&format!("full name: {}", words::subject(&notice.alert)));
                assert_eq!(full, [part(&long), device(&long)].contains(&subject), "{:?}", text.details);
                let group = notice.alert.labels();
                assert!(text.details.iter().all(|detail| detail.contains(": ")), "{:?}", text.details);
                let line = messages().log(&notice);
                let says_what_changed = line.contains("; what changed: region=nord: 90 % failing");
                assert_eq!(says_what_changed, kind != NotificationKind::Resolved, "{line}");
                let chat = messages().alert(&notice, Format::Chat).headline;
                assert_eq!(chat.contains("&lt;a&gt;"), subject == device("<a>"), "{chat}");
                let one = Notification { id: "1".into(), receiver: "r".into(), group, notices: vec![notice], more: 0 };
                assert_eq!(messages().for_test().subject(&one, Format::Plain), text.headline);
                let many = Notification { more: usize::try_from(count).unwrap() + 1, ..one };
                assert!(messages().subject(&many, Format::Plain).chars().count() <= FITS);
            }
        }
    }
}

#[test]
fn a_failing_device_is_explained_by_its_speeds_and_syncs() {
    let failed = FailedSync { at: at("09:00"), errors: 1, files: 8, speed: 0.2 };
    let context = DeviceContext {
        last_errors: vec![failed, FailedSync { errors: 5, ..failed }],
        last_good_sync: Some(at("07:00")),
        usual_speed: Some(12.0),
        clock_behind: None,
    };
    let mut alert = alert(AlertName::DEVICE_SYNC_FAILING, device("a"), 0, 0);
    (alert.finding, alert.cause) = (None, Cause::Connectivity);
    // A newer sync than the judged one has failed since.
    alert.evidence = Some(CauseInputs { speed: 0.4, usual: None });
    let of = |kind, alert: &Alert| AlertNotification { context: context.clone(), ..notice(kind, alert.clone()) };
    assert_eq!(
        messages().alert(&of(NotificationKind::Firing, &alert), Format::Plain).lines()[1..],
        [
            "since: 2026-11-24 08:00 UTC",
            "cause: connectivity: the connection was slow at the last one (0.4 Mbps), below 0.5 Mbps; typically 12 Mbps",
            "last errors: 2026-11-24 09:00 UTC: 1 error, 8 files synced, 0.2 Mbps; 2026-11-24 09:00 UTC: 5 errors, 8 \
             files synced, 0.2 Mbps",
            "last good sync: 2026-11-24 07:00 UTC",
            "device: https://example.org/pisync/device?id=a",
        ]
    );
    assert_eq!(
        messages().alert(&of(NotificationKind::Resolved, &alert), Format::Plain).lines()[1..],
        [
            "lasted: 3 h 30 min, from 2026-11-24 08:00 UTC to 2026-11-24 11:30 UTC",
            "device: https://example.org/pisync/device?id=a",
        ]
    );
    alert.evidence = Some(CauseInputs { speed: 2.0, usual: Some(12.0) });
    let log = messages().log(&of(NotificationKind::Firing, &alert));
    assert!(
        log.contains(
            "; cause: connectivity: the connection was slow at the last one (2 Mbps), below a quarter of the 12 Mbps"
        ),
        "{log}"
    );
}

#[test]
fn what_is_said_of_syncs_says_that_the_clock_is_behind() {
    for name in [AlertName::DEVICE_SYNC_FAILING, AlertName::DEVICE_FLAPPING] {
        let mut notice = notice(NotificationKind::Firing, alert(name, device("a"), 9, 20));
        notice.context.clock_behind = Some(jiff::SignedDuration::from_hours(5));
        let clock = "; clock: 5 h 0 min behind ours, and so are the times of its syncs";
        assert!(messages().log(&notice).contains(clock), "{name}");
    }
}

#[test]
fn a_message_says_how_many_alerts_it_has() {
    let notices = [NotificationKind::Firing, NotificationKind::Firing, NotificationKind::Resolved];
    let notices = notices.map(|kind| notice(kind, alert(AlertName::DEVICE_SILENT, device("a"), 0, 0)));
    let group = [("alertname".to_owned(), "DeviceSilent".to_owned())].into();
    let many = Notification { id: "1".into(), receiver: "r".into(), group, notices: notices.into(), more: 9 };
    let subject = messages().subject(&many, Format::Chat);
    assert_eq!(subject, "[PiSync] DeviceSilent: 2 firing, 1 resolved, 9 more");
    assert_eq!(messages().rest(&many).unwrap(), "and 9 more alerts, not listed here");
    let mut one = Notification { more: 0, ..many };
    assert_eq!(messages().rest(&one), None);
    one.notices.truncate(1);
    assert!(messages().subject(&one, Format::Plain).starts_with("a: silent since"));
}

#[test]
fn a_length_of_time_is_told_in_its_two_largest_units() {
    for (minutes, words) in
        [(0, "0 min"), (59, "59 min"), (61, "1 h 1 min"), (1_439, "23 h 59 min"), (1_500, "1 d 1 h")]
    {
        assert_eq!(in_words(std::time::Duration::from_mins(minutes)), words);
    }
}

#[test]
fn a_link_holds_any_device_id() {
    let of = |subject| messages().links.page(&alert(AlertName::DEVICE_SILENT, subject, 0, 0));
    assert_eq!(of(device("école/7 ?#")).unwrap(), "https://example.org/pisync/device?id=%C3%A9cole%2F7+%3F%23");
    assert_eq!(of(Subject::Fleet).unwrap(), "https://example.org/pisync/");
}
