//! A running `ingest-api`, and requests to it.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::{clock::wait_until, process::Service};

/// How long a read that is computed may take on a busy machine.
const COMPUTED_TIMEOUT: Duration = Duration::from_mins(1);

/// The time between two tries.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A running `ingest-api`.
#[derive(Debug)]
pub struct Api {
    /// The process.
    pub service: Service,
    /// Its address, such as `http://127.0.0.1:40123`.
    pub url: String,
    client: reqwest::Client,
}

impl Api {
    /// Returns a running API by its address without a scheme.
    pub(super) fn new(service: Service, address: &str) -> Self {
        Self { service, url: format!("http://{address}"), client: reqwest::Client::new() }
    }

    /// Posts a report.
    pub async fn post(&self, body: &Value) -> Response {
        let request = self.client.post(format!("{}/api/sync-event", self.url)).json(body);
        request.send().await.expect("an answer")
    }

    /// Posts reports, one after the other. Panics unless each is accepted.
    pub async fn accepts(&self, bodies: &[Value]) {
        for body in bodies {
            let answer = self.post(body).await;
            let status = answer.status();
            assert_eq!(status, StatusCode::ACCEPTED, "{body}: {}", answer.text().await.unwrap_or_default());
        }
    }

    /// Sends a body to a path. Returns the status, and the JSON of the answer or null.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let method = method.parse().expect("a method");
        let request = self.client.request(method, format!("{}{path}", self.url)).json(body);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Gets a path. Returns the status and the JSON of the answer.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    /// Requests a path and asks again after a 503, as a client should. Reads that are computed answer so on
    /// a busy machine.
    ///
    /// Returns the last answer after a minute.
    pub async fn get_computed(&self, path: &str) -> (StatusCode, Value) {
        let mut answer = self.get(path).await;
        wait_until(COMPUTED_TIMEOUT, RETRY_INTERVAL, async || {
            if answer.0 == StatusCode::SERVICE_UNAVAILABLE {
                answer = self.get(path).await;
            }
            answer.0 != StatusCode::SERVICE_UNAVAILABLE
        })
        .await;
        answer
    }
}
