//! How much a device and a key may send: the generic cell rate algorithm, with room for a device
//! that was offline for a month.
//!
//! Never by address: a school is one address. Each process counts for itself, so a fleet behind n
//! processes has n times as much.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    time::Duration,
};

use clap::Args;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use pisync_core::models::DeviceId;

use crate::error::ApiError;

/// How many devices are told apart. Beyond, some share a limit, which is so high above what a
/// device sends that sharing does not show; memory is bounded however many names are made up.
const TOLD_APART: u64 = 1 << 18;

/// How often what is full again is forgotten.
const TIDY: Duration = Duration::from_mins(1);

/// How much may be sent.
#[derive(Debug, Clone, Copy, Args)]
pub struct LimitSettings {
    /// Events that a device may send at once: what it kept while it was offline
    #[arg(long, env = "PISYNC_DEVICE_BURST", default_value = "1000")]
    pub device_burst: NonZeroU32,
    /// Events per hour that a device may send in the long run
    #[arg(long, env = "PISYNC_DEVICE_RATE", default_value = "60")]
    pub device_rate: NonZeroU32,
    /// Events per second that a key may send in the long run, ten times as many at once; no limit unless set
    #[arg(long, env = "PISYNC_KEY_RATE")]
    pub key_rate: Option<NonZeroU32>,
}

/// The limits of this process.
pub struct Limits {
    devices: DefaultKeyedRateLimiter<u32>,
    keys: Option<DefaultKeyedRateLimiter<String>>,
    hashed: RandomState,
    clock: DefaultClock,
}

/// There is no room for the event now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many events from this device or key: send it again in {} s", after.as_secs() + 1)]
pub struct TooFast {
    /// When there is.
    pub after: Duration,
}

impl Limits {
    /// Limits that nobody has come near yet.
    pub fn new(settings: &LimitSettings) -> Self {
        let hour = Duration::from_hours(1);
        let device = Quota::with_period(hour / settings.device_rate.get()).unwrap_or(Quota::per_hour(NonZeroU32::MAX));
        let key = |rate: NonZeroU32| {
            Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(9)))
        };
        Self {
            devices: RateLimiter::keyed(device.allow_burst(settings.device_burst)),
            keys: settings.key_rate.map(|rate| RateLimiter::keyed(key(rate))),
            hashed: RandomState::new(),
            clock: DefaultClock::default(),
        }
    }

    /// Takes room for one event of this device, sent with this key.
    pub fn admit(&self, device_id: &DeviceId, key: Option<&str>) -> Result<(), TooFast> {
        if let (Some(keys), Some(key)) = (&self.keys, key) {
            keys.check_key(&key.to_owned())
                .map_err(|until| TooFast { after: until.wait_time_from(self.clock.now()) })?;
        }
        let told = u32::try_from(self.hashed.hash_one(device_id) % TOLD_APART).unwrap_or_default();
        self.devices.check_key(&told).map_err(|until| TooFast { after: until.wait_time_from(self.clock.now()) })
    }

    /// Forgets, now and then, those who have all their room again. Never ends.
    pub async fn tidy(&self) {
        loop {
            tokio::time::sleep(TIDY).await;
            self.devices.retain_recent();
            self.devices.shrink_to_fit();
            if let Some(keys) = &self.keys {
                keys.retain_recent();
            }
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
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
        // Another device is not held up by it.
        limits.admit(&device("b"), None).unwrap();
    }

    #[test]
    fn a_key_is_limited_over_all_its_devices() {
        let limits = limits(1_000, Some(1));
        let admitted = (0..100).filter(|i| limits.admit(&device(&format!("d-{i}")), Some("k1")).is_ok()).count();
        assert!((10..=12).contains(&admitted), "{admitted}");
        limits.admit(&device("d-0"), Some("k2")).unwrap();
    }

    #[test]
    fn names_that_are_made_up_take_no_more_memory_than_there_are_places() {
        let limits = limits(1, None);
        for i in 0..600_000 {
            let _ = limits.admit(&device(&format!("made-up-{i}")), None);
        }
        assert!(limits.devices.len() <= usize::try_from(TOLD_APART).unwrap());
    }
}
