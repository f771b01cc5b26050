//! Alerts of many devices in plain words: the problem, and the advice.

use jiff::Timestamp;
use pisync_core::models::{Alert, AlertName, Cause, FleetStats};
use serde_json::Value;

use super::relative_time::grouped;

/// Returns the problem, in a few words.
pub(super) fn headline(alert: &Alert) -> String {
    let (part, whole) = alert.finding.as_ref().map_or((0, 0), |finding| (finding.part, finding.whole));
    let (part, whole) = (grouped(part), grouped(whole));
    let fleet = alert.scope().map_or_else(|| "fleet".to_owned(), |scope| format!("part {scope}"));
    match alert.name {
        AlertName::FLEET_SYNC_FAILING => {
            let cause = match alert.cause {
                Cause::Connectivity => ", most for the connection",
                Cause::Content => ", most for the content",
                Cause::Unknown => "",
            };
            format!("The {fleet} is failing: {part} of {whole} devices{cause}")
        }
        AlertName::FLEET_SILENT => format!("The {fleet} is silent: no report from {part} of {whole} devices"),
        AlertName::FLEET_DIGEST => format!("{part} devices have not recovered with the {fleet}"),
        AlertName::PIPELINE_STALLED => "Ingestion pipeline stalled".into(),
        other => format!("An incident: {other}"),
    }
}

/// Returns the known facts, and the advice.
pub(super) fn advice(alert: &Alert) -> String {
    let look = match (alert.name, alert.cause) {
        (AlertName::FLEET_SYNC_FAILING, Cause::Content) => {
            "Their connections are fine: check the last release, and the server that devices fetch from."
        }
        (AlertName::FLEET_SYNC_FAILING, Cause::Connectivity) => "Their connections are slow: check the providers.",
        (AlertName::FLEET_SYNC_FAILING, Cause::Unknown) => "No speed was measured: check the last failures.",
        (AlertName::FLEET_SILENT, _) if alert.scope().is_some() => {
            "Reports of the others arrive: check the provider and the power of these."
        }
        (AlertName::FLEET_SILENT, _) => {
            "The API accepts reports, but theirs do not arrive: check their providers, DNS, certificates, and the \
             proxies before the API."
        }
        (AlertName::PIPELINE_STALLED, _) => {
            "Silent devices are unknown meanwhile: check the API, workers, Redis and MongoDB."
        }
        _ => "They are named in the incident.",
    };
    match alert.finding.as_ref().map(|finding| known(alert.name, finding)) {
        Some(known) if !known.is_empty() => format!("{look} ({known})"),
        _ => look.into(),
    }
}

/// Returns the facts of a rule's findings, in words.
pub(super) fn known(rule: AlertName, finding: &FleetStats) -> String {
    let number = |fact: &str| finding.facts.get(fact).and_then(Value::as_i64);
    let said = |fact: &str, before: &str, after: &str| Some(format!("{before}{}{after}", number(fact)?));
    let said = match rule {
        AlertName::FLEET_SYNC_FAILING => vec![
            said("content", "", " on content"),
            said("connectivity", "", " on a slow connection"),
            said("unknown", "", " without a measured speed"),
        ],
        AlertName::FLEET_SILENT => {
            let since = finding.facts.get("silentSince").and_then(Value::as_str).and_then(|at| at.parse().ok());
            let clock = |at: Timestamp| format!("no report from them since {}", at.strftime("%H:%M UTC"));
            vec![since.map(clock)]
        }
        AlertName::PIPELINE_STALLED => vec![
            said("noWorkerMinutes", "no worker heartbeat for ", " min"),
            said("noIngestMinutes", "no API heartbeat for ", " min"),
            said("oldestWaitsMinutes", "the oldest queued event has waited for ", " min"),
        ],
        _ => Vec::new(),
    };
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns the rank of an alert; the one that inhibits most comes first.
pub(super) fn rank(alert: &Alert) -> u8 {
    match alert.name {
        AlertName::PIPELINE_STALLED => 0,
        AlertName::FLEET_SYNC_FAILING => 1 + u8::from(alert.scope().is_some()),
        AlertName::FLEET_SILENT => 3 + u8::from(alert.scope().is_some()),
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{FleetPart, Subject};

    use super::*;

    #[test]
    fn a_part_of_the_fleet_is_called_by_its_label() {
        let part = FleetPart { label: "region".into(), value: "nord".into() };
        let part = Subject::Part(part);
        for (name, subject, said) in [
            (AlertName::FLEET_SYNC_FAILING, Subject::Fleet, "The fleet is failing"),
            (AlertName::FLEET_SYNC_FAILING, part.clone(), "The part region=nord is failing"),
            (AlertName::FLEET_SILENT, Subject::Fleet, "The fleet is silent"),
            (AlertName::FLEET_SILENT, part, "The part region=nord is silent"),
        ] {
            let alert = Alert::new(name, subject, Timestamp::UNIX_EPOCH);
            assert!(headline(&alert).starts_with(said), "{}", headline(&alert));
            let is_ours = advice(&alert).contains("proxies before the API");
            let is_whole = alert.scope().is_none();
            assert_eq!(is_ours, name == AlertName::FLEET_SILENT && is_whole, "{}", advice(&alert));
        }
    }
}
