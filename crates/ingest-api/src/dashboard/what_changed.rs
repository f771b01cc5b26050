//! The part of the first page about common properties of failing devices.

use std::time::Duration;

use actix_web::HttpRequest;
use jiff::Timestamp;
use pisync_core::models::{Contrast, Share};

use super::relative_time::{RelativeTime, grouped};
use crate::{fleet::Found, state::State};

/// The window, in minutes: it contains each device of a fleet that reports every hour.
const MINUTES: u32 = 60;

/// How long the page waits if there is no answer yet.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of lines.
const LINES: usize = 5;

/// The common properties of failing devices.
pub(super) struct Changed {
    pub(super) lines: Vec<Line>,
    pub(super) at: RelativeTime,
    pub(super) reporting: String,
    pub(super) failing: String,
    /// Address of the same in the API.
    pub(super) href: String,
}

/// A part of the fleet that fails more often than the rest.
pub(super) struct Line {
    pub(super) mark: String,
    pub(super) with: String,
    pub(super) of_with: String,
    /// The failing ones in percent.
    pub(super) width: u64,
    pub(super) rest: String,
    pub(super) of_rest: String,
}

/// Returns the common properties, if there are any and they are available in time.
pub(super) async fn of(request: &HttpRequest, state: &State) -> Option<Changed> {
    // The page's periodic refresh fetches another part of it.
    if request.headers().contains_key("hx-request") {
        return None;
    }
    let found = state.fleet.changes.recent(MINUTES, TIMEOUT).await;
    let found = found.inspect_err(|error| error.log("dashboard")).ok()?;
    (!found.what.contrasts.is_empty()).then(|| Changed::new(&found, Timestamp::now()))
}

impl Changed {
    fn new(found: &Found, now: Timestamp) -> Self {
        Self {
            lines: found.what.contrasts.iter().take(LINES).map(Line::from).collect(),
            at: RelativeTime::new(found.at, now),
            reporting: grouped(found.what.all.devices),
            failing: grouped(found.what.all.failing),
            href: format!("/api/v1/fleet/what-changed?minutes={MINUTES}"),
        }
    }
}

impl From<&Contrast> for Line {
    fn from(contrast: &Contrast) -> Self {
        let counts = |share: Share| format!("{} of {}", grouped(share.failing), grouped(share.devices));
        Self {
            mark: contrast.mark.to_string(),
            with: contrast.with.to_string(),
            of_with: counts(contrast.with),
            width: (100 * contrast.with.failing).checked_div(contrast.with.devices).unwrap_or(0),
            rest: contrast.rest.to_string(),
            of_rest: counts(contrast.rest),
        }
    }
}
