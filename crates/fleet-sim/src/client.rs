//! One body, from a device into the API: tried again as a device would.

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

/// The first wait before another try where the API names none.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How much of the text of a refusal is kept, in characters.
const DETAIL: usize = 200;

/// Posts bodies to the API.
#[derive(Debug)]
pub struct ReportClient {
    client: Client,
    route: Url,
    tries: u32,
    max_wait: Duration,
    stop: CancellationToken,
    has_complained: AtomicBool,
}

/// What became of a body, and at what cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What became of it.
    pub outcome: Outcome,
    /// Tries beyond the first.
    pub retries: u32,
}

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The API answered 202.
    Accepted {
        /// How long the try that was accepted took.
        latency: Duration,
    },
    /// The API answered what no device tries again on.
    Refused {
        /// The status.
        status: u16,
        /// What the answer says.
        detail: String,
        /// Whether the event may be stored all the same.
        may_be_stored: bool,
    },
    /// No try was answered by 202 or a refusal, and no more were made.
    GaveUp {
        /// Whether the event may be stored all the same.
        may_be_stored: bool,
    },
}

/// The result of one try.
enum Answer {
    Accepted,
    Refused(StatusCode, String),
    TryAgain { may_be_stored: bool, after: Option<Duration>, why: String },
}

impl ReportClient {
    /// A client to the API of these settings; once `stop` is cancelled it tries nothing again.
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

    /// Posts `body` until it is accepted or refused, at most as often as the settings say.
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

    /// Says once why events have to wait; the closing figures count the rest.
    fn complain(&self, why: &str) {
        if !self.has_complained.swap(true, Ordering::Relaxed) {
            log::warn!(api:% = self.route; "an event has to be sent again: {why}");
        }
    }
}

/// The key of the settings as a header.
fn authorization(settings: &PostSettings) -> anyhow::Result<HeaderMap> {
    let key = match (&settings.api_key, &settings.api_key_file) {
        (Some(key), _) => key.expose().to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
        (None, None) => return Ok(HeaderMap::new()),
    };
    // The key itself is not in the error.
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
            Answer::TryAgain { may_be_stored: false, after, why: format!("it answers {status}") }
        }
        // A gateway's word, or a push whose reply was lost: the event may be in the queue.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Answer::TryAgain { may_be_stored: true, after, why: format!("it answers {status}") }
        }
        _ => Answer::Refused(status, detail(&text)),
    }
}

/// What a problem document says for people, else the beginning of the text.
fn detail(text: &str) -> String {
    let problem = serde_json::from_str::<Value>(text).ok();
    let said = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    said.unwrap_or(text).chars().take(DETAIL).collect()
}

fn network(error: &reqwest::Error) -> Answer {
    let why = if error.is_connect() {
        "it cannot be reached"
    } else if error.is_timeout() {
        "it does not answer in time"
    } else {
        "the connection broke"
    };
    Answer::TryAgain { may_be_stored: !error.is_connect(), after: None, why: why.into() }
}

/// The wait that the API asks for, in its form of whole seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
