//! Rate limits of devices and keys, with a burst for a device that was offline for a month.
//!
//! Not by address: a school is one address. Each process counts by itself, so a fleet behind n processes has n
//! times the limit. Events that the queue refuses are refunded: our outage is not the device's doing, and it
//! must be able to send its whole backlog afterwards.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use clap::{Args, builder::TypedValueParser};
use pisync_core::models::DeviceId;

use super::error::ApiError;

/// Number of devices that are counted apart. Beyond it, some share a limit, which is far above a device's rate.
/// Memory is bounded however many names are invented.
const DEVICES: usize = 1 << 18;

/// Number of keys that are counted apart.
const KEYS: usize = 1 << 12;

/// Rate limits.
#[derive(Debug, Clone, Copy, Args)]
pub struct LimitSettings {
    /// Maximum burst of a device in events, for the backlog of an offline time: 1 to 1000000
    #[arg(long, env = "PISYNC_DEVICE_BURST", default_value = "1000", value_parser = up_to_a_million())]
    pub device_burst: NonZeroU32,
    /// Events per hour that a device may send in the long run, 1 to 1000000
    #[arg(long, env = "PISYNC_DEVICE_RATE", default_value = "60", value_parser = up_to_a_million())]
    pub device_rate: NonZeroU32,
    /// Events per second that a key may send in the long run, 1 to 1000000, with a burst of ten times as many
    /// [default: no limit]
    #[arg(long, env = "PISYNC_KEY_RATE", value_parser = up_to_a_million())]
    pub key_rate: Option<NonZeroU32>,
}

fn up_to_a_million() -> impl TypedValueParser<Value = NonZeroU32> {
    clap::value_parser!(u32).range(1..=1_000_000).try_map(NonZeroU32::try_from)
}

/// Burst of a key, as a multiple of its rate.
const TEN: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

/// The rate limiters of this process.
#[derive(Debug)]
pub struct Limits {
    devices: Cells,
    keys: Option<Cells>,
}

/// The event is over the rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many events from this device or key: send it again in {} s", after.as_secs() + 1)]
pub struct TooFast {
    /// Time until it fits.
    pub after: Duration,
}

impl Limits {
    /// Returns limiters without any events.
    pub fn new(settings: &LimitSettings) -> Self {
        let step = Duration::from_hours(1) / settings.device_rate.get();
        let key = |rate: NonZeroU32| Cells::new(KEYS, Duration::from_secs(1) / rate.get(), rate.saturating_mul(TEN));
        Self { devices: Cells::new(DEVICES, step, settings.device_burst), keys: settings.key_rate.map(key) }
    }

    /// Counts one event of this device, sent with this key.
    pub fn admit(&self, device_id: &DeviceId, key: Option<&str>) -> Result<(), TooFast> {
        self.devices.take(device_id)?;
        let of_key = self.keys.as_ref().zip(key).map_or(Ok(()), |(keys, key)| keys.take(key));
        of_key.inspect_err(|_| self.devices.refund(device_id))
    }

    /// Returns whether one more event of a caller fits, before its body is read.
    pub(crate) fn has_room(&self, device_id: Option<&DeviceId>, key: Option<&str>) -> Result<(), TooFast> {
        device_id.map_or(Ok(()), |device_id| self.devices.has_room(device_id))?;
        self.keys.as_ref().zip(key).map_or(Ok(()), |(keys, key)| keys.has_room(key))
    }

    /// Refunds an event that the queue refused.
    pub fn refund(&self, device_id: &DeviceId, key: Option<&str>) {
        self.devices.refund(device_id);
        if let Some((keys, key)) = self.keys.as_ref().zip(key) {
            keys.refund(key);
        }
    }
}

/// The generic cell rate algorithm (ITU-T I.371), a cell for each place: the time at which all events are paid
/// for, in nanoseconds since the start. Own code, since the libraries for it cannot refund.
pub(crate) struct Cells {
    full_at: Box<[AtomicU64]>,
    places: RandomState,
    start: Instant,
    /// The time one event costs, in nanoseconds.
    step: u64,
    /// The time a whole burst costs, in nanoseconds.
    room: u64,
}

impl Cells {
    pub(crate) fn new(places: usize, step: Duration, burst: NonZeroU32) -> Self {
        let step = nanos(step).max(1);
        let full_at = std::iter::repeat_with(AtomicU64::default).take(places).collect();
        let room = step.saturating_mul(burst.get().into());
        Self { full_at, places: RandomState::new(), start: Instant::now(), step, room }
    }

    pub(crate) fn take(&self, name: &(impl Hash + ?Sized)) -> Result<(), TooFast> {
        let now = nanos(self.start.elapsed());
        let until = now.saturating_add(self.room);
        let fits = |full_at: u64| full_at.max(now).checked_add(self.step).filter(|next| *next <= until);
        let taken = self.cell(name).fetch_update(Relaxed, Relaxed, fits);
        taken.map(drop).map_err(|full_at| {
            let after = full_at.saturating_add(self.step).saturating_sub(until);
            TooFast { after: Duration::from_nanos(after) }
        })
    }

    fn has_room(&self, name: &(impl Hash + ?Sized)) -> Result<(), TooFast> {
        self.take(name)?;
        self.refund(name);
        Ok(())
    }

    pub(crate) fn refund(&self, name: &(impl Hash + ?Sized)) {
        let less = |full_at: u64| Some(full_at.saturating_sub(self.step));
        let _ = self.cell(name).fetch_update(Relaxed, Relaxed, less);
    }

    fn cell(&self, name: &(impl Hash + ?Sized)) -> &AtomicU64 {
        let place = self.places.hash_one(name) % self.full_at.len() as u64;
        &self.full_at[usize::try_from(place).unwrap_or_default()]
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("step", &self.step).field("room", &self.room).finish_non_exhaustive()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl From<TooFast> for ApiError {
    fn from(TooFast { after }: TooFast) -> Self {
        Self::TooFast { after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32, key_rate: Option<u32>) -> Limits {
        Limits::new(&LimitSettings {
            device_burst: NonZeroU32::new(burst).unwrap(),
            device_rate: NonZeroU32::new(60).unwrap(),
            key_rate: key_rate.and_then(NonZeroU32::new),
        })
    }

    fn device(name: &str) -> DeviceId {
        DeviceId::parse(name).unwrap()
    }

    #[test]
    fn a_month_offline_is_caught_up_at_once_and_then_it_is_a_minute_for_each() {
        let limits = limits(1_000, None);
        for _ in 0..1_000 {
            limits.admit(&device("a"), None).unwrap();
        }
        let too_fast = limits.admit(&device("a"), None).unwrap_err();
        assert!((1..=60).contains(&too_fast.after.as_secs()), "{too_fast:?}");
        // Another device is not affected.
        limits.admit(&device("b"), None).unwrap();
    }

    #[test]
    fn the_highest_limits_let_through_as_much_as_they_say() {
        for (burst, rate) in [(1_000_000, 1), (1_000_000, 1_000_000), (u32::MAX, 1), (1, u32::MAX)] {
            let limits = Limits::new(&LimitSettings {
                device_burst: NonZeroU32::new(burst).unwrap(),
                device_rate: NonZeroU32::new(rate).unwrap(),
                key_rate: NonZeroU32::new(u32::MAX),
            });
            for _ in 0..burst.min(10_000) {
                limits.admit(&device("a"), Some("k1")).unwrap();
            }
        }
    }

    #[test]
    fn a_key_is_limited_over_all_its_devices() {
        let limits = limits(1_000, Some(1));
        let admitted = (0..100).filter(|i| limits.admit(&device(&format!("d-{i}")), Some("k1")).is_ok()).count();
        assert!((10..=12).contains(&admitted), "{admitted}");
        limits.admit(&device("d-0"), Some("k2")).unwrap();
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more_than_that() {
        let limits = limits(3, Some(1_000));
        for _ in 0..100 {
            limits.admit(&device("a"), Some("k1")).unwrap();
            limits.refund(&device("a"), Some("k1"));
        }
        let admitted = (0..100).filter(|_| limits.admit(&device("a"), Some("k1")).is_ok()).count();
        assert_eq!(admitted, 3);
        // A refund of nothing adds nothing.
        for _ in 0..100 {
            limits.refund(&device("b"), None);
        }
        assert_eq!((0..100).filter(|_| limits.admit(&device("b"), None).is_ok()).count(), 3);
    }

    #[test]
    fn a_key_that_is_at_its_limit_costs_its_devices_nothing() {
        let limits = limits(20, Some(1));
        while limits.admit(&device("a"), Some("k1")).is_ok() {}
        while limits.admit(&device("b"), Some("k1")).is_ok() {}
        assert_eq!((0..100).filter(|_| limits.admit(&device("b"), None).is_ok()).count(), 20);
    }
}
