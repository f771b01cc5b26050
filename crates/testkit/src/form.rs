//! Forms as browsers send them.

use reqwest::{RequestBuilder, Url};

/// The members of a form or a query, encoded.
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
