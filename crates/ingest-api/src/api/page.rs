//! Lists by page and limit, in the envelope of old clients.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::error::ApiError;

/// Maximum number of rows up to the end of a page: each query walks through them.
const DEEPEST: u64 = 10_000;

/// The query, as received.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// From 1, the default; within the first 10,000 rows.
    #[param(value_type = u64, required = false, minimum = 1, maximum = 10_000)]
    page: Option<String>,
    /// 1 to 200; default: 10.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// A page by its number from 1 and its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageOf {
    page: u32,
    pub(super) limit: u32,
}

/// A page in the envelope of old clients.
#[derive(Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    success: bool,
    data: Data<T>,
}

/// The content of a page.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data<T> {
    page: u32,
    limit: u32,
    results: Vec<T>,
    total_pages: u64,
    total_results: u64,
}

impl PageQuery {
    /// Parses the query: page 1 and 10 results by default. Fails if the limit is over 200 or the page too deep;
    /// the error names `by_cursor`, the route for deeper rows.
    pub(super) fn parse(&self, by_cursor: &str) -> Result<PageOf, ApiError> {
        let page = number(self.page.as_deref(), 1, 1..=u32::MAX)
            .ok_or_else(|| ApiError::invalid("/page", "must be an integer from 1"))?;
        let limit = number(self.limit.as_deref(), 10, 1..=200)
            .ok_or_else(|| ApiError::invalid("/limit", "must be an integer from 1 to 200"))?;
        if u64::from(page) * u64::from(limit) > DEEPEST {
            let most = DEEPEST / u64::from(limit);
            let detail =
                format!("must be at most {most} with this limit: for deeper rows, follow the cursors of {by_cursor}");
            return Err(ApiError::invalid("/page", detail));
        }
        Ok(PageOf { page, limit })
    }
}

fn number(text: Option<&str>, default: u32, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    text.map_or(Some(default), |text| text.parse().ok()).filter(|number| range.contains(number))
}

impl PageOf {
    /// Returns the number of results before the page.
    pub(super) fn skip(self) -> u64 {
        u64::from(self.page - 1) * u64::from(self.limit)
    }

    /// Returns the total number of results, if the list ends on this page.
    pub(super) fn total_at_end(self, results: usize) -> Option<u64> {
        let results = results as u64;
        let ends_here = results < u64::from(self.limit) && (results > 0 || self.page == 1);
        ends_here.then(|| self.skip() + results)
    }

    /// Returns the answer with these results, of `total`.
    pub(super) fn answer<T: Serialize>(self, results: Vec<T>, total: u64) -> HttpResponse {
        HttpResponse::Ok().json(Envelope {
            success: true,
            data: Data {
                page: self.page,
                limit: self.limit,
                results,
                total_pages: total.div_ceil(u64::from(self.limit)),
                total_results: total,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_full_tells_how_many_there_are_in_all() {
        let page = |page| PageOf { page, limit: 10 };
        assert_eq!(page(1).total_at_end(0), Some(0));
        assert_eq!(page(3).total_at_end(4), Some(24));
        assert_eq!(page(3).total_at_end(10), None, "more may follow");
        assert_eq!(page(3).total_at_end(0), None, "the list ends somewhere before");
    }
}
