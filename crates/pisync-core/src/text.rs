//! Numbers and times as text, the same in every answer, page, message and file.

use jiff::Timestamp;

/// Returns a time as RFC 3339 in UTC, with exactly three digits of a second, as JavaScript writes it.
pub fn rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Returns a number with its digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{202f}")
}
