//! When what one process has taken on may be taken by another: by the server's clock alone.

use std::time::Duration;

use bson::{Document, doc};

/// A lease that ends further ahead than so many leases was never given: a clock was wrong, or a person
/// wrote it.
const LEASES: u32 = 10;

/// Returns the expression that is true if the lease in `field` (`$until`, say) is over, or is none.
///
/// Leases are of the length `lease`, or a few times that in other processes.
pub(super) fn is_over(field: &str, lease: Duration) -> Document {
    doc! { "$or": [
        { "$lte": [field, "$$NOW"] },
        { "$gt": [field, ahead(lease.saturating_mul(LEASES))] },
        { "$not": is_date(field) },
    ] }
}

/// Returns the expression of a time so far ahead of the server's clock.
pub(super) fn ahead(by: Duration) -> Document {
    doc! { "$add": ["$$NOW", millis(by)] }
}

/// Returns the expression that is true if there is a date in a field.
pub(super) fn is_date(field: &str) -> Document {
    doc! { "$eq": [{ "$type": field }, "date"] }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
