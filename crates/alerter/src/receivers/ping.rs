//! The dead man's switch: a request after each look, to a service that raises an alarm when none
//! comes. What watches the fleet cannot tell by itself that it is dead.

use std::time::Duration;

use super::http::Endpoint;
use crate::{alert_config::Section, notification::Delivery};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The `[ping]` of the config.
#[derive(Debug)]
pub struct Ping(Endpoint);

impl Ping {
    pub(crate) fn read(section: &mut Section<'_>) -> Option<Self> {
        Endpoint::read(section).map(Self)
    }

    /// Posts nothing, and takes any 2xx for an answer.
    pub(super) async fn send(&self) -> Delivery {
        let late = || Delivery::Again { after: None, why: format!("no answer within {} s", PATIENCE.as_secs()) };
        tokio::time::timeout(PATIENCE, self.0.post(Vec::new(), &[])).await.unwrap_or_else(|_| late())
    }
}
