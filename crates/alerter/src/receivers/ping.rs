//! The dead man's switch: a request after each look, to a service that raises an alarm when none
//! comes. What watches the fleet cannot tell by itself that it is dead.

use std::time::Duration;

use pisync_core::settings::Secret;
use serde::Deserialize;

use super::http::{Authorities, Endpoint};
use crate::{
    notification::Delivery,
    tables::{Table, WebAddress},
};

/// How long the answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The keys of `[ping]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    url: Option<WebAddress>,
    url_file: Option<WebAddress>,
    bearer_file: Option<Secret>,
    ca_file: Option<Authorities>,
}

/// The `[ping]` of the config.
#[derive(Debug)]
pub struct Ping(Endpoint);

impl Ping {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { url, url_file, bearer_file, ca_file } = settings;
        Endpoint::at_either(table, url, url_file, ca_file, bearer_file).map(Self)
    }

    /// Posts nothing, and takes any 2xx for an answer.
    pub(crate) async fn send(&self) -> Delivery {
        Delivery::within(PING_TIMEOUT, self.0.post(Vec::new(), &[])).await
    }
}
