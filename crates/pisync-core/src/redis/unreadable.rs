//! What a person has put into Redis and is not as expected: it is left out, counted and named.

use crate::unreadable;

/// Counts a member of a key that is left out, and names it in the log unless that was done lately.
pub(crate) fn unreadable(key: &'static str, member: &[u8], expected: &'static str) {
    unreadable::leave_out(key, &member.escape_ascii().to_string(), "", expected);
}
