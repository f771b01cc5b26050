//! The two forms of an event: [`envelope`] in Redis, [`row`] in `MongoDB`.
//!
//! Both list the same members. Names in Redis are short, since it holds millions of them, and a row may have been
//! written by another program. A test of all members keeps the two in step.

mod document;
pub(crate) mod envelope;
mod fields;
pub(crate) mod row;

pub use self::row::StoredEvent;
pub(crate) use self::{
    document::{Unreadable, parse},
    fields::{Amount, Moment, Whole, moment},
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Details, SyncEvent};

    const REPORT: &str = r#"{"deviceId":"a","timestamp":0,"totalFilesSynced":8,"totalErrors":5,"internetSpeed":97.5,
        "reportId":"b5","error":{"code":"E_DISK","message":"disk full"},"labels":{"region":"nord","version":"42"}}"#;

    #[test]
    fn every_member_of_a_report_is_in_both_forms() {
        let event = SyncEvent::from_json(REPORT.as_bytes(), "2026-11-23T12:00:00Z".parse().unwrap()).unwrap();
        // Add each new member to the report above.
        let Details { report_id: Some(_), error: Some(_), labels } = &event.details else { panic!("{event:?}") };
        assert_eq!(labels.iter().len(), 2);
        assert_eq!(envelope::decode(&envelope::encode(&event)).unwrap(), event);
        let row = row::decode(&row::encode(event.id(), &event)).unwrap();
        assert_eq!((row.id, &row.device_id[..], row.times()), (event.id(), "a", (event.time, event.received_at)));
        assert_eq!((row.total_files_synced, row.total_errors, row.internet_speed), (8, 5, 97.5));
        assert_eq!(row.details, event.details);
    }
}
