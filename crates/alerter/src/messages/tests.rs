//! What each message says, and that each rule has a template for each kind of message.

use jiff::Timestamp;
use pisync_core::models::{Alert, AlertName, DeviceId, Evidence, Finding, Scope, Subject, Telling};

use super::*;
use crate::{
    device_context::{DeviceContext, FailedSync},
    rules::RULES,
};

const KINDS: [Telling; 3] = [Telling::Firing, Telling::Repeat, Telling::Resolved];

fn at(text: &str) -> Timestamp {
    format!("2026-11-24T{text}:00Z").parse().unwrap()
}

fn messages() -> Messages {
    Messages::new(Links::to("https://example.org/pisync/".parse().unwrap()), 0.5)
}

fn device(id: &str) -> Subject {
    Subject::Device(DeviceId::parse(id).unwrap())
}

fn alert(name: AlertName, subject: Subject, part: u64, whole: u64, facts: &[(&'static str, u64)]) -> Alert {
    let mut alert = Alert::new(name, subject, at("08:00"));
    let named = vec![DeviceId::parse("pi-1").unwrap(), DeviceId::parse("pi-2").unwrap()];
    let changed = vec!["region=nord: 90 % failing".to_owned()];
    alert.finding = Some(Finding { changed, named, ..Finding::new(part, whole).with(facts.iter().copied()) });
    alert.failure_count = 4;
    alert
}

fn notice(kind: Telling, mut alert: Alert) -> AlertNotification {
    alert.ends_at = (kind == Telling::Resolved).then(|| at("11:30"));
    AlertNotification { kind, alert, context: DeviceContext::default() }
}

fn headlines(alert: &Alert) -> [String; 3] {
    KINDS.map(|kind| messages().headline(&notice(kind, alert.clone()), Format::Plain))
}

#[test]
fn each_rule_says_what_happened() {
    let part = Subject::Scope(Scope { label: "region".into(), value: "nord".into() });
    let since = "since 2026-11-24 08:00 UTC";
    let failing = alert(AlertName::DEVICE_SYNC_FAILING, device("a"), 0, 0, &[]);
    assert_eq!(
        headlines(&failing),
        [
            format!("a failed 4 syncs in a row {since}"),
            format!("a is still failing: 4 syncs in a row {since}"),
            format!("a has recovered: a good sync at 2026-11-24 11:30 UTC; it was failing {since}, for 3 h 30 min"),
        ]
    );
    let fleet = alert(
        AlertName::FLEET_SYNC_FAILING,
        Subject::Fleet,
        305,
        1_932,
        &[("content", 300), ("connectivity", 5), ("unknown", 0)],
    );
    let shares = "305 of 1932 devices that reported failed, 15.8 % (300 on content, 5 on a slow connection, 0 without a measured speed)";
    let suppressed = "alerts of single devices are suppressed";
    assert_eq!(
        headlines(&fleet),
        [
            format!("the fleet is failing {since}, most on unknown: {shares}; {suppressed}"),
            format!("the fleet is still failing {since}, most on unknown: {shares}; {suppressed}"),
            format!("the fleet has recovered since 2026-11-24 11:30 UTC; too many devices were failing {since}"),
        ]
    );
    for (alert, says) in [
        (
            alert(AlertName::FLEET_SILENT, Subject::Fleet, 60, 90, &[]),
            ["60 of 90 devices are silent, the first since about", "still silent", "the fleet reports again since"],
        ),
        (
            alert(AlertName::FLEET_SILENT, part, 60, 90, &[]),
            ["60 of 90 devices of region=nord are silent", "60 of 90", "region=nord reports again since"],
        ),
        (
            alert(AlertName::FLEET_DIGEST, Subject::Fleet, 12, 12, &[]),
            ["12 devices have not recovered with the fleet: pi-1, pi-2 and 10 more", "12 devices", "the last devices"],
        ),
        (
            alert(AlertName::DEVICE_SILENT, device("a"), 0, 0, &[]),
            ["nothing was received from a since", "nothing was received", "a reports again since"],
        ),
        (
            alert(AlertName::DEVICE_FLAPPING, device("a"), 9, 20, &[]),
            [
                "a is flapping since 2026-11-24 08:00 UTC: 4 of its last 21 syncs failed, with 9 changes; individual \
              failure alerts are suppressed while it flaps",
                "a is still flapping",
                "a is not flapping any more",
            ],
        ),
        (
            alert(
                AlertName::PIPELINE_STALLED,
                Subject::Fleet,
                9,
                9,
                &[("noWorkerMinutes", 6), ("oldestWaitsMinutes", 7)],
            ),
            [
                "ingestion pipeline stalled: no worker was heard of for 6 min; the oldest queued event has waited for 7 min",
                "ingestion pipeline still stalled: no",
                "ingestion pipeline: reports get through again",
            ],
        ),
    ] {
        for (said, says) in headlines(&alert).iter().zip(says) {
            assert!(said.contains(says), "{says}: {said}");
        }
    }
}

#[test]
fn every_rule_has_a_template_for_every_kind_and_format() {
    for name in RULES.iter().map(|rule| rule.name) {
        for kind in KINDS {
            let notice = notice(kind, alert(name, device("<a>"), 3, 9, &[]));
            for (format, id) in [(Format::Plain, "<a>"), (Format::Chat, "&lt;a&gt;")] {
                let said = messages().alert(&notice, format);
                assert!(!said.headline.contains('{') && !said.headline.starts_with(name.as_str()), "{}", said.headline);
                let names_it = name.as_str().starts_with("Device");
                assert!(!names_it || said.headline.contains(id), "{format:?} {}", said.headline);
            }
            let log = messages().log(&notice);
            assert_eq!(
                log.contains("what changed: region=nord: 90 % failing"),
                kind != Telling::Resolved && name != AlertName::DEVICE_SYNC_FAILING,
                "{log}"
            );
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
    let mut alert = alert(AlertName::DEVICE_SYNC_FAILING, device("a"), 0, 0, &[]);
    (alert.finding, alert.cause) = (None, pisync_core::models::Cause::Connectivity);
    let of = |kind, alert: &Alert| AlertNotification { context: context.clone(), ..notice(kind, alert.clone()) };
    assert_eq!(
        messages().alert(&of(Telling::Firing, &alert), Format::Plain).lines()[1..],
        [
            "cause: connectivity: the connection was slow at the last one (0.2 Mbps), below 0.5 Mbps; typically 12 Mbps",
            "last errors: 2026-11-24 09:00 UTC: 1 error, 8 files synced, 0.2 Mbps; 2026-11-24 09:00 UTC: 5 errors, 8 \
             files synced, 0.2 Mbps",
            "last good sync: 2026-11-24 07:00 UTC",
            "device: https://example.org/pisync/device?id=a",
        ]
    );
    assert_eq!(messages().alert(&of(Telling::Resolved, &alert), Format::Plain).lines().len(), 2);
    alert.evidence = Some(Evidence { speed: 2.0, usual: Some(12.0) });
    let log = messages().log(&of(Telling::Firing, &alert));
    assert!(
        log.ends_with(
            ": the connection was slow at the last one (0.2 Mbps), below a quarter of the 12 Mbps that are typical"
        ),
        "{log}"
    );
}

#[test]
fn a_message_says_how_many_alerts_it_has() {
    let notices = [Telling::Firing, Telling::Firing, Telling::Resolved];
    let notices = notices.map(|kind| notice(kind, alert(AlertName::DEVICE_SILENT, device("a"), 0, 0, &[])));
    let group = [("alertname".to_owned(), "DeviceSilent".to_owned())].into();
    let many = Notification { id: "1".into(), receiver: "r".into(), group, notices: notices.into(), more: 9 };
    let subject = messages().subject(&many, Format::Chat);
    assert_eq!(subject, "[PiSync] DeviceSilent: 2 firing, 1 resolved, 9 more");
    assert_eq!(messages().rest(&many).unwrap(), "and 9 more alerts, which are not listed here");
    let mut one = Notification { more: 0, ..many };
    assert_eq!(messages().rest(&one), None);
    one.notices.truncate(1);
    assert!(messages().subject(&one, Format::Plain).starts_with("[FIRING] nothing was received from a since"));
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
    let of = |subject| messages().link(&notice(Telling::Firing, alert(AlertName::DEVICE_SILENT, subject, 0, 0, &[])));
    assert_eq!(of(device("école/7 ?#")).unwrap(), "https://example.org/pisync/device?id=%C3%A9cole%2F7+%3F%23");
    assert_eq!(of(Subject::Fleet).unwrap(), "https://example.org/pisync/");
}
