//! HTTP requests to receivers: a POST, and the result of each answer for the message. Also the ping.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use pisync_core::settings::Secret;
use reqwest::{Certificate, Client, Response, StatusCode, Url, header::RETRY_AFTER, redirect::Policy};
use serde::Deserialize;

use crate::{
    notification::Delivery,
    tables::{Table, WebAddress},
};

/// The longest wait that a receiver may ask for; a longer one is cut.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum length of a refusal's text, in characters.
const REFUSAL_LENGTH: usize = 200;

/// An address to post to, with its client and its secrets.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    client: Client,
    /// The address may hold a token, as those of Slack do.
    url: Secret,
    bearer: Option<Secret>,
    /// A further secret that no error may repeat.
    pub(super) routing_key: Option<Secret>,
}

/// The only trusted authorities for a server, in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Authorities(Vec<Certificate>);

/// The keys of an address that may be a secret; `[ping]` has no others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    pub(super) url: Option<WebAddress>,
    pub(super) url_file: Option<WebAddress>,
    pub(super) bearer_file: Option<Secret>,
    pub(super) ca_file: Option<Authorities>,
}

/// The `[ping]` of the config, a dead man's switch: a request after each tick, to a service that raises an
/// alarm if none comes. An alerter cannot report its own death.
#[derive(Debug)]
pub struct Ping(Endpoint);

impl Ping {
    pub(crate) fn new(address: Address, table: &mut Table<'_>) -> Option<Self> {
        Endpoint::at(table, address).map(Self)
    }

    /// Posts an empty body. Any 2xx answer counts as sent.
    pub(crate) async fn send(&self) -> Delivery {
        Delivery::within(PING_TIMEOUT, self.0.post(Vec::new(), &[])).await
    }
}

impl Endpoint {
    /// Returns an endpoint at `url`, or else at the secret address.
    pub(super) fn at(table: &mut Table<'_>, address: Address) -> Option<Self> {
        let Address { url, url_file, bearer_file, ca_file } = address;
        let is_secret = table.has("url_file") || table.has("url_env");
        let WebAddress(url) = table.need(if is_secret { "url_file" } else { "url" }, url.or(url_file))?;
        Self::new(table, url, ca_file, bearer_file)
    }

    /// Returns an endpoint at an address.
    pub(super) fn new(
        table: &mut Table<'_>,
        url: Url,
        ca: Option<Authorities>,
        bearer: Option<Secret>,
    ) -> Option<Self> {
        let client = client(&url, ca).map_err(chain);
        let client = table.check("url", client)?;
        Some(Self { client, url: Secret::new(url), bearer, routing_key: None })
    }

    /// Posts JSON with these headers. Returns the result by the status of the answer.
    pub(super) async fn post(&self, body: Vec<u8>, headers: &[(&'static str, String)]) -> Delivery {
        let mut request = self.client.post(self.url.expose()).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        match request.send().await {
            Ok(answer) => self.judge(answer).await,
            Err(error) => Delivery::Again { after: None, why: chain(error.without_url()) },
        }
    }

    async fn judge(&self, answer: Response) -> Delivery {
        let status = answer.status();
        if status.is_success() {
            return Delivery::Sent;
        }
        let after = retry_after(&answer, Timestamp::now());
        let why = format!("{status}{}", self.words(answer).await);
        let is_for_now = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        if status.is_client_error() && !is_for_now { Delivery::Dead { why } } else { Delivery::Again { after, why } }
    }

    /// Returns the text of an answer, shortened, without secrets and control characters.
    async fn words(&self, mut answer: Response) -> String {
        let mut bytes = Vec::new();
        while bytes.len() < REFUSAL_LENGTH
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&bytes);
        let secrets = [Some(&self.url), self.bearer.as_ref(), self.routing_key.as_ref()].into_iter().flatten();
        let text = secrets.fold(text.into_owned(), |text, secret| text.replace(secret.expose(), "(secret)"));
        let text: String = text.chars().filter(|c| !c.is_control()).take(REFUSAL_LENGTH).collect();
        if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
    }
}

fn client(url: &Url, ca: Option<Authorities>) -> reqwest::Result<Client> {
    let client = Client::builder().redirect(Policy::none()).user_agent(concat!("PiSync/", env!("CARGO_PKG_VERSION")));
    match ca {
        Some(Authorities(authorities)) => client.tls_certs_only(authorities).build(),
        // Works on a machine without trusted authorities.
        None if url.scheme() == "http" => client.tls_certs_only([]).build(),
        None => client.build(),
    }
}

impl TryFrom<String> for Authorities {
    type Error = &'static str;

    fn try_from(pem: String) -> Result<Self, Self::Error> {
        let found = Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|found| !found.is_empty());
        found.map(Self).ok_or("names a file without a certificate in PEM")
    }
}

/// Returns an error with its causes, in one line.
fn chain(error: reqwest::Error) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

/// Returns the wait that the receiver asks for, from seconds or a date.
fn retry_after(answer: &Response, now: Timestamp) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    let date = || {
        let at = rfc2822::parse(text).ok()?.timestamp();
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    };
    Some(seconds.or_else(date)?.min(LONGEST_WAIT))
}
