//! The names of collections, which must be different.

use clap::ArgMatches;

/// The collections without a setting.
const OTHERS: [&str; 8] =
    ["Alert", "AlertGroup", "DeadLetter", "Retention", "Silence", "StatusHour", "Summary", "SyncHour"];

const EVENTS: &str = "--sync-event-collection (PISYNC_SYNC_EVENT_COLLECTION)";
const COUNTERS: &str = "--failure-counter-collection (PISYNC_FAILURE_COUNTER_COLLECTION)";

/// Fails if two collections of these settings have the same name: documents of two kinds in one collection cannot be
/// distinguished.
pub(super) fn check(matches: &ArgMatches) -> Result<(), String> {
    let given = |id| matches.try_get_one::<String>(id).ok().flatten().map(String::as_str);
    let (Some(events), Some(counters)) = (given("sync_event_collection"), given("failure_counter_collection")) else {
        return Ok(());
    };
    of(events, counters)
}

fn of(events: &str, counters: &str) -> Result<(), String> {
    if events == counters {
        return Err(format!("{EVENTS} and {COUNTERS} both name {events}: give each a collection of its own"));
    }
    for (setting, name) in [(EVENTS, events), (COUNTERS, counters)] {
        if OTHERS.contains(&name) {
            return Err(format!("{setting} names {name}, which PiSync uses for something else: take another name"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_collections_have_one_name() {
        assert_eq!(of("SyncEvent", "FailureCounter"), Ok(()));
        assert_eq!(of("syncevents", "failurecounters"), Ok(()));
        let same = of("events", "events").unwrap_err();
        assert!(same.contains(EVENTS) && same.contains(COUNTERS), "{same}");
        assert!(of("Alert", "FailureCounter").unwrap_err().contains(EVENTS));
        assert!(of("SyncEvent", "Silence").unwrap_err().contains(COUNTERS));
    }
}
