//! The query of a device list, of the API and of the page.

use pisync_core::models::{DeviceStatus, schema::moment};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query;
use crate::{
    fleet::{DeviceFilter, Sort},
    http::error::ApiError,
};

/// The query, as received.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct DevicesQuery {
    /// `failing`, `silent`, `clock-suspect` or `ok`; default: all.
    #[param(pattern = "^(failing|silent|clock-suspect|ok)$")]
    status: Option<String>,
    /// Prefix of the device id, case-sensitive.
    q: Option<String>,
    /// Minimum number of failed syncs in a row.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 2_147_483_647)]
    min_failures: Option<String>,
    /// Last seen before this time.
    #[param(schema_with = moment, required = false)]
    seen_before: Option<String>,
    /// Last seen at this time or later.
    #[param(schema_with = moment, required = false)]
    seen_after: Option<String>,
    /// `id`, `failures` (most first) or `seen` (longest ago first); the default depends on the filter.
    #[param(pattern = "^(id|failures|seen)$")]
    sort: Option<String>,
    /// The `nextCursor` of the previous page, for the same query.
    pub(crate) cursor: Option<String>,
    /// 1 to 200; default: 50.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 200)]
    pub(crate) limit: Option<String>,
}

impl DevicesQuery {
    /// Removes empty members: a form sends all its fields.
    pub(crate) fn without_empty(self) -> Self {
        let said = |field: Option<String>| field.filter(|text| !text.is_empty());
        Self {
            status: said(self.status),
            q: said(self.q),
            min_failures: said(self.min_failures),
            seen_before: said(self.seen_before),
            seen_after: said(self.seen_after),
            sort: said(self.sort),
            cursor: said(self.cursor),
            limit: said(self.limit),
        }
    }

    /// Fails if a member is invalid or members conflict ([`DeviceFilter::check`]).
    pub(crate) fn parse(&self) -> Result<DeviceFilter, ApiError> {
        let words = "must be failing, silent, clock-suspect or ok";
        let status = self
            .status
            .as_deref()
            .map(|word| DeviceStatus::parse(word).ok_or_else(|| ApiError::invalid("/status", words)));
        let most = i32::MAX.unsigned_abs();
        let min_failures = query::number("/minFailures", self.min_failures.as_deref(), 1..=most)?;
        let filter = DeviceFilter {
            status: status.transpose()?,
            prefix: self.q.clone(),
            min_failures: min_failures.and_then(|count| i32::try_from(count).ok()),
            seen_before: query::time("/seenBefore", self.seen_before.as_deref())?,
            seen_after: query::time("/seenAfter", self.seen_after.as_deref())?,
            sort: self.sort.as_deref().map(Sort::parse).transpose()?,
        };
        filter.check()?;
        Ok(filter)
    }
}
