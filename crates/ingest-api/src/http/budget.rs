//! A budget of the process, of bytes in flight or of lists, with a share for each caller.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use actix_web::{HttpMessage, HttpRequest};

use super::{Site, auth::Caller};

/// Number of callers that are counted apart. Beyond it, some share a share.
const CALLERS: usize = 1 << 12;

/// The amount that may be in use at a time. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    taken: AtomicUsize,
    of_callers: Box<[AtomicUsize]>,
    places: RandomState,
}

/// Divisors of a budget for a caller's share. A device does one thing at a time. A whole fleet may be behind a
/// key or an address.
const PART_OF_DEVICE: usize = 16;
const PART_OF_MANY: usize = 2;

/// An amount taken from a [`Budget`]; refunded on drop.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Budget,
    place: Option<usize>,
    share: usize,
    amount: usize,
}

/// The budget is exhausted, of all callers or of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overrun;

impl Budget {
    /// Returns a budget of `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        let of_callers = std::iter::repeat_with(AtomicUsize::default).take(CALLERS).collect();
        Self(Arc::new(Inner { limit, taken: AtomicUsize::new(0), of_callers, places: RandomState::new() }))
    }

    /// Returns an empty amount without a caller.
    pub(crate) fn of_nobody(&self) -> Taken {
        Taken { budget: self.clone(), place: None, share: self.0.limit, amount: 0 }
    }

    /// Returns an empty amount of a caller, who may use a fraction of the budget.
    pub(crate) fn of(&self, caller: &(impl Hash + ?Sized), part: usize) -> Taken {
        let place = self.0.places.hash_one(caller) % self.0.of_callers.len() as u64;
        let place = Some(usize::try_from(place).unwrap_or_default());
        Taken { budget: self.clone(), place, share: self.0.limit / part, amount: 0 }
    }
}

impl Taken {
    /// Takes `amount` more; on failure takes nothing.
    pub(crate) fn take(&mut self, amount: usize) -> Result<(), Overrun> {
        let inner = &self.budget.0;
        if let Some(place) = self.place {
            add(&inner.of_callers[place], amount, self.share)?;
        }
        if add(&inner.taken, amount, inner.limit).is_err() {
            if let Some(place) = self.place {
                inner.of_callers[place].fetch_sub(amount, Relaxed);
            }
            return Err(Overrun);
        }
        self.amount += amount;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let inner = &self.budget.0;
        inner.taken.fetch_sub(self.amount, Relaxed);
        if let Some(place) = self.place {
            inner.of_callers[place].fetch_sub(self.amount, Relaxed);
        }
    }
}

/// Returns an empty amount of the caller of a request.
pub(crate) fn share(request: &HttpRequest, budget: &Budget) -> Taken {
    if let Some(caller) = request.extensions().get::<Caller>() {
        if let Some(device_id) = caller.device_id() {
            return budget.of(&("device", device_id), PART_OF_DEVICE);
        }
        if let Some(key_id) = caller.key_id() {
            return budget.of(&("key", key_id), PART_OF_MANY);
        }
    }
    let client = Site::of(request).and_then(|site| site.client(request));
    budget.of(&("client", client), PART_OF_MANY)
}

fn add(to: &AtomicUsize, amount: usize, limit: usize) -> Result<(), Overrun> {
    let fits = |taken: usize| taken.checked_add(amount).filter(|sum| *sum <= limit);
    to.fetch_update(Relaxed, Relaxed, fits).map(drop).map_err(|_| Overrun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_a_share_and_all_together_the_budget() {
        let budget = Budget::new(100);
        let mut one = budget.of("a", 2);
        assert_eq!((one.take(50), one.take(1)), (Ok(()), Err(Overrun)));
        assert_eq!(budget.of("a", 2).take(1), Err(Overrun));
        let mut rest = budget.of_nobody();
        assert_eq!((rest.take(51), rest.take(50)), (Err(Overrun), Ok(())));
        assert_eq!(budget.of("b", 2).take(1), Err(Overrun));
        drop((one, rest));
        assert_eq!(budget.of("a", 2).take(50), Ok(()));
        assert_eq!(budget.of_nobody().take(100), Ok(()));
    }
}
