//! The parts left out of accepted reports, as the answers list them.

use pisync_core::models::{self, Details};
use serde::Serialize;
use utoipa::ToSchema;

/// Maximum number of parts in one answer, which bounds the answer's length.
const NAMED: usize = 1_000;

/// A part of a report that could not be stored. The report was accepted without it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ignored {
    /// Index of the report in the batch, from 0; 0 for a single report, and for `/sentAt`.
    index: usize,
    /// JSON pointer (RFC 6901) to the part, from the report on; `/sentAt` belongs to the batch.
    pointer: String,
    /// Reason for people.
    detail: String,
}

impl Ignored {
    /// Returns a part of the report at `index`.
    pub(super) fn new(index: usize, ignored: models::Ignored) -> Self {
        Self { index, pointer: ignored.pointer.into_owned(), detail: ignored.detail.into_owned() }
    }

    /// Returns the top-level member of the report that contains the part.
    pub(super) fn member(&self) -> &'static str {
        let member = self.pointer.split('/').nth(1);
        let mut known = Details::NAMES.into_iter().chain(["sentAt"]);
        known.find(|name| Some(*name) == member).unwrap_or("more")
    }

    /// Returns at most [`NAMED`] parts; the last one counts the rest.
    pub(super) fn bounded(mut all: Vec<Self>) -> Vec<Self> {
        let more = all.len().saturating_sub(NAMED);
        if more > 0 {
            all.truncate(NAMED);
            if let Some(last) = all.last_mut() {
                last.pointer = String::new();
                last.detail = format!("{} more parts of this and later reports were left out", more + 1);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(index: usize, pointer: &'static str) -> Ignored {
        Ignored::new(index, models::Ignored { pointer: pointer.into(), detail: "why".into() })
    }

    #[test]
    fn an_answer_names_so_many_and_counts_the_rest() {
        let all = |count| (0..count).map(|index| ignored(index, "/labels/a")).collect::<Vec<_>>();
        assert_eq!(Ignored::bounded(all(1_000)).last().unwrap().pointer, "/labels/a");
        let bounded = Ignored::bounded(all(5_000));
        let last = bounded.last().unwrap();
        assert_eq!((bounded.len(), last.index, last.pointer.as_str()), (1_000, 999, ""));
        assert!(last.detail.starts_with("4001 more"), "{}", last.detail);
    }

    #[test]
    fn members_are_few() {
        for (pointer, member) in [
            ("/labels", "labels"),
            ("/labels/a~1b", "labels"),
            ("/error/message", "error"),
            ("/reportId", "reportId"),
            ("/sentAt", "sentAt"),
            ("", "more"),
        ] {
            assert_eq!(ignored(0, pointer).member(), member);
        }
    }
}
