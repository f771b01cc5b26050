//! Unexpected members of keys in Redis: each is left out, counted and named.

use crate::unreadable;

/// Counts a member of a key that is left out, and logs it unless it was logged recently.
pub(crate) fn unreadable(key: &'static str, member: &[u8], expected: &'static str) {
    unreadable::leave_out(key, &member.escape_ascii().to_string(), "", expected);
}
