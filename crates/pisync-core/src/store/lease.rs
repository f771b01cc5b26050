//! Leases on the server's clock: when one process may take over the work of another.

use std::time::Duration;

use bson::{Document, doc};

/// A lease that ends more than this many leases ahead is invalid: a clock was wrong, or a person wrote it.
const LEASES: u32 = 10;

/// Returns an expression that is true if the lease in `field` (such as `$until`) is over or invalid.
///
/// Leases are of the length `lease`, or a few times that in other processes.
pub(super) fn is_over(field: &str, lease: Duration) -> Document {
    doc! { "$or": [
        { "$lte": [field, "$$NOW"] },
        { "$gt": [field, ahead(lease.saturating_mul(LEASES))] },
        { "$not": is_date(field) },
    ] }
}

/// Returns an expression of a time ahead of the server's clock.
pub(super) fn ahead(by: Duration) -> Document {
    doc! { "$add": ["$$NOW", millis(by)] }
}

/// Returns an expression that is true if a field holds a date.
pub(super) fn is_date(field: &str) -> Document {
    doc! { "$eq": [{ "$type": field }, "date"] }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
