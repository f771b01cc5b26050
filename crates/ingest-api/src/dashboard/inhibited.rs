//! Alerts inhibited by another one: one line for all, so that they do not hide the rest.

use jiff::Timestamp;
use pisync_core::{
    models::AlertState,
    store::{AlertFilter, InhibitedCount, InhibitionFilter},
};

use super::{
    incidents::{Counts, Row, in_words},
    relative_time,
};
use crate::{http::error::ApiError, state::State};

/// Number of inhibiting alerts that are shown.
const INHIBITING: usize = 10;

/// Number of inhibited alerts that are named for each.
const NAMED: u32 = 20;

/// The alerts that one alert inhibits.
pub(super) struct Inhibited {
    pub(super) by: String,
    /// The rule and the subject of the inhibiting alert, in words.
    pub(super) because: String,
    pub(super) count: String,
    pub(super) newest: Vec<Row>,
    /// Whether there are more than the named ones.
    pub(super) and_more: bool,
}

/// Returns all inhibited alerts, by inhibiting alert, the most first.
pub(super) async fn all(state: &State, now: Timestamp) -> Result<Vec<Inhibited>, ApiError> {
    let counts = state.store.alerts().inhibited_counts().await?;
    let mut held = Vec::new();
    for count in counts.into_iter().take(INHIBITING) {
        held.push(one(state, count, now).await?);
    }
    Ok(held)
}

async fn one(
    state: &State,
    InhibitedCount { by, count }: InhibitedCount,
    now: Timestamp,
) -> Result<Inhibited, ApiError> {
    let filter = AlertFilter { state: Some(AlertState::Firing), device_id: None, inhibition: InhibitionFilter::By(by) };
    let newest = state.store.alerts().list(&filter, None, NAMED).await?;
    let holding = state.store.alerts().find(by).await?.map(|kept| in_words(&kept.incident));
    let counts = Counts::of(&state.store, &newest.found).await?;
    Ok(Inhibited {
        by: by.to_string(),
        because: holding.unwrap_or_else(|| "an alert that no longer exists".into()),
        count: relative_time::grouped(count),
        and_more: newest.more,
        newest: newest.found.iter().map(|incident| Row::new(incident, &counts, now)).collect(),
    })
}
