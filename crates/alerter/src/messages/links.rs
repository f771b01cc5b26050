//! Links to the dashboard and to the runbook.

use pisync_core::models::Alert;
use reqwest::Url;

/// The addresses that are set.
#[derive(Debug, Clone, Default)]
pub struct Links {
    /// The address of the dashboard.
    pub dashboard: Option<Url>,
    /// The address of the runbook.
    pub runbook: Option<Url>,
}

impl Links {
    /// Returns the address of the dashboard.
    pub(crate) fn base(&self) -> Option<&str> {
        self.dashboard.as_ref().map(|url| url.as_str().trim_end_matches('/'))
    }

    /// Returns the section of the runbook on a rule or a summary. Its anchor is the name in lower case, as on
    /// `GitHub`.
    pub(crate) fn runbook(&self, name: &str) -> Option<String> {
        let mut url = self.runbook.clone()?;
        url.set_fragment(Some(&name.to_ascii_lowercase()));
        Some(url.into())
    }

    /// Returns the word for the page of an alert.
    pub(crate) fn word(alert: &Alert) -> &'static str {
        if alert.device_id().is_some() { "device" } else { "fleet" }
    }

    /// Returns the page of an alert's subject: its device, or the fleet.
    pub(crate) fn page(&self, alert: &Alert) -> Option<String> {
        let Some(device_id) = alert.device_id() else { return Some(format!("{}/", self.base()?)) };
        let mut url = self.dashboard.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().push("device");
        url.query_pairs_mut().append_pair("id", device_id.as_str());
        // The only sign of chat markup that form encoding does not escape.
        Some(url.as_str().replace('*', "%2A"))
    }
}
