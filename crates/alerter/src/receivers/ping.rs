//! The dead man's switch: a request after each look, to a service that raises an alarm when none
//! comes. What watches the fleet cannot tell by itself that it is dead.

use std::time::Duration;

use serde::{Deserialize, de::IgnoredAny};

use super::http::{Access, Endpoint};
use crate::{
    notification::Delivery,
    tables::{
        Table,
        secret::Place,
        values::{Text, WebAddress},
    },
};

/// How long the answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The keys of `[ping]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    url: Option<WebAddress>,
    url_file: Option<Text>,
    url_env: Option<Text>,
    bearer: Option<IgnoredAny>,
    bearer_file: Option<Text>,
    bearer_env: Option<Text>,
    ca_file: Option<Text>,
}

/// The `[ping]` of the config.
#[derive(Debug)]
pub struct Ping(Endpoint);

impl Ping {
    pub(crate) fn new(settings: Settings, table: &mut Table<'_>) -> Option<Self> {
        let Settings { url, url_file, url_env, bearer, bearer_file, bearer_env, ca_file } = settings;
        let access = Access::new(table, ca_file, Place { here: bearer, file: bearer_file, env: bearer_env });
        let secret_url = Place { here: None, file: url_file, env: url_env };
        Endpoint::at_either(table, url, secret_url, &access).map(Self)
    }

    /// Posts nothing, and takes any 2xx for an answer.
    pub(crate) async fn send(&self) -> Delivery {
        let late = || Delivery::Again { after: None, why: format!("no answer within {} s", PING_TIMEOUT.as_secs()) };
        tokio::time::timeout(PING_TIMEOUT, self.0.post(Vec::new(), &[])).await.unwrap_or_else(|_| late())
    }
}
