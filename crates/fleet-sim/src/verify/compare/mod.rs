//! The comparison: a pure function of the ledger, the rows and the counters.

use std::collections::HashMap;

use pisync_core::{
    models::{DeviceId, DeviceTime, EventId, FailureCounter},
    store::StoredEvent,
};

use super::{
    expect::{Expectation, Expectations, Values},
    finding::{Findings, Kind},
    fold::Fold,
};

/// A comparison in progress: it takes rows and counters in any order, and returns findings.
#[derive(Debug)]
pub struct Comparison<'a> {
    expectations: &'a Expectations,
    rows_of: HashMap<EventId, u32>,
    folds: HashMap<DeviceId, Fold>,
    counters: HashMap<DeviceId, i32>,
    findings: Findings,
}

impl<'a> Comparison<'a> {
    /// Starts a comparison with these expectations.
    pub fn new(expectations: &'a Expectations) -> Self {
        let findings = Findings { acknowledged: expectations.acknowledged(), ..Findings::default() };
        Self { expectations, rows_of: HashMap::new(), folds: HashMap::new(), counters: HashMap::new(), findings }
    }

    /// Adds a row of `SyncEvent`.
    pub fn row(&mut self, row: &StoredEvent) {
        let device_id = DeviceId::parse(&row.device_id).ok();
        let of_fleet = device_id.filter(|device_id| self.expectations.devices().contains(device_id));
        if let Some(device_id) = &of_fleet {
            self.folds.entry(device_id.clone()).or_default().add(row);
        }
        let explained = self.explain(of_fleet.as_ref(), row);
        if explained.is_none() && of_fleet.is_none() {
            self.findings.other_rows += 1;
            return;
        }
        self.findings.rows += 1;
        let Some((id, event)) = explained else {
            self.findings.add(Kind::Phantom, &row.device_id, || describe(row));
            return;
        };
        let rows = self.rows_of.entry(id).or_default();
        *rows += 1;
        if *rows > 1 {
            self.findings.add(Kind::Duplicated, &row.device_id, || describe(row));
        }
        let wrong = wrong_fields(id, event, row);
        if !wrong.is_empty() {
            self.findings.add(Kind::WrongValue, &row.device_id, || format!("{}: {}", describe(row), wrong.join(", ")));
        }
    }

    /// Returns the event of a row: by its content, else by its id. So a row with a foreign id or a wrong value is
    /// still recognized.
    fn explain(&self, device_id: Option<&DeviceId>, row: &StoredEvent) -> Option<(EventId, &'a Expectation)> {
        let events = self.expectations.events();
        let device_time = row.device_timestamp.unwrap_or(row.timestamp);
        let identity = row.details.identity(row.total_files_synced, row.total_errors, row.internet_speed);
        let derived = device_id.map(|device_id| EventId::derive(device_id, device_time, &identity));
        derived.into_iter().chain([row.id]).find_map(|id| Some((id, events.get(&id)?)))
    }

    /// Adds a `FailureCounter`.
    pub fn counter(&mut self, counter: &FailureCounter) {
        let device_id = &counter.device_id;
        if self.expectations.devices().contains(device_id)
            && self.counters.insert(device_id.clone(), counter.failure_count()).is_some()
        {
            self.findings.add(Kind::WrongCounter, device_id.as_str(), || "there is more than one".into());
        }
    }

    /// Returns the findings, after all rows and counters.
    pub fn finish(mut self) -> Findings {
        for (id, event) in self.expectations.events() {
            let is_stored = self.rows_of.contains_key(id);
            if event.is_acknowledged && !is_stored {
                let detail = || format!("no row {id} of {}", event.device_time);
                self.findings.add(Kind::Lost, event.device_id.as_str(), detail);
            } else if !event.is_acknowledged {
                self.findings.unknown += 1;
                self.findings.unknown_stored += u64::from(is_stored);
            }
        }
        for device_id in self.expectations.devices() {
            self.findings.devices += 1;
            let (fold, counter) = (self.folds.get(device_id), self.counters.get(device_id));
            let expected = fold.map_or(0, Fold::failure_count);
            let detail = match counter {
                None if fold.is_some() => format!("there is none, {expected} by the rows"),
                Some(counter) if usize::try_from(*counter) != Ok(expected) => {
                    format!("it is {counter}, {expected} by the rows")
                }
                _ => continue,
            };
            self.findings.add(Kind::WrongCounter, device_id.as_str(), || detail);
        }
        self.findings
    }
}

/// Returns the names of the fields that differ from the event.
///
/// A device's clock is judged by the time of receipt, which is the row's `createdAt`.
fn wrong_fields(id: EventId, event: &Expectation, row: &StoredEvent) -> Vec<&'static str> {
    let time = DeviceTime::judge(event.device_time, row.created_at, None);
    let mut wrong: Vec<_> = [
        ("_id", row.id != id),
        ("deviceId", row.device_id != event.device_id.as_str()),
        ("timestamp", row.timestamp != time.timestamp),
        ("deviceTimestamp", row.device_timestamp != time.device_timestamp),
    ]
    .into_iter()
    .filter_map(|(field, is_wrong)| is_wrong.then_some(field))
    .collect();
    let stored = Values {
        files: row.total_files_synced,
        errors: row.total_errors,
        speed: row.internet_speed,
        details: row.details.clone(),
    };
    let nearest = event.values.iter().map(|values| values.differ(&stored)).min_by_key(Vec::len);
    wrong.extend(nearest.into_iter().flatten());
    wrong
}

fn describe(row: &StoredEvent) -> String {
    format!("row {} of {}", row.id, row.timestamp)
}

#[cfg(test)]
mod tests;
