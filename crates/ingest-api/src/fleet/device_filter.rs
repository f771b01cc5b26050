//! The filter of a device list, and its order.

use jiff::Timestamp;
use pisync_core::models::DeviceStatus;

use super::known::Known;
use crate::http::{cursor::CursorBinding, error::ApiError};

/// The filter of a device list.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceFilter {
    pub(crate) status: Option<DeviceStatus>,
    pub(crate) prefix: Option<String>,
    pub(crate) min_failures: Option<i32>,
    pub(crate) seen_before: Option<Timestamp>,
    pub(crate) seen_after: Option<Timestamp>,
    pub(crate) sort: Option<Sort>,
}

/// The requested order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// By id.
    Id,
    /// Most failed syncs in a row first.
    Failures,
    /// Longest ago first; only devices with a last-seen time.
    Seen,
}

/// The order of a list; each is kept by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By id.
    Device,
    /// By id, only devices with a suspect clock.
    Suspect,
    /// Most failed syncs in a row first, ties by id.
    Count,
    /// Longest ago first, ties by id.
    Seen,
}

impl DeviceFilter {
    /// Fails if the members conflict: no order serves such a combination in bounded time.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        let is = |status| self.status.is_none_or(|asked| asked == status);
        if self.min_failures.is_some() && !is(DeviceStatus::Failing) {
            return Err(ApiError::invalid("/minFailures", "must be used with status=failing or without a status"));
        }
        let seen = if self.seen_before.is_some() { "/seenBefore" } else { "/seenAfter" };
        if self.is_by_time() && (!is(DeviceStatus::Silent) || self.prefix.is_some() || self.min_failures.is_some()) {
            return Err(ApiError::invalid(seen, "must be used alone or with status=silent"));
        }
        if self.is_by_time() && self.sort.is_some_and(|sort| sort != Sort::Seen) {
            return Err(ApiError::invalid("/sort", "must be seen, or left out, with seenBefore or seenAfter"));
        }
        if self.seen_before.zip(self.seen_after).is_some_and(|(before, after)| after > before) {
            return Err(ApiError::invalid("/seenAfter", "must not be after seenBefore"));
        }
        Ok(())
    }

    fn is_by_time(&self) -> bool {
        self.seen_before.is_some() || self.seen_after.is_some()
    }

    /// Returns the order of the list.
    pub(crate) fn order(&self) -> Order {
        match self.sort {
            Some(Sort::Failures) => Order::Count,
            Some(Sort::Seen) => Order::Seen,
            Some(Sort::Id) if self.status == Some(DeviceStatus::ClockSuspect) && self.prefix.is_none() => {
                Order::Suspect
            }
            Some(Sort::Id) => Order::Device,
            None => self.usual_order(),
        }
    }

    fn usual_order(&self) -> Order {
        if self.prefix.is_some() {
            Order::Device
        } else if self.is_by_time() || self.status == Some(DeviceStatus::Silent) {
            Order::Seen
        } else if self.min_failures.is_some() || self.status == Some(DeviceStatus::Failing) {
            Order::Count
        } else if self.status == Some(DeviceStatus::ClockSuspect) {
            Order::Suspect
        } else {
            Order::Device
        }
    }

    /// Returns whether all devices in the order match, so that none is left out.
    pub(crate) fn is_exact(&self) -> bool {
        match self.order() {
            Order::Device => self.status.is_none() && self.min_failures.is_none(),
            Order::Count => self.prefix.is_none() && self.status.is_none_or(|status| status == DeviceStatus::Failing),
            Order::Suspect => false,
            Order::Seen => self.status.is_none() && self.min_failures.is_none() && self.prefix.is_none(),
        }
    }

    /// Returns the minimum number of failed syncs in a row.
    pub(crate) fn at_least(&self) -> i32 {
        let by_status = if self.status == Some(DeviceStatus::Failing) { DeviceStatus::REPEATED } else { 0 };
        by_status.max(self.min_failures.unwrap_or(0))
    }

    /// Returns whether a device in the order matches the filter.
    pub(crate) fn fits(&self, known: &Known) -> bool {
        let by_status = self.status.is_none_or(|status| status == known.status);
        let device_id = known.counter.device_id.as_str();
        let by_prefix = self.prefix.as_deref().is_none_or(|prefix| device_id.starts_with(prefix));
        by_status && by_prefix && known.counter.failure_count() >= self.at_least()
    }

    /// Returns the binding of this list's cursors.
    pub(crate) fn cursor_binding(&self) -> CursorBinding {
        CursorBinding::of("devices")
            .with(self.status.map(DeviceStatus::as_str))
            .with(self.prefix.as_deref())
            .with(self.min_failures)
            .with(self.seen_before)
            .with(self.seen_after)
            .with(self.sort.map(Sort::as_str))
    }
}

impl Sort {
    /// Every order.
    pub(crate) const ALL: [Self; 3] = [Self::Id, Self::Failures, Self::Seen];

    /// Returns the word in queries.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Failures => "failures",
            Self::Seen => "seen",
        }
    }

    /// Returns the order that a word of a query means.
    pub(crate) fn parse(word: &str) -> Result<Self, ApiError> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == word);
        found.ok_or_else(|| ApiError::invalid("/sort", "must be id, failures or seen"))
    }
}
