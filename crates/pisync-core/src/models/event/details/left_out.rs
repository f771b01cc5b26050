//! The parts of an accepted report that were left out.

use std::borrow::Cow;

/// The most left-out parts of one report that are named.
const NAMED: usize = 10;

/// A part of a report that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// JSON pointer (RFC 6901) to it within the report.
    pub pointer: Cow<'static, str>,
    /// The reason, for people.
    pub detail: Cow<'static, str>,
}

/// The left-out parts of one report. It is bounded, for any number of parts.
#[derive(Debug, Default)]
pub(in crate::models) struct LeftOut {
    named: Vec<Ignored>,
    more: usize,
}

impl LeftOut {
    pub(in crate::models) fn name(
        &mut self,
        pointer: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) {
        if self.named.len() < NAMED {
            self.named.push(Ignored { pointer: pointer.into(), detail: detail.into() });
        } else {
            self.more += 1;
        }
    }

    pub(in crate::models) fn into_ignored(mut self) -> Vec<Ignored> {
        if self.more > 0 {
            let detail = format!("{} more parts of this report were left out", self.more);
            self.named.push(Ignored { pointer: "".into(), detail: detail.into() });
        }
        self.named
    }
}

#[cfg(test)]
mod tests {
    use super::{super::labels::label_pointer, *};

    #[test]
    fn what_was_left_out_is_said_in_few_words_however_much_it_is() {
        let mut left_out = LeftOut::default();
        for number in 0..10_000 {
            left_out.name(label_pointer(&format!("{number}{}", "~/".repeat(1_000))), "no name");
        }
        let ignored = left_out.into_ignored();
        assert_eq!((ignored.len(), ignored[10].detail.as_ref()), (11, "9990 more parts of this report were left out"));
        assert!(ignored[0].pointer.len() < 120 && ignored[0].pointer.starts_with("/labels/0~0~1"), "{ignored:?}");
    }
}
