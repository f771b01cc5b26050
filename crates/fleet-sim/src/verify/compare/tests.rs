//! Each kind of fault is found, and nothing else counts as one.

use jiff::Timestamp;
use pisync_core::models::{Details, Labels, Observation, SyncEvent, recount};

use super::*;
use crate::ledger::{Entry, State};

const RECEIVED: &str = "2026-11-23T12:00:00Z";

fn event(device: &str, minute: u32, errors: u32) -> SyncEvent {
    parse(device, &format!("2026-11-23T11:{minute:02}:00Z"), errors)
}

fn parse(device: &str, timestamp: &str, errors: u32) -> SyncEvent {
    let body = format!(
        r#"{{"deviceId":"{device}","timestamp":"{timestamp}","totalFilesSynced":8,"totalErrors":{errors},"internetSpeed":0.1}}"#
    );
    SyncEvent::from_json(body.as_bytes(), RECEIVED.parse().unwrap()).unwrap()
}

fn row(event: &SyncEvent) -> StoredEvent {
    StoredEvent {
        id: event.id(),
        device_id: event.device_id.to_string(),
        timestamp: event.time.timestamp,
        device_timestamp: event.time.device_timestamp,
        clock_agrees: event.time.agrees,
        total_files_synced: event.total_files_synced.into(),
        total_errors: event.total_errors.into(),
        internet_speed: event.internet_speed,
        details: event.details.clone(),
        created_at: event.received_at,
        updated_at: event.received_at,
    }
}

fn counter(events: &[SyncEvent]) -> FailureCounter {
    recount(events[0].device_id.clone(), events.iter().map(Observation::from).collect())
}

/// A fleet of two devices that fail at the end, and a database that agrees with it.
struct World {
    ledger: Vec<(State, SyncEvent)>,
    rows: Vec<StoredEvent>,
    counters: Vec<FailureCounter>,
}

impl World {
    fn good() -> Self {
        let a = [event("a", 1, 1), event("a", 2, 0), event("a", 3, 2), event("a", 4, 1)];
        let b = [event("b", 1, 0), event("b", 2, 0)];
        let events = || a.iter().chain(&b);
        Self {
            ledger: events().map(|event| (State::Acked, event.clone())).collect(),
            rows: events().map(row).collect(),
            counters: vec![counter(&a), counter(&b)],
        }
    }

    fn findings(&self) -> Findings {
        let mut expectations = Expectations::default();
        for (state, event) in self.ledger.iter().cloned() {
            expectations.add(&Entry { state, event });
        }
        let mut comparison = Comparison::new(&expectations);
        self.rows.iter().rev().for_each(|row| comparison.row(row));
        self.counters.iter().for_each(|counter| comparison.counter(counter));
        comparison.finish()
    }

    /// Returns the findings after a change to a correct database.
    fn after(change: impl FnOnce(&mut Self)) -> Findings {
        let mut world = Self::good();
        change(&mut world);
        world.findings()
    }
}

/// Returns the counts of lost, duplicated, phantom, wrong values and wrong counters.
fn faults(findings: &Findings) -> [u64; 5] {
    let Findings { lost, duplicated, phantom, wrong_values, wrong_counters, .. } = *findings;
    [lost, duplicated, phantom, wrong_values, wrong_counters]
}

#[test]
fn a_database_that_holds_what_was_acknowledged_is_clean() {
    let findings = World::good().findings();
    assert!(findings.is_clean(), "{findings:?}");
    assert_eq!((findings.acknowledged, findings.devices, findings.rows, findings.other_rows), (6, 2, 6, 0));
}

#[test]
fn an_acknowledged_event_without_a_row_is_lost() {
    let findings = World::after(|world| drop(world.rows.remove(0)));
    assert_eq!(faults(&findings), [1, 0, 0, 0, 0]);
    assert_eq!(findings.faults[0].device_id, "a");
}

#[test]
fn a_second_row_is_a_duplicate_whatever_its_id() {
    let findings = World::after(|world| {
        let mut second = world.rows[4].clone();
        second.id = EventId::from_bytes([7; 12]);
        world.rows.push(second);
    });
    assert_eq!(faults(&findings), [0, 1, 0, 1, 0], "{findings:?}");
}

#[test]
fn a_row_of_the_fleet_that_no_line_explains_is_a_phantom() {
    let findings = World::after(|world| world.rows.push(row(&event("b", 30, 0))));
    assert_eq!(faults(&findings), [0, 0, 1, 0, 0], "{findings:?}");
}

#[test]
fn each_wrong_field_is_named() {
    type Spoil = fn(&mut StoredEvent);
    let spoils: [(&str, Spoil); 8] = [
        ("_id", |row| row.id = EventId::from_bytes([7; 12])),
        ("deviceId", |row| row.device_id = "elsewhere".into()),
        ("timestamp", |row| row.timestamp = "2026-11-23T10:00:00Z".parse().unwrap()),
        ("deviceTimestamp", |row| row.device_timestamp = Some(row.timestamp)),
        ("totalFilesSynced", |row| row.total_files_synced += 1),
        ("totalErrors", |row| row.total_errors = i64::from(row.total_errors == 0)),
        ("internetSpeed", |row| row.internet_speed = row.internet_speed.next_up()),
        ("labels", |row| row.details.labels = Labels::new([("group".into(), "a".into())]).unwrap()),
    ];
    for (field, spoil) in spoils {
        let findings = World::after(|world| spoil(&mut world.rows[0]));
        assert_eq!(findings.wrong_values, 1, "{field}: {findings:?}");
        assert_eq!((findings.lost, findings.phantom), (0, 0), "{field}: {findings:?}");
        assert!(findings.faults[0].detail.ends_with(&format!(": {field}")), "{findings:?}");
    }
}

#[test]
fn a_counter_that_is_wrong_missing_or_twice_there_is_seen() {
    let wrong = World::after(|world| world.counters[0].run.as_mut().unwrap().count += 1);
    let missing = World::after(|world| drop(world.counters.pop()));
    let twice = World::after(|world| world.counters.push(world.counters[0].clone()));
    for findings in [wrong, missing, twice] {
        assert_eq!(faults(&findings), [0, 0, 0, 0, 1], "{findings:?}");
    }
}

#[test]
fn counters_are_judged_by_the_rows_that_are_there() {
    let findings = World::after(|world| {
        let lost = world.rows.remove(3);
        assert_eq!(lost.total_errors, 1);
        world.counters[0].run.as_mut().unwrap().count -= 1;
    });
    assert_eq!(faults(&findings), [1, 0, 0, 0, 0], "{findings:?}");
}

#[test]
fn an_event_of_unknown_fate_may_be_stored_or_not() {
    for is_stored in [true, false] {
        let findings = World::after(|world| {
            let unknown = event("b", 3, 0);
            world.rows.extend(is_stored.then(|| row(&unknown)));
            world.ledger.push((State::Unknown, unknown));
        });
        assert!(findings.is_clean(), "{findings:?}");
        assert_eq!((findings.unknown, findings.unknown_stored), (1, u64::from(is_stored)));
    }
}

#[test]
fn a_device_of_which_nothing_arrived_needs_no_counter() {
    let findings = World::after(|world| world.ledger.push((State::Unknown, event("c", 1, 1))));
    assert!(findings.is_clean(), "{findings:?}");
}

#[test]
fn lines_of_the_same_event_are_one_event_and_either_of_two_versions_is_right() {
    for stored in [0, 1] {
        let findings = World::after(|world| {
            let labels = Labels::new([("group".into(), "a".into())]).unwrap();
            let versions =
                [event("b", 5, 0), SyncEvent { details: Details { labels, ..Details::default() }, ..event("b", 5, 0) }];
            world.rows.push(row(&versions[stored]));
            world.ledger.extend(versions.iter().chain(&versions).map(|event| (State::Acked, event.clone())));
        });
        assert!(findings.is_clean(), "{findings:?}");
        assert_eq!(findings.acknowledged, 7);
    }
}

#[test]
fn reports_of_one_instant_that_differ_are_events_of_their_own() {
    let mut world = World::good();
    let at_once = [1, 2, 3].map(|errors| event("c", 5, errors));
    world.rows.extend(at_once.iter().map(row));
    world.counters.push(counter(&at_once));
    world.ledger.extend(at_once.iter().map(|event| (State::Acked, event.clone())));
    assert_eq!(world.counters.last().unwrap().failure_count(), 3);
    assert!(world.findings().is_clean(), "{:?}", world.findings());
    world.rows.pop();
    assert_eq!(faults(&world.findings()), [1, 0, 0, 0, 1]);
}

#[test]
fn rows_of_other_devices_are_only_counted() {
    let findings = World::after(|world| {
        world.rows.extend([row(&event("other", 1, 1)), row(&event("other", 1, 1))]);
        world.counters.push(counter(&[event("stranger", 1, 1)]));
    });
    assert!(findings.is_clean(), "{findings:?}");
    assert_eq!((findings.rows, findings.other_rows), (6, 2));
}

#[test]
fn an_event_with_a_suspect_clock_is_known_by_its_id_and_lies_at_its_receipt() {
    let suspect = parse("c", "1970-01-01T00:00:10Z", 1);
    let mut world = World::good();
    world.rows.push(row(&suspect));
    world.counters.push(counter(std::slice::from_ref(&suspect)));
    world.ledger.push((State::Acked, suspect));
    assert!(world.findings().is_clean(), "{:?}", world.findings());

    let believed: Timestamp = "1970-01-01T00:00:10Z".parse().unwrap();
    let last = world.rows.last_mut().unwrap();
    (last.timestamp, last.device_timestamp) = (believed, None);
    assert_eq!(faults(&world.findings()), [0, 0, 0, 1, 0]);
}

#[test]
fn only_the_first_faults_are_told_and_all_are_counted() {
    let findings = World::after(|world| {
        world.rows.extend((10..40).map(|minute| row(&event("b", minute, 0))));
    });
    assert_eq!((findings.phantom, findings.faults.len()), (30, 10));
}
