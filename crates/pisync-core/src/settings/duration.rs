//! Durations, in the same forms for every setting and file.

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Parses numbers with units: `36h`, `1d12h`, `90m`, `45s`, `500ms`. A day is 24 hours.
///
/// Fails with the valid forms if it is invalid or negative. Each setting checks its own bounds.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let span: Option<Span> = text.trim().parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let length = length.filter(|length| !length.is_negative());
    length.ok_or_else(|| "a number with its unit d, h, m or s, such as 1d, 36h, 90m or 45s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_what_has_none_is_refused_with_the_forms() {
        for (text, seconds) in [
            ("1d", 86_400),
            ("36h", 129_600),
            ("90m", 5_400),
            (" 45s", 45),
            ("1d12h", 129_600),
            ("1h 30m", 5_400),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        for text in ["", "1", "d", "1mo", "1y", "-1h", "1h1d", "soon", "9223372036854775807d"] {
            assert!(duration(text).unwrap_err().contains("1d, 36h, 90m or 45s"), "{text}");
        }
    }
}
