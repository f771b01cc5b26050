//! A silence: matchers for alerts, and how long their notifications are suppressed.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use regex::{Regex, RegexBuilder};

use crate::models::AlertId;

/// The longest value of a matcher, in characters.
const LONGEST: usize = 256;

/// The labels of alerts themselves.
const OF_ALERTS: [&str; 2] = [super::ALERTNAME, super::DEVICE_ID];

/// The most memory of a matcher's pattern, in bytes.
const PATTERN_BYTES: usize = 1 << 18;

/// A silence suppresses notifications of matching alerts; the alerts themselves continue.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its id.
    pub id: SilenceId,
    /// The matchers; all of them have to match.
    pub matchers: Vec<Matcher>,
    /// Start of the silence.
    pub starts_at: Timestamp,
    /// End of the silence.
    pub end: SilenceEnd,
    /// The creator.
    pub by: String,
    /// The reason.
    pub comment: String,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// The end of a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceEnd {
    /// At this time.
    At(Timestamp),
    /// When no open alert matches any more, once one did.
    Resolved {
        /// Whether an alert has matched.
        has_matched: bool,
    },
}

impl SilenceEnd {
    /// Returns the end at this time; without one, when its alerts are resolved.
    pub fn at_or_resolved(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Resolved { has_matched: false }, Self::At)
    }

    /// Returns the time of the end, if it is known.
    pub fn time(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Resolved { .. } => None,
        }
    }
}

/// The id of a silence, in the same form as that of an alert.
pub type SilenceId = AlertId;

/// A condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    label: String,
    kind: MatcherKind,
    value: String,
    pattern: Option<Regex>,
}

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatcherKind {
    /// `label=value`: the label is equal to the value.
    Exact,
    /// `label^=value`: the label begins with the value.
    Prefix,
    /// `label=~value`: the whole label matches the regular expression.
    Pattern,
}

/// The reason that a text is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMatcher {
    /// There is no operator, or nothing before it.
    #[error("a matcher is label=value, label^=beginning or label=~regular-expression")]
    Form,
    /// Neither alerts nor devices can have such a label.
    #[error("there can be no label {0}")]
    Label(String),
    /// The value is too long or empty.
    #[error("the value of a matcher has 1 to {LONGEST} characters")]
    Length,
    /// The regular expression is invalid or too large.
    #[error("the regular expression cannot be used: {0}")]
    Pattern(String),
}

impl Silence {
    /// Returns whether it silences an alert with these labels, at a time.
    pub fn holds_back(&self, labels: &BTreeMap<String, String>, now: Timestamp) -> bool {
        self.is_active(now) && self.matches(labels)
    }

    /// Returns whether it is active.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.starts_at <= now && !matches!(self.end, SilenceEnd::At(end) if end <= now)
    }

    /// Returns whether all matchers match these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }

    /// Returns its end after an evaluation of all alerts, given whether it `matches_now` an open one. `None` if the end
    /// does not change.
    pub fn after_look(&self, matches_now: bool, now: Timestamp) -> Option<SilenceEnd> {
        match self.end {
            SilenceEnd::Resolved { has_matched: false } if matches_now && self.is_active(now) => {
                Some(SilenceEnd::Resolved { has_matched: true })
            }
            SilenceEnd::Resolved { has_matched: true } if !matches_now => Some(SilenceEnd::At(now)),
            SilenceEnd::Resolved { .. } | SilenceEnd::At(_) => None,
        }
    }
}

impl Matcher {
    /// Returns a condition on a label of alerts or of devices.
    pub fn new(label: &str, kind: MatcherKind, value: &str) -> Result<Self, InvalidMatcher> {
        if !OF_ALERTS.contains(&label) && crate::models::check_name(label).is_err() {
            return Err(InvalidMatcher::Label(label.chars().take(LONGEST).collect()));
        }
        if value.is_empty() || value.chars().count() > LONGEST {
            return Err(InvalidMatcher::Length);
        }
        let pattern = match kind {
            MatcherKind::Exact | MatcherKind::Prefix => None,
            MatcherKind::Pattern => Some(pattern(value)?),
        };
        Ok(Self { label: label.into(), kind, value: value.into(), pattern })
    }

    /// Returns the label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns whether the label is one of devices, and not of alerts.
    pub fn is_of_devices(&self) -> bool {
        !OF_ALERTS.contains(&self.label())
    }

    /// Returns the kind of comparison.
    pub fn kind(&self) -> MatcherKind {
        self.kind
    }

    /// Returns the value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns whether these labels match.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.label).is_some_and(|label| self.fits(label))
    }

    /// Returns whether this value of the label matches.
    pub fn fits(&self, label: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.is_match(label),
            None if self.kind == MatcherKind::Prefix => label.starts_with(&self.value),
            None => label == self.value,
        }
    }
}

/// Compiles a pattern. It is anchored at both ends, as in Alertmanager, and matches in linear time.
fn pattern(value: &str) -> Result<Regex, InvalidMatcher> {
    let compile = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES).build();
    // Alone first: an unbalanced bracket would escape the anchored group.
    compile(value).and_then(|_| compile(&format!("^(?:{value})$"))).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => InvalidMatcher::Pattern("it is too large".into()),
        error => InvalidMatcher::Pattern(error.to_string().lines().last().unwrap_or_default().trim().to_owned()),
    })
}

impl MatcherKind {
    /// Returns the operator between label and value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "=",
            Self::Prefix => "^=",
            Self::Pattern => "=~",
        }
    }

    /// Returns the kind of that operator.
    pub fn parse(operator: &str) -> Option<Self> {
        [Self::Exact, Self::Prefix, Self::Pattern].into_iter().find(|known| known.as_str() == operator)
    }
}

impl FromStr for Matcher {
    type Err = InvalidMatcher;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let equals = text.find('=').ok_or(InvalidMatcher::Form)?;
        let (label, value) = (&text[..equals], &text[equals + 1..]);
        match (label.strip_suffix('^'), value.strip_prefix('~')) {
            (Some(label), _) => Self::new(label, MatcherKind::Prefix, value),
            (None, Some(value)) => Self::new(label, MatcherKind::Pattern, value),
            (None, None) if label.is_empty() => Err(InvalidMatcher::Form),
            (None, None) => Self::new(label, MatcherKind::Exact, value),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.label, self.kind.as_str(), self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.kind, &self.value) == (&other.label, other.kind, &other.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(matcher: &str, device_id: &str) -> bool {
        let labels = [("alertname", "DeviceSyncFailing"), ("deviceId", device_id), ("region", "nord")];
        matcher.parse::<Matcher>().unwrap().matches(&labels.map(|(name, value)| (name.into(), value.into())).into())
    }

    #[test]
    fn a_matcher_compares_the_whole_label_its_beginning_or_by_a_pattern() {
        for (matcher, device_id, fits) in [
            ("deviceId=a", "a", true),
            ("deviceId=a", "ab", false),
            ("deviceId^=a", "ab", true),
            ("deviceId^=b", "ab", false),
            ("deviceId=~a.|x", "ab", true),
            ("deviceId=~a.|x", "xy", false),
            ("deviceId=~a", "ab", false),
            ("deviceId=a=~b", "a=~b", true),
            ("alertname=DeviceSyncFailing", "whatever", true),
            ("alertname=DeviceSilent", "whatever", false),
            ("region=nord", "a", true),
            ("region^=nor", "a", true),
            ("region=sud", "a", false),
            ("room=7", "a", false),
        ] {
            assert_eq!(matches(matcher, device_id), fits, "{matcher} {device_id}");
            assert_eq!(matcher.parse::<Matcher>().unwrap().to_string(), matcher);
        }
    }

    #[test]
    fn what_is_no_matcher_says_why() {
        for bad in [
            "",
            "deviceId",
            "=a",
            "deviceId=",
            "deviceId=~(",
            "cause=content",
            "1room=7",
            "deviceId=~a)|(?:b",
            "deviceId=~(?:a{1000}){1000}",
        ] {
            assert!(bad.parse::<Matcher>().is_err(), "{bad}");
        }
        assert!(format!("deviceId={}", "x".repeat(257)).parse::<Matcher>().is_err());
    }

    #[test]
    fn a_silence_is_in_force_from_its_start_to_its_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let silence = |end| Silence {
            id: AlertId::from_bytes([1; 12]),
            matchers: vec!["deviceId^=a".parse().unwrap()],
            starts_at: at(10),
            end,
            by: "me".into(),
            comment: "moving".into(),
            created_at: at(0),
        };
        let timed = silence(SilenceEnd::At(at(20)));
        let in_force: Vec<_> = [9, 10, 19, 20].map(|second| timed.is_active(at(second))).into();
        assert_eq!(in_force, [false, true, true, false]);
        assert_eq!(timed.after_look(false, at(15)), None);

        let open = silence(SilenceEnd::Resolved { has_matched: false });
        assert!(open.is_active(at(1_000_000)));
        assert_eq!(open.after_look(false, at(30)), None, "it waits for its alert");
        assert_eq!(open.after_look(true, at(5)), None, "it has not begun");
        let matched = SilenceEnd::Resolved { has_matched: true };
        assert_eq!(open.after_look(true, at(30)), Some(matched));
        assert_eq!(silence(matched).after_look(true, at(40)), None);
        assert_eq!(silence(matched).after_look(false, at(50)), Some(SilenceEnd::At(at(50))));
    }
}
