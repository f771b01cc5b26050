//! Alerts of many devices in plain words: what is the matter, and where to look.

use pisync_core::models::{Alert, AlertName, Cause, Finding};

use super::moment::grouped;

/// What is the matter, in a few words.
pub(super) fn headline(alert: &Alert) -> String {
    let (part, whole) = alert.finding.as_ref().map_or((0, 0), |finding| (finding.part, finding.whole));
    let (part, whole) = (grouped(part), grouped(whole));
    let fleet = alert.scope().map_or_else(|| "fleet".to_owned(), |scope| format!("part {scope}"));
    match alert.name {
        AlertName::FleetSyncFailing => {
            let cause = match alert.cause {
                Cause::Connectivity => ", most for the connection",
                Cause::Content => ", most for the content",
                Cause::Unknown => "",
            };
            format!("The {fleet} is failing: {part} of {whole} devices{cause}")
        }
        AlertName::FleetSilent => format!("The {fleet} falls silent: nothing is heard of {part} of {whole} devices"),
        AlertName::FleetDigest => format!("{part} devices are still not well since the {fleet} is"),
        AlertName::PipelineStalled => "PiSync itself does not get reports through".into(),
        AlertName::DeviceSyncFailing | AlertName::DeviceSilent | AlertName::DeviceFlapping => {
            format!("An incident: {}", alert.name)
        }
    }
}

/// What is known of it, and where to look.
pub(super) fn advice(alert: &Alert) -> String {
    let look = match (alert.name, alert.cause) {
        (AlertName::FleetSyncFailing, Cause::Content) => {
            "Their lines are fine: look at what was released last, and at the server that devices fetch from."
        }
        (AlertName::FleetSyncFailing, Cause::Connectivity) => "Their lines are slow: look at the providers.",
        (AlertName::FleetSyncFailing, Cause::Unknown) => "No speed was measured: look at what failed last.",
        (AlertName::FleetSilent, _) => {
            "We listen, and they do not come through: look at their providers, and at DNS, certificates and what \
             stands before us."
        }
        (AlertName::PipelineStalled, _) => {
            "Who is silent is not known meanwhile: look at API, workers, Redis and MongoDB."
        }
        _ => "They are named in the incident.",
    };
    match alert.finding.as_ref().and_then(detail) {
        Some(detail) => format!("{look} ({detail})"),
        None => look.into(),
    }
}

fn detail(finding: &Finding) -> Option<&str> {
    finding.detail.as_deref().filter(|detail| !detail.is_empty())
}

/// What holds back most comes first.
pub(super) fn rank(alert: &Alert) -> u8 {
    match alert.name {
        AlertName::PipelineStalled => 0,
        AlertName::FleetSyncFailing => 1 + u8::from(alert.scope().is_some()),
        AlertName::FleetSilent => 3 + u8::from(alert.scope().is_some()),
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pisync_core::models::{Scope, Subject};

    use super::*;

    #[test]
    fn a_part_of_the_fleet_is_called_by_its_label() {
        let part = Scope { label: "region".into(), value: "nord".into() };
        let part = Subject::Scope(part);
        for (name, subject, said) in [
            (AlertName::FleetSyncFailing, Subject::Fleet, "The fleet is failing"),
            (AlertName::FleetSyncFailing, part.clone(), "The part region=nord is failing"),
            (AlertName::FleetSilent, Subject::Fleet, "The fleet falls silent"),
            (AlertName::FleetSilent, part, "The part region=nord falls silent"),
        ] {
            let alert = Alert::new(name, subject, Timestamp::UNIX_EPOCH);
            assert!(headline(&alert).starts_with(said), "{}", headline(&alert));
        }
    }
}
