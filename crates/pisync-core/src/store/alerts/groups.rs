//! The collection `AlertGroup`: the alerter that sends a group's messages now, and the earliest time of the next one.
//!
//! Messages of one group are sent one after the other. So a message that spans many incidents has one sender at a time,
//! and its parts cannot be claimed by two.

use std::time::{Duration, Instant};

use bson::doc;
use jiff::{SignedDuration, Timestamp};
use mongodb::options::{Acknowledgment, ReturnDocument, WriteConcern};

use super::{Alerts, StoreError};
use crate::store::{documents::moment, lease};

/// The longest pause of a group: the routing file's own bound.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(24 * 366);

/// A group leased by one alerter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldGroup {
    key: String,
    owner: String,
    /// Time of the lease, by the database, and by the monotonic clock of this process.
    taken: (Timestamp, Instant),
    /// End of the lease, by the database.
    pub lease_until: Timestamp,
    /// The earliest time for its next message.
    pub not_before: Timestamp,
}

impl HeldGroup {
    /// Returns the time by the database: its last known time and the time elapsed since.
    pub fn now(&self) -> Timestamp {
        let (by_database, here) = self.taken;
        by_database.saturating_add(here.elapsed()).unwrap_or(Timestamp::MAX)
    }

    /// Returns the age of the lease.
    pub fn age(&self) -> Duration {
        self.taken.1.elapsed()
    }
}

impl Alerts {
    /// Leases a group for `lease` on the database's clock; `None` if another alerter has it.
    pub async fn hold_group(&self, key: &str, owner: &str, lease: Duration) -> Result<Option<HeldGroup>, StoreError> {
        // An upsert may not compare fields of the document, so the update does it: a leased group stays as it is.
        let is_free = doc! { "$or": [lease::is_over("$leaseUntil", lease), { "$eq": ["$owner", owner] }] };
        let take = vec![
            doc! { "$set": { "free": is_free } },
            doc! { "$set": {
                "owner": { "$cond": ["$free", owner, "$owner"] },
                "leaseUntil": { "$cond": ["$free", lease::ahead(lease), "$leaseUntil"] },
            } },
            doc! { "$unset": "free" },
        ];
        let taken = self.groups.find_one_and_update(doc! { "_id": key }, take);
        let taken = match taken.upsert(true).return_document(ReturnDocument::After).await {
            Ok(taken) => taken.filter(|group| group.get_str("owner").is_ok_and(|holder| holder == owner)),
            Err(error) if is_duplicate(&error) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(taken) = taken else { return Ok(None) };
        let time = |field| taken.get_datetime(field).ok().and_then(|time| moment(*time));
        let lease_until = time("leaseUntil").unwrap_or_default();
        let now = lease_until.saturating_sub(lease).unwrap_or(Timestamp::MIN);
        let taken = (now, Instant::now());
        // A pause beyond the bound is invalid.
        let not_before = time("notBefore").filter(|at| at.duration_since(now) <= LONGEST_REST);
        let not_before = not_before.unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Some(HeldGroup { key: key.into(), owner: owner.into(), taken, lease_until, not_before }))
    }

    /// Releases a group; none of its messages may be sent for `rest` from now on.
    ///
    /// Without a pause this does not wait for a disk: if the write is lost, the lease expires.
    pub async fn release_group(&self, held: &HeldGroup, rest: Duration) -> Result<(), StoreError> {
        let ours = doc! { "_id": &held.key, "owner": &held.owner };
        let mut set = doc! { "leaseUntil": "$$NOW" };
        if rest.is_zero() {
            let soon = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
            self.groups.update_one(ours, vec![doc! { "$set": set }]).write_concern(soon).await?;
        } else {
            set.insert("notBefore", lease::ahead(rest));
            self.groups.update_one(ours, vec![doc! { "$set": set }]).await?;
        }
        Ok(())
    }
}

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    matches!(StoreError::from(error.clone()), StoreError::Refused { code: 11000, .. })
}
