//! Lists by page and limit, in the envelope that old clients know.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::error::ApiError;

/// The most rows that a page lies deep: what is before it is walked through each time.
const DEEPEST: u64 = 10_000;

/// The query of a list, as it came.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// From 1, which is the default; within the first 10,000 rows.
    #[param(value_type = u64, required = false, minimum = 1, maximum = 10_000)]
    page: Option<String>,
    /// 1 to 200; 10 unless set.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// A page by its number from 1 and its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageOf {
    page: u32,
    pub(super) limit: u32,
}

/// A page, in the form that old clients know.
#[derive(Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    success: bool,
    data: Data<T>,
}

/// What is on a page.
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
    /// Page 1 and 10 results unless asked otherwise; at most 200, and not too deep: `by_cursor` is
    /// the route that goes on from there.
    pub(super) fn parse(&self, by_cursor: &str) -> Result<PageOf, ApiError> {
        let page = number(self.page.as_deref(), 1, 1..=u32::MAX)
            .ok_or_else(|| ApiError::invalid("/page", "must be an integer from 1"))?;
        let limit = number(self.limit.as_deref(), 10, 1..=200)
            .ok_or_else(|| ApiError::invalid("/limit", "must be an integer from 1 to 200"))?;
        if u64::from(page) * u64::from(limit) > DEEPEST {
            let most = DEEPEST / u64::from(limit);
            let detail = format!(
                "must be at most {most} with this limit: for what lies deeper, follow the cursors of {by_cursor}"
            );
            return Err(ApiError::invalid("/page", detail));
        }
        Ok(PageOf { page, limit })
    }
}

fn number(text: Option<&str>, default: u32, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    text.map_or(Some(default), |text| text.parse().ok()).filter(|number| range.contains(number))
}

impl PageOf {
    /// How many results lie before the page.
    pub(super) fn skip(self) -> u64 {
        u64::from(self.page - 1) * u64::from(self.limit)
    }

    /// How many results there are in all, where that can be told from how many this page has: the
    /// list ends on it.
    pub(super) fn total_at_end(self, results: usize) -> Option<u64> {
        let results = results as u64;
        let ends_here = results < u64::from(self.limit) && (results > 0 || self.page == 1);
        ends_here.then(|| self.skip() + results)
    }

    /// The answer with these results, of so many.
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
