//! The common properties of failing devices, computed once for all callers.
//!
//! A window costs as much as its reports. So one window is read at a time, and its answer is cached for ten
//! times the duration of the read.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{AHEAD, WhatChanged},
    store::{Store, StoreError},
};
use tokio::time::Instant;

use super::refresh::{OneAtATime, TIMEOUT};
use crate::http::{error::ApiError, reads};

/// Minimum lifetime of an answer.
const LAG: Duration = Duration::from_secs(15);

/// Lifetime of an answer as a multiple of its computation.
const REST: u32 = 10;

/// Maximum age of an answer for a caller that does not wait.
const STALE: Duration = Duration::from_mins(5);

/// The cached answers of a process, by minutes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    store: Store,
    answers: Arc<Mutex<HashMap<u32, Answer>>>,
    turn: OneAtATime,
}

/// An answer and its lifetime.
#[derive(Debug, Clone)]
struct Answer {
    found: Found,
    made_at: Instant,
    good_for: Duration,
}

/// A result and its time.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) what: Arc<WhatChanged>,
    pub(crate) at: Timestamp,
}

impl Changes {
    /// Returns an empty cache.
    pub(super) fn new(store: Store) -> Self {
        Self { store, answers: Arc::default(), turn: OneAtATime::default() }
    }

    /// Returns the common properties of failing devices in the last `minutes` by their own clocks.
    pub(crate) async fn of(&self, minutes: u32) -> Result<Found, ApiError> {
        match self.wait(minutes, TIMEOUT).await {
            Ok(found) => Ok(found),
            Err(error) => self.answer(minutes, STALE).map(|answer| answer.found).ok_or(error),
        }
    }

    /// Returns the same, some minutes old if there is such an answer, for a caller that does not wait.
    pub(crate) async fn recent(&self, minutes: u32, patience: Duration) -> Result<Found, ApiError> {
        let Some(answer) = self.answer(minutes, STALE) else { return self.wait(minutes, patience).await };
        if answer.made_at.elapsed() >= answer.good_for {
            // In the background; while another computation runs, this one does not start.
            let this = self.clone();
            reads::spawn(async move { this.wait(minutes, Duration::ZERO).await });
        }
        Ok(answer.found)
    }

    async fn wait(&self, minutes: u32, patience: Duration) -> Result<Found, ApiError> {
        if let Some(answer) = self.answer(minutes, Duration::ZERO) {
            return Ok(answer.found);
        }
        let this = self.clone();
        let find = || async move { Ok(this.find(minutes).await?) };
        self.turn.run(patience, "the answers to what changed", find).await
    }

    async fn find(&self, minutes: u32) -> Result<Found, StoreError> {
        if let Some(answer) = self.answer(minutes, Duration::ZERO) {
            return Ok(answer.found);
        }
        let (began, now) = (Instant::now(), Timestamp::now());
        let start = now.saturating_sub(SignedDuration::from_mins(i64::from(minutes))).unwrap_or(Timestamp::MIN);
        // A trusted clock may be a little ahead of ours.
        let end = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let what = Arc::new(self.store.sync_events().what_changed(start..end).await?);
        let found = Found { what, at: now };
        let good_for = LAG.max(REST * began.elapsed());
        let mut answers = self.answers();
        answers.retain(|_, answer| answer.made_at.elapsed() < STALE.max(answer.good_for));
        answers.insert(minutes, Answer { found: found.clone(), made_at: Instant::now(), good_for });
        Ok(found)
    }

    /// Returns the cached answer, if it is within its lifetime or not older than `than`.
    fn answer(&self, minutes: u32, than: Duration) -> Option<Answer> {
        let answer = self.answers().get(&minutes).cloned();
        answer.filter(|answer| answer.made_at.elapsed() < answer.good_for.max(than))
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<u32, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
