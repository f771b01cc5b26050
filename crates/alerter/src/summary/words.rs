//! A week in words: one line for who only reads subjects, and the rest for who reads on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pisync_core::models::{MessageId, Summary};

use super::figures::{Figures, Syncs};
use crate::{
    receivers::{in_words, subject},
    routing::summary::Due,
};

/// What is told of a week.
///
/// Fails where the operating system gives no random bytes.
pub(super) fn summary(due: &Due, figures: &Figures) -> anyhow::Result<Summary> {
    Ok(Summary {
        week: due.week.clone(),
        id: MessageId::random()?,
        from: due.from,
        to: due.to,
        subject: headline(due, figures),
        lines: lines(due, figures),
        figures: numbers(figures),
    })
}

fn headline(due: &Due, figures: &Figures) -> String {
    let (syncs, week) = (figures.syncs, &due.week);
    if syncs.all() == 0 {
        return format!("[PiSync] {week}: no syncs were reported, {}", incidents(figures.begun));
    }
    let (share, all) = (percent(syncs.good, syncs.all()), grouped(syncs.all()));
    format!("[PiSync] {week}: {share} of {all} syncs were good, {}", incidents(figures.begun))
}

fn lines(due: &Due, figures: &Figures) -> Vec<String> {
    let mut lines = vec![format!("From {} to {}", minute(due.from), minute(due.to))];
    lines.extend(of_syncs(figures.syncs, figures.syncs_before));
    let devices = |count: i64| grouped(count.unsigned_abs());
    let before = before(figures.devices_before.map(devices));
    lines.push(format!("Devices heard of: {}{before}", devices(figures.devices)));
    lines.extend(of_incidents(figures));
    let worst: Vec<_> = figures.worst.iter().map(|(device, count)| format!("{device} ({count} in a row)")).collect();
    if !worst.is_empty() {
        lines.push(format!("Failing most often now: {}", worst.join(", ")));
    }
    let all = whole_hours(due.from, due.to);
    let missing = all.saturating_sub(figures.syncs.hours);
    if missing > 0 {
        lines.push(format!("Not added up, and not in here: {missing} of {all} hours of the week"));
    }
    lines
}

fn of_syncs(syncs: Syncs, before: Syncs) -> [String; 4] {
    let than = |said: fn(Syncs) -> String| {
        let of_before = (before.hours > 0).then(|| said(before));
        format!("{}{}", said(syncs), self::before(of_before))
    };
    [
        format!("Syncs reported: {}", than(|syncs| grouped(syncs.all()))),
        format!("Good: {}", than(|syncs| percent(syncs.good, syncs.all()))),
        format!("Failed: {}", than(causes)),
        format!("Received over two hours late, good or failed: {}", grouped(syncs.late)),
    ]
}

fn of_incidents(figures: &Figures) -> Vec<String> {
    let Figures { begun, begun_before, ended, open, .. } = figures;
    let [begun, before, ended, open] = [begun, begun_before, ended, open].map(|count| grouped(*count));
    let mut lines =
        vec![format!("Incidents: {begun} began ({before} the week before), {ended} ended, {open} open now")];
    lines.extend(figures.longest.as_ref().map(|(longest, lasted)| {
        let alert = &longest.alert;
        let still = if alert.ends_at.is_none() { ", and is open" } else { "" };
        format!("The longest: {} of {}, {}{still}", alert.name, subject(alert), in_words(*lasted))
    }));
    lines
}

/// What is said of the week before, where something is known of it.
fn before(said: Option<String>) -> String {
    match said {
        Some(said) => format!(" ({said} the week before)"),
        None => " (nothing is known of the week before)".into(),
    }
}

fn numbers(figures: &Figures) -> BTreeMap<String, i64> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Syncs { good, connectivity, content, unknown, late, .. } = figures.syncs;
    [
        ("syncs", number(figures.syncs.all())),
        ("good", number(good)),
        ("failedConnectivity", number(connectivity)),
        ("failedContent", number(content)),
        ("failedUnknown", number(unknown)),
        ("late", number(late)),
        ("devices", figures.devices),
        ("incidentsBegun", number(figures.begun)),
        ("incidentsEnded", number(figures.ended)),
        ("incidentsOpen", number(figures.open)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn causes(syncs: Syncs) -> String {
    let of = |count: u64, cause: &str| (count > 0).then(|| format!("{} for {cause}", grouped(count)));
    let causes = [
        of(syncs.connectivity, "the connection"),
        of(syncs.content, "the content"),
        of(syncs.unknown, "a cause that is not known"),
    ];
    let causes: Vec<_> = causes.into_iter().flatten().collect();
    if causes.is_empty() { "none".to_owned() } else { causes.join(", ") }
}

fn incidents(count: u64) -> String {
    match count {
        0 => "no incident".to_owned(),
        1 => "1 incident".to_owned(),
        count => format!("{} incidents", grouped(count)),
    }
}

fn whole_hours(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_hours()).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "none".to_owned();
    }
    // Never rounded up to all of it.
    let share = (1_000.0 * part as f64 / whole as f64).floor() / 10.0;
    format!("{share:.1} %")
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{202f}")
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pisync_core::models::{Alert, AlertName, Incident, Subject};

    use super::*;

    fn due() -> Due {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        Due {
            week: "2026-W47".into(),
            week_before: "2026-W46".into(),
            at: at("2026-11-23T08:00:00Z"),
            from: at("2026-11-16T00:00:00Z"),
            to: at("2026-11-23T00:00:00Z"),
            from_before: at("2026-11-09T00:00:00Z"),
        }
    }

    fn figures() -> Figures {
        let fleet = Alert::new(AlertName::FleetSilent, Subject::Fleet, due().from);
        Figures {
            syncs: Syncs { hours: 168, good: 9_999, connectivity: 1, content: 0, unknown: 0, late: 12 },
            syncs_before: Syncs { hours: 100, good: 90, connectivity: 2, content: 3, unknown: 5, late: 0 },
            devices: 1_234,
            devices_before: Some(1_200),
            begun: 1,
            begun_before: 4,
            ended: 0,
            open: 1,
            longest: Some((Incident::new(fleet, due().from), Duration::from_hours(49))),
            worst: vec![("pibook-1".into(), 120), ("pibook-2".into(), 3)],
        }
    }

    #[test]
    fn a_week_is_told_in_one_line_and_then_in_each() {
        let told = summary(&due(), &figures()).unwrap();
        assert_eq!(told.subject, "[PiSync] 2026-W47: 99.9 % of 10\u{202f}000 syncs were good, 1 incident");
        assert_eq!(
            told.lines,
            [
                "From 2026-11-16 00:00 UTC to 2026-11-23 00:00 UTC",
                "Syncs reported: 10\u{202f}000 (100 the week before)",
                "Good: 99.9 % (90.0 % the week before)",
                "Failed: 1 for the connection (2 for the connection, 3 for the content, 5 for a cause that is not known \
                 the week before)",
                "Received over two hours late, good or failed: 12",
                "Devices heard of: 1\u{202f}234 (1\u{202f}200 the week before)",
                "Incidents: 1 began (4 the week before), 0 ended, 1 open now",
                "The longest: FleetSilent of the fleet, 2 d 1 h, and is open",
                "Failing most often now: pibook-1 (120 in a row), pibook-2 (3 in a row)",
            ]
        );
        assert_eq!((told.figures["syncs"], told.figures["devices"], told.figures.len()), (10_000, 1_234, 10));
    }

    #[test]
    fn what_is_not_known_is_said_and_not_made_up() {
        let figures = Figures {
            syncs: Syncs { hours: 160, ..Syncs::default() },
            syncs_before: Syncs::default(),
            devices_before: None,
            longest: None,
            worst: Vec::new(),
            ..figures()
        };
        let told = summary(&due(), &figures).unwrap();
        assert_eq!(told.subject, "[PiSync] 2026-W47: no syncs were reported, 1 incident");
        let text = told.lines.join("\n");
        assert_eq!(text.matches("nothing is known of the week before").count(), 4, "{text}");
        assert!(
            text.contains("Not added up, and not in here: 8 of 168 hours") && text.contains("Good: none"),
            "{text}"
        );
    }
}
