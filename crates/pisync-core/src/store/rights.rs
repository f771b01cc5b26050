//! The rights that a process needs in `MongoDB`: actions on collections.
//!
//! The server is asked for the privileges of our user, which needs no privilege itself. [`least_role`] is the minimum
//! for a user of `PiSync`.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};

use super::{Store, StoreError};
use crate::process::Process::{self, Alerter, Ingest, Worker};

/// A collection, and the actions of each process on it.
type Row = (&'static str, &'static [(Process, &'static [&'static str])]);

/// The names of the events and of the counters are settings.
const EVENTS: &str = "SyncEvent";
const COUNTERS: &str = "FailureCounter";

const TABLE: &[Row] = &[
    (
        EVENTS,
        &[
            (Ingest, &["find", "createIndex"]),
            (Worker, &["find", "insert", "createIndex"]),
            (Alerter, &["find", "createIndex"]),
        ],
    ),
    (
        COUNTERS,
        &[
            (Ingest, &["find", "createIndex"]),
            (Worker, &["find", "insert", "update", "createIndex"]),
            (Alerter, &["find", "createIndex"]),
        ],
    ),
    (
        "Alert",
        &[
            (Ingest, &["find", "insert", "update", "createIndex"]),
            (Worker, &["createIndex"]),
            (Alerter, &["find", "insert", "update", "createIndex"]),
        ],
    ),
    ("AlertGroup", &[(Ingest, &["find", "insert", "update"]), (Alerter, &["find", "insert", "update"])]),
    (
        "Silence",
        &[
            (Ingest, &["find", "insert", "update", "createIndex"]),
            (Worker, &["createIndex"]),
            (Alerter, &["find", "insert", "update", "createIndex"]),
        ],
    ),
    ("SyncHour", &[(Ingest, &["find", "insert", "update"]), (Worker, &["find", "insert", "update"])]),
    ("StatusHour", &[(Ingest, &["find", "insert", "update", "remove"]), (Alerter, &["find"])]),
    ("Summary", &[(Alerter, &["find", "insert", "update", "remove"])]),
    ("DeadLetter", &[(Worker, &["find", "insert"])]),
];

/// The actions of `--retain-days`, `counters rebuild` and tools alone: part of the role, and not checked.
const EXTRA: &[(&str, &[&str])] = &[
    (EVENTS, &["remove", "collStats"]),
    (COUNTERS, &["remove", "collMod", "collStats"]),
    ("Retention", &["find", "insert", "update"]),
];

/// Returns the least rights for all processes of `PiSync` together: the collections, and the actions on each.
pub fn least_role() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut role = BTreeMap::<_, Vec<_>>::new();
    let of_processes = TABLE.iter().flat_map(|(name, rights)| rights.iter().map(move |(_, actions)| (*name, *actions)));
    for (name, actions) in of_processes.chain(EXTRA.iter().copied()) {
        role.entry(name).or_default().extend(actions);
    }
    for actions in role.values_mut() {
        actions.sort_unstable();
        actions.dedup();
    }
    role
}

impl Store {
    /// Fails with [`StoreError::Denied`] if our user lacks a right that `process` needs; it names each.
    pub async fn check_rights(&self, process: Process) -> Result<(), StoreError> {
        let ask = doc! { "connectionStatus": 1, "showPrivileges": true };
        let status = self.database.run_command(ask).await?;
        let info = status.get_document("authInfo").cloned().unwrap_or_default();
        let users = info.get_array("authenticatedUsers").map_or(0, Vec::len);
        if users == 0 {
            // A server without authentication; with it, the first command is refused.
            return Ok(());
        }
        let privileges: Vec<_> = info.get_array("authenticatedUserPrivileges").into_iter().flatten().cloned().collect();
        let missing: Vec<_> =
            self.needed(process).filter_map(|(name, actions)| self.missing(&privileges, name, actions)).collect();
        if missing.is_empty() { Ok(()) } else { Err(StoreError::Denied(missing.join("; "))) }
    }

    fn needed(&self, process: Process) -> impl Iterator<Item = (&str, &'static [&'static str])> {
        TABLE.iter().filter_map(move |(name, rights)| {
            let (_, actions) = rights.iter().find(|(of, _)| *of == process)?;
            let name = match *name {
                EVENTS => self.sync_events.as_str(),
                COUNTERS => self.failure_counters.as_str(),
                other => other,
            };
            Some((name, *actions))
        })
    }

    /// Returns the missing actions of the user on a collection, for people.
    fn missing(&self, privileges: &[Bson], name: &str, actions: &[&str]) -> Option<String> {
        let database = self.database.name();
        let covers = |privilege: &Document, action: &str| {
            let is_here = privilege.get_document("resource").is_ok_and(|resource| covers(resource, database, name));
            let may =
                privilege.get_array("actions").is_ok_and(|may| may.iter().any(|may| may.as_str() == Some(action)));
            is_here && may
        };
        let may =
            |action: &str| privileges.iter().filter_map(Bson::as_document).any(|privilege| covers(privilege, action));
        let missing: Vec<_> = actions.iter().copied().filter(|action| !may(action)).collect();
        let list = || missing.join(", ");
        (!missing.is_empty()).then(|| format!("the user may not {} on the collection {database}.{name}", list()))
    }
}

fn covers(resource: &Document, database: &str, collection: &str) -> bool {
    let fits = |key: &str, name: &str| resource.get_str(key).is_ok_and(|given| given.is_empty() || given == name);
    resource.get_bool("anyResource").unwrap_or_default() || (fits("db", database) && fits("collection", collection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_covers_what_it_names_and_an_empty_name_is_any() {
        let here = |resource| covers(&resource, "school", "SyncEvent");
        assert!(here(doc! { "db": "school", "collection": "SyncEvent" }));
        assert!(here(doc! { "db": "school", "collection": "" }));
        assert!(here(doc! { "db": "", "collection": "" }));
        assert!(here(doc! { "anyResource": true }));
        assert!(!here(doc! { "db": "other", "collection": "" }));
        assert!(!here(doc! { "db": "school", "collection": "Alert" }));
        assert!(!here(doc! { "cluster": true }));
    }
}
