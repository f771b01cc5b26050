//! Requests of devices and browsers.

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response, Url, redirect::Policy};
use serde_json::{Value, json};

/// Returns a report as a device sends it; a failed one has one error.
pub fn body(device_id: &str, timestamp: Timestamp, failed: bool) -> Value {
    json!({
        "deviceId": device_id,
        "timestamp": format!("{timestamp:.3}"),
        "totalFilesSynced": 8,
        "totalErrors": i32::from(failed),
        "internetSpeed": 97.540_860_556_406_43,
    })
}

/// Returns a client that follows no redirects and keeps no cookies.
pub fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().expect("a client")
}

/// Returns a header of an answer; an empty text if it is missing.
pub fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// Returns the members of a form or a query, encoded.
pub fn urlencoded(members: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params("http://localhost/", members).expect("a URL");
    url.query().unwrap_or_default().to_owned()
}

/// A request that sends a form.
pub trait Form {
    /// Sets the body and its media type.
    #[must_use]
    fn urlencoded(self, members: &[(&str, &str)]) -> Self;
}

impl Form for RequestBuilder {
    fn urlencoded(self, members: &[(&str, &str)]) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(urlencoded(members))
    }
}
