//! What was left out of the reports that were taken, as the answers say it.

use pisync_core::models::{self, Details};
use serde::Serialize;
use utoipa::ToSchema;

/// The most parts that one answer names: a batch cannot make it long.
const NAMED: usize = 1_000;

/// A part of a report that could not be kept. The report was taken without it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ignored {
    /// The report's place in the batch, from 0; 0 for a report alone, and for `/sentAt`.
    index: usize,
    /// JSON pointer (RFC 6901) to the part, from the report on; `/sentAt` is the batch's own.
    pointer: String,
    /// Why it could not be kept, for people.
    detail: String,
}

impl Ignored {
    /// A part of the report at `index`.
    pub(super) fn new(index: usize, ignored: models::Ignored) -> Self {
        Self { index, pointer: ignored.pointer.into_owned(), detail: ignored.detail.into_owned() }
    }

    /// The member of the report that it is, or is in.
    pub(super) fn member(&self) -> &'static str {
        let member = self.pointer.split('/').nth(1);
        let mut known = Details::NAMES.into_iter().chain(["sentAt"]);
        known.find(|name| Some(*name) == member).unwrap_or("more")
    }

    /// These, as many as an answer names, the last of which says how many more there are.
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
