//! Finds devices along an order, a bounded number at a time.

use jiff::Timestamp;
use pisync_core::models::{DeviceId, DeviceStatus, FailureCounter};

use super::{
    Fleet,
    device_filter::{DeviceFilter, Order},
    known::Known,
};
use crate::http::{
    cursor::{BadCursor, Position},
    error::ApiError,
};

/// Maximum number of devices examined for one page if not all match; the page may then be short.
const EXAMINED: usize = 1_000;

/// Number of devices in one step.
const STEP: usize = 250;

/// Devices with their positions, and the position of the next step; `None` at the end.
type Found = (Vec<(Position, Known)>, Option<Position>);

impl Fleet {
    /// Returns up to `limit` devices behind `after`, and the position of the next page.
    ///
    /// A page may be short, even empty, and still have a next one.
    pub(crate) async fn devices(
        &self,
        filter: &DeviceFilter,
        mut after: Option<Position>,
        limit: usize,
    ) -> Result<(Vec<Known>, Option<Position>), ApiError> {
        let (mut found, mut examined) = (Vec::new(), 0);
        let next = loop {
            let most = if filter.is_exact() { limit + 1 - found.len() } else { STEP };
            let (step, last) = self.step(filter, after, most).await?;
            examined += most;
            found.extend(step.into_iter().filter(|(_, known)| filter.fits(known)));
            if found.len() > limit {
                found.truncate(limit);
                break found.last().map(|(position, _)| position.clone());
            }
            if last.is_none() || examined >= EXAMINED {
                break last;
            }
            after = last;
        };
        Ok((found.into_iter().map(|(_, known)| known).collect(), next))
    }

    async fn step(&self, filter: &DeviceFilter, after: Option<Position>, most: usize) -> Result<Found, ApiError> {
        match (filter.order(), after) {
            (Order::Device, None) => self.by_device(filter, None, most).await,
            (Order::Device, Some(Position::Device(id))) => self.by_device(filter, Some(id), most).await,
            (Order::Suspect, None) => self.suspect(None, most).await,
            (Order::Suspect, Some(Position::Device(id))) => {
                let device_id = DeviceId::parse(&id).map_err(|_| BadCursor)?;
                self.suspect(Some(&device_id), most).await
            }
            (Order::Count, None) => self.by_count(filter, None, most).await,
            (Order::Count, Some(Position::Count { count, device_id })) => {
                self.by_count(filter, Some((count, device_id)), most).await
            }
            (Order::Seen, None) => self.by_last_seen(filter, None, most).await,
            (Order::Seen, Some(Position::Seen { at, device_id })) => {
                let device_id = DeviceId::parse(&device_id).map_err(|_| BadCursor)?;
                self.by_last_seen(filter, Some((at, device_id)), most).await
            }
            _ => Err(BadCursor.into()),
        }
    }

    async fn by_device(&self, filter: &DeviceFilter, after: Option<String>, most: usize) -> Result<Found, ApiError> {
        let prefix = filter.prefix.as_deref().unwrap_or_default();
        let walked = self.store.failure_counters().by_device(prefix, after.as_deref(), most).await?;
        let known = self.known(walked.counters).await?;
        let place = |known: Known| (Position::Device(known.counter.device_id.to_string()), known);
        Ok((known.into_iter().map(place).collect(), walked.last.map(Position::Device)))
    }

    async fn suspect(&self, after: Option<&DeviceId>, most: usize) -> Result<Found, ApiError> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let kept = self.store.failure_counters().clock_suspect_page(after, most).await?;
        let place = |device_id: &DeviceId| Position::Device(device_id.to_string());
        // Unreadable counters are left out: only an empty page is the end.
        let last = kept.last().map(|kept| place(&kept.counter.device_id));
        let known = self.known(kept.into_iter().map(|kept| kept.counter).collect()).await?;
        Ok((known.into_iter().map(|known| (place(&known.counter.device_id), known)).collect(), last))
    }

    async fn by_count(
        &self,
        filter: &DeviceFilter,
        after: Option<(i32, String)>,
        most: usize,
    ) -> Result<Found, ApiError> {
        let after = after.as_ref().map(|(count, id)| (*count, id.as_str()));
        let walked = self.store.failure_counters().worst(filter.at_least(), after, most).await?;
        let known = self.known(walked.counters).await?;
        let position = |(count, device_id)| Position::Count { count, device_id };
        let place =
            |known: Known| (position((known.counter.failure_count(), known.counter.device_id.to_string())), known);
        Ok((known.into_iter().map(place).collect(), walked.last.map(position)))
    }

    async fn by_last_seen(
        &self,
        filter: &DeviceFilter,
        after: Option<(Timestamp, DeviceId)>,
        most: usize,
    ) -> Result<Found, ApiError> {
        let silent_before = self.silent_before();
        let is_silent = filter.status == Some(DeviceStatus::Silent);
        let to = filter.seen_before.into_iter().chain(is_silent.then_some(silent_before)).min();
        let seen = self.last_seen.page(filter.seen_after, to, after, most).await?;
        let position =
            |(device_id, at): &(DeviceId, Timestamp)| Position::Seen { at: *at, device_id: device_id.to_string() };
        let last = seen.last().filter(|_| seen.len() == most).map(position);
        let ids: Vec<_> = seen.iter().map(|(device_id, _)| device_id).collect();
        let mut counters = self.store.failure_counters().readable(&ids).await?;
        let found = seen.iter().map(|entry| {
            let (device_id, at) = entry;
            let counter = counters.remove(device_id).unwrap_or_else(|| FailureCounter::new(device_id.clone()));
            (position(entry), Known::new(counter, Some(*at), silent_before))
        });
        Ok((found.collect(), last))
    }
}
