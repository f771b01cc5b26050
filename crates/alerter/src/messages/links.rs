//! Links to the dashboard.

use pisync_core::models::Alert;
use reqwest::Url;

/// The address of the dashboard, if it is set.
#[derive(Debug, Clone, Default)]
pub struct Links(Option<Url>);

impl Links {
    /// Returns links to pages under this address.
    pub fn to(external_url: Url) -> Self {
        Self(Some(external_url))
    }

    /// Returns the address itself.
    pub(crate) fn base(&self) -> Option<&str> {
        self.0.as_ref().map(|url| url.as_str().trim_end_matches('/'))
    }

    /// Returns the word for the page of an alert.
    pub(crate) fn word(alert: &Alert) -> &'static str {
        if alert.device_id().is_some() { "device" } else { "fleet" }
    }

    /// Returns the page of an alert's subject: its device, or the fleet.
    pub(crate) fn page(&self, alert: &Alert) -> Option<String> {
        let Some(device_id) = alert.device_id() else { return Some(format!("{}/", self.base()?)) };
        let mut url = self.0.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().push("device");
        url.query_pairs_mut().append_pair("id", device_id.as_str());
        // The only sign of chat markup that form encoding does not escape.
        Some(url.as_str().replace('*', "%2A"))
    }
}
