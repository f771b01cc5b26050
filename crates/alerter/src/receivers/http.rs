//! Posting to the web: what an answer means for the message.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use pisync_core::settings::Secret;
use reqwest::{Certificate, Client, Response, StatusCode, Url, header::RETRY_AFTER, redirect::Policy};

use crate::{
    notification::Delivery,
    tables::{
        Table,
        secret::Place,
        values::{Text, WebAddress, web_address},
    },
};

/// The longest wait that a receiver may ask for: beyond, it is asked again all the same.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// How much of a refusal is told.
const TOLD: usize = 200;

/// Where to post, and with what.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    client: Client,
    /// It may hold a token, as those of Slack do.
    url: Secret,
    bearer: Option<Secret>,
}

/// What is set of all endpoints.
#[derive(Debug)]
pub(super) struct Access {
    authorities: Option<Vec<Certificate>>,
    bearer: Option<Secret>,
}

impl Access {
    pub(super) fn new(table: &mut Table<'_>, ca_file: Option<Text>, bearer: Place) -> Self {
        let authorities = ca_file.and_then(|Text(path)| table.check("ca_file", authorities(&path)));
        Self { authorities, bearer: table.secret("bearer", bearer) }
    }
}

impl Endpoint {
    /// Returns an endpoint at `url`, or else at the address that is a secret.
    pub(super) fn at_either(
        table: &mut Table<'_>,
        url: Option<WebAddress>,
        secret: Place,
        access: &Access,
    ) -> Option<Self> {
        let is_secret = table.has("url_file") || table.has("url_env");
        let url = if !table.has("url") && is_secret {
            secret_url(table, secret)
        } else {
            table.need("url", url).map(|WebAddress(url)| url)
        };
        Self::new(table, url?, access)
    }

    /// Returns an endpoint whose address is a secret.
    pub(super) fn at_secret(table: &mut Table<'_>, secret: Place, access: &Access) -> Option<Self> {
        let url = secret_url(table, secret)?;
        Self::new(table, url, access)
    }

    /// Returns an endpoint at an address.
    pub(super) fn new(table: &mut Table<'_>, url: Url, access: &Access) -> Option<Self> {
        let client = client(&url, access.authorities.clone()).map_err(|error| chain(&error));
        let client = table.check("url", client)?;
        Some(Self { client, url: Secret::new(url), bearer: access.bearer.clone() })
    }

    /// Posts JSON with these headers.
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
            Err(error) => Delivery::Again { after: None, why: chain(&error.without_url()) },
        }
    }

    async fn judge(&self, answer: Response) -> Delivery {
        let status = answer.status();
        if status.is_success() {
            return Delivery::Sent;
        }
        let after = retry_after(&answer, Timestamp::now());
        let why = format!("{status}{}", self.words(answer).await);
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Delivery::Again { after, why },
            _ if status.is_client_error() => Delivery::Dead { why },
            _ => Delivery::Again { after, why },
        }
    }

    /// What the answer says, as far as it fits and can be shown.
    async fn words(&self, mut answer: Response) -> String {
        let mut bytes = Vec::new();
        while bytes.len() < TOLD
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&bytes);
        let secrets = [Some(&self.url), self.bearer.as_ref()].into_iter().flatten();
        let text = secrets.fold(text.into_owned(), |text, secret| text.replace(secret.expose(), "(secret)"));
        let text: String = text.chars().filter(|c| !c.is_control()).take(TOLD).collect();
        if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
    }
}

fn secret_url(table: &mut Table<'_>, place: Place) -> Option<Url> {
    let key = if table.has("url_env") { "url_env" } else { "url_file" };
    let secret = table.needed_secret("url", place)?;
    table.check(key, web_address(secret.expose()))
}

fn client(url: &Url, authorities: Option<Vec<Certificate>>) -> reqwest::Result<Client> {
    let client = Client::builder().redirect(Policy::none()).user_agent(concat!("PiSync/", env!("CARGO_PKG_VERSION")));
    match authorities {
        Some(authorities) => client.tls_certs_only(authorities).build(),
        // Works on a machine without any.
        None if url.scheme() == "http" => client.tls_certs_only([]).build(),
        None => client.build(),
    }
}

fn authorities(path: &str) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let found = Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| "names a file without a certificate in PEM".to_owned())
}

/// An error with what caused it, in one line.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// When the receiver asks to be tried again: seconds, or a date.
fn retry_after(answer: &Response, now: Timestamp) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    let date = || {
        let at = rfc2822::parse(text).ok()?.timestamp();
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    };
    Some(seconds.or_else(date)?.min(LONGEST_WAIT))
}
