//! A client that posts one body to the API, with the retries of a device.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context;
use pisync_core::backoff::Backoff;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::config::PostSettings;

/// The wait before the first retry, unless the API names one.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The maximum length of the kept text of a refusal, in characters.
const DETAIL: usize = 200;

/// A client that posts bodies to the API.
#[derive(Debug)]
pub struct ReportClient {
    client: Client,
    route: Url,
    tries: u32,
    max_wait: Duration,
    stop: CancellationToken,
    has_complained: AtomicBool,
}

/// The result of a delivery, and its retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The outcome.
    pub outcome: Outcome,
    /// The number of retries.
    pub retries: u32,
}

/// The outcome of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The API answered 202.
    Accepted {
        /// The duration of the accepted attempt.
        latency: Duration,
    },
    /// The API answered with a status on which no device retries.
    Refused {
        /// The status.
        status: u16,
        /// The detail of the answer.
        detail: String,
        /// True if the event may be stored nevertheless.
        may_be_stored: bool,
    },
    /// No attempt was accepted or refused, and no retries are left.
    GaveUp {
        /// True if the event may be stored nevertheless.
        may_be_stored: bool,
    },
}

/// The result of one attempt.
enum Answer {
    Accepted,
    Refused(StatusCode, String),
    TryAgain { may_be_stored: bool, after: Option<Duration>, why: String },
}

impl ReportClient {
    /// Returns a client for the API of these settings; it does not retry once `stop` is cancelled.
    pub fn new(settings: &PostSettings, stop: CancellationToken) -> anyhow::Result<Self> {
        let client = Client::builder()
            .default_headers(authorization(settings)?)
            .timeout(settings.timeout)
            .pool_max_idle_per_host(usize::try_from(settings.concurrency)?)
            .user_agent(concat!("fleet-sim/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("making an HTTP client")?;
        let base = settings.api.as_str().trim_end_matches('/');
        let route = Url::parse(&format!("{base}/api/sync-event")).context("the address of the API")?;
        let (tries, max_wait) = (settings.tries, settings.max_wait);
        Ok(Self { client, route, tries, max_wait, stop, has_complained: AtomicBool::new(false) })
    }

    /// Posts `body` until it is accepted or refused, up to the number of tries in the settings.
    pub async fn deliver(&self, body: &str) -> Delivery {
        let mut backoff = Backoff::new(FIRST_WAIT, self.max_wait);
        let (mut retries, mut was_perhaps_stored) = (0, false);
        loop {
            let sent = Instant::now();
            let (may_be_stored, after) = match self.attempt(body).await {
                Answer::Accepted => {
                    return Delivery { outcome: Outcome::Accepted { latency: sent.elapsed() }, retries };
                }
                Answer::Refused(status, detail) => {
                    let may_be_stored = was_perhaps_stored || status.is_server_error();
                    let outcome = Outcome::Refused { status: status.as_u16(), detail, may_be_stored };
                    return Delivery { outcome, retries };
                }
                Answer::TryAgain { may_be_stored, after, why } => {
                    self.complain(&why);
                    (may_be_stored, after)
                }
            };
            was_perhaps_stored |= may_be_stored;
            let wait = after.unwrap_or_else(|| backoff.next_wait()).min(self.max_wait);
            if retries + 1 >= self.tries || self.is_stopped_within(wait).await {
                return Delivery { outcome: Outcome::GaveUp { may_be_stored: was_perhaps_stored }, retries };
            }
            retries += 1;
        }
    }

    async fn attempt(&self, body: &str) -> Answer {
        let request = self.client.post(self.route.clone()).header(CONTENT_TYPE, "application/json");
        match request.body(body.to_owned()).send().await {
            Ok(response) => read(response).await,
            Err(error) => network(&error),
        }
    }

    async fn is_stopped_within(&self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.stop.cancelled()).await.is_ok()
    }

    /// Logs the reason of the first retry; the closing figures count the rest.
    fn complain(&self, why: &str) {
        if !self.has_complained.swap(true, Ordering::Relaxed) {
            log::warn!(api:% = self.route; "retrying an event: {why}");
        }
    }
}

/// Returns the key of the settings as a header.
fn authorization(settings: &PostSettings) -> anyhow::Result<HeaderMap> {
    let key = match (&settings.api_key, &settings.api_key_file) {
        (Some(key), _) => key.expose().to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
        (None, None) => return Ok(HeaderMap::new()),
    };
    // The error does not contain the key.
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).context("the key to post with")?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

async fn read(response: Response) -> Answer {
    let status = response.status();
    let after = retry_after(&response);
    // To the end, so that the connection can be used again; the status alone decides.
    let text = response.text().await.unwrap_or_default();
    match status {
        StatusCode::ACCEPTED => Answer::Accepted,
        StatusCode::TOO_MANY_REQUESTS => {
            Answer::TryAgain { may_be_stored: false, after, why: format!("the API answers {status}") }
        }
        // From a gateway, or after a push whose reply was lost: the event may be in the queue.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Answer::TryAgain { may_be_stored: true, after, why: format!("the API answers {status}") }
        }
        _ => Answer::Refused(status, detail(&text)),
    }
}

/// Returns the detail of a problem document, else the beginning of the text.
fn detail(text: &str) -> String {
    let problem = serde_json::from_str::<Value>(text).ok();
    let said = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    said.unwrap_or(text).chars().take(DETAIL).collect()
}

fn network(error: &reqwest::Error) -> Answer {
    let why = if error.is_connect() {
        "the API cannot be reached"
    } else if error.is_timeout() {
        "the API does not answer in time"
    } else {
        "the connection broke"
    };
    Answer::TryAgain { may_be_stored: !error.is_connect(), after: None, why: why.into() }
}

/// Returns the wait that the API asks for, if it is in whole seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
