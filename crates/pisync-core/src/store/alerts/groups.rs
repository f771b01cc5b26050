//! The collection `AlertGroup`: who sends the messages of a group now, and when the next may leave.
//!
//! Messages of one group leave one after the other. So a message that spans many incidents has
//! one sender at a time, and what it is made of cannot be claimed in halves.

use std::time::{Duration, Instant};

use bson::doc;
use jiff::{SignedDuration, Timestamp};
use mongodb::options::{Acknowledgment, ReturnDocument, WriteConcern};

use super::{Alerts, StoreError};
use crate::store::{documents::moment, lease};

/// The longest rest of a group: the routing file's own bound.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(24 * 366);

/// A group that is held by one alerter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldGroup {
    key: String,
    owner: String,
    /// When it was taken, by the database, and by the clock of this process that only runs on.
    taken: (Timestamp, Instant),
    /// Until when it is held, by the database.
    pub lease_until: Timestamp,
    /// Before this time none of its messages may leave.
    pub not_before: Timestamp,
}

impl HeldGroup {
    /// The time by the database: what has passed since it told it is added.
    pub fn now(&self) -> Timestamp {
        let (by_database, here) = self.taken;
        by_database.saturating_add(here.elapsed()).unwrap_or(Timestamp::MAX)
    }

    /// How long it is held.
    pub fn age(&self) -> Duration {
        self.taken.1.elapsed()
    }
}

impl Alerts {
    /// Takes a group for `lease` on the database's clock; `None` where another has it.
    pub async fn hold_group(&self, key: &str, owner: &str, lease: Duration) -> Result<Option<HeldGroup>, StoreError> {
        // An upsert may not compare fields of the document, so the update does it: a group that is
        // not free stays as it is.
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
        // A rest that nobody can have asked for is none.
        let not_before = time("notBefore").filter(|at| at.duration_since(now) <= LONGEST_REST);
        let not_before = not_before.unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Some(HeldGroup { key: key.into(), owner: owner.into(), taken, lease_until, not_before }))
    }

    /// Gives a group back; none of its messages may leave for `rest` from now on.
    ///
    /// Without a rest no disk is waited for: where the word is lost, the lease ends by itself.
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
