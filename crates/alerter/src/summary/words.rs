//! A week in numbers, as the template of the summary gets them.

use std::collections::BTreeMap;

use minijinja::{Value, context, value::Serde};
use pisync_core::models::{MessageId, Summary};

use super::figures::{Figures, Syncs};
use crate::{
    messages::{Messages, minute},
    routing::summary::Due,
};

/// Returns the summary of a week.
///
/// Fails if the operating system gives no random bytes.
pub(super) fn summary(messages: &Messages, due: &Due, figures: &Figures) -> anyhow::Result<Summary> {
    let Due { week, from, to, .. } = due;
    let hours = u64::try_from(to.duration_since(*from).as_hours()).unwrap_or(0);
    // What the template may use, `summary.txt`, beside the figures.
    let context = context! {
        week,
        from => minute(*from),
        to => minute(*to),
        // Hours of the week that are not added up, and all.
        missing => hours.saturating_sub(figures.syncs.hours),
        hours,
        ..Value::from(Serde(figures))
    };
    let (subject, lines) = messages.summary(&context);
    let (week, id) = (week.clone(), MessageId::random()?);
    Ok(Summary { week, id, from: *from, to: *to, subject, lines, figures: numbers(figures) })
}

fn numbers(figures: &Figures) -> BTreeMap<String, i64> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Syncs { good, connectivity, content, unknown, late, .. } = figures.syncs;
    [
        ("syncs", number(figures.syncs.all)),
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

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, civil::Weekday, tz::TimeZone};
    use pisync_core::models::{Alert, AlertName, Subject};

    use super::*;
    use crate::{fixtures::messages, routing::Plan, summary::figures::Longest};

    fn due() -> Due {
        let plan = Plan { receivers: Vec::new(), day: Weekday::Monday, hour: 8, zone: TimeZone::UTC };
        plan.due("2026-11-23T08:00:00Z".parse().unwrap()).unwrap()
    }

    fn figures() -> Figures {
        let fleet = Alert::new(AlertName::FLEET_SILENT, Subject::Fleet, due().from);
        Figures {
            syncs: Syncs { hours: 168, good: 9_999, connectivity: 1, content: 0, unknown: 0, late: 12, all: 10_000 },
            before: Some(Syncs { hours: 100, good: 90, connectivity: 2, content: 3, unknown: 5, late: 0, all: 100 }),
            devices: 1_234,
            devices_before: Some(1_200),
            begun: 1,
            begun_before: 4,
            ended: 0,
            open: 1,
            longest: Some(Longest::of(&fleet, due().from + SignedDuration::from_hours(49))),
            worst: vec![("pibook-1".into(), 120), ("pibook-2".into(), 3)],
        }
    }

    #[test]
    fn a_week_is_told_in_one_line_and_then_in_each() {
        let told = summary(&messages(), &due(), &figures()).unwrap();
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
            before: None,
            devices_before: None,
            longest: None,
            worst: Vec::new(),
            ..figures()
        };
        let told = summary(&messages(), &due(), &figures).unwrap();
        assert_eq!(told.subject, "[PiSync] 2026-W47: no syncs were reported, 1 incident");
        let text = told.lines.join("\n");
        assert_eq!(text.matches("nothing is known of the week before").count(), 4, "{text}");
        assert!(
            text.contains("Not added up, and not in here: 8 of 168 hours") && text.contains("Good: none"),
            "{text}"
        );
    }
}
