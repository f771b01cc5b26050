//! The types of values in a file. No error repeats the value.

use std::time::Duration;

use jiff::{
    SignedDuration,
    tz::{TimeZone, TimeZoneDatabase},
};
use pisync_core::settings;
use reqwest::Url;
use serde::{Deserialize, Deserializer, de::Error};

/// The maximum duration in a setting, in seconds: a year.
pub(crate) const YEAR: u64 = 366 * 24 * 3_600;

/// The maximum number in a setting.
const MOST: f64 = 1e12;

/// A text that is not empty.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Text(pub(crate) String);

/// Texts, or one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "must be a list of texts")]
pub(crate) enum Texts {
    One(Text),
    Many(Vec<Text>),
}

/// A duration between two limits in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Length<const FROM: u64, const TO: u64>(pub(crate) Duration);

/// An address of the web.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WebAddress(pub(crate) Url);

/// Parses a number of 0 and more.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    numeric(deserializer, "a number, 0 to 1e12", |number| (0.0..=MOST).contains(&number))
}

/// Parses a share of a whole, 0 to 1.
pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    numeric(deserializer, "a share, 0 to 1", |share| (0.0..=1.0).contains(&share))
}

/// Parses a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that is not negative")]
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let fits = |count: f64| count.fract() == 0.0 && (0.0..=MOST).contains(&count);
    numeric(deserializer, "a whole number, 0 to 1e12", fits).map(|count| count as u64)
}

/// Parses a number that fits; the error names the `expected` ones.
pub(crate) fn numeric<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
    fits: impl FnOnce(f64) -> bool,
) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    fits(number).then_some(number).ok_or_else(|| D::Error::custom(format_args!("must be {expected}")))
}

/// Parses a text by `parse`, whose error says the valid form.
pub(crate) fn parsed<'de, T, D: Deserializer<'de>, E: std::fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    parse(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

/// Parses a time zone by the program's own database, which images lack and machines have in several versions.
pub(crate) fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TimeZone>, D::Error> {
    let what = "must be \"UTC\" or a time zone such as \"Africa/Nairobi\"";
    parsed(deserializer, |name| TimeZoneDatabase::bundled().get(name).map_err(|_| what))
}

/// Parses a duration longer than zero.
pub(crate) fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let Length::<0, YEAR>(length) = Length::deserialize(deserializer)?;
    let length = SignedDuration::try_from(length).map_err(D::Error::custom)?;
    let is_something = length > SignedDuration::ZERO;
    is_something.then_some(length).ok_or_else(|| D::Error::custom("must be longer than zero and at most a year"))
}

/// Parses an address of the web.
pub(crate) fn web_address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or("must be an address such as https://example.org/alerts")
}

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() { Err("must be a text in quotes that is not empty") } else { Ok(Self(text)) }
    }
}

impl Texts {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(Text(one)) => vec![one],
            Self::Many(many) => many.into_iter().map(|Text(text)| text).collect(),
        }
    }
}

impl<const FROM: u64, const TO: u64> TryFrom<String> for Length<FROM, TO> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let length = settings::duration(&text).ok().and_then(|length| Duration::try_from(length).ok());
        let length = length.ok_or("must be a length of time such as \"90s\", \"15m\" or \"24h\"")?;
        let fits = (Duration::from_secs(FROM)..=Duration::from_secs(TO)).contains(&length);
        fits.then_some(Self(length)).ok_or_else(|| format!("must be from {FROM} to {TO} s"))
    }
}

impl TryFrom<String> for WebAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        web_address(&text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use toml::de::ValueDeserializer;

    use super::*;

    fn parsed<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
        T::deserialize(ValueDeserializer::parse(text).unwrap()).map_err(|error| error.message().to_owned())
    }

    fn numbers(text: &str) -> [Option<f64>; 2] {
        let value = || ValueDeserializer::parse(text).unwrap();
        [number(value()).ok(), share(value()).ok()]
    }

    #[test]
    fn lengths_of_time_have_a_unit_and_stay_within_their_bounds() {
        let seconds = |text| parsed::<Length<0, YEAR>>(text).map(|length| length.0.as_secs());
        assert_eq!((seconds("\"15m\""), seconds("\"0s\""), seconds("\"1h 30m\"")), (Ok(900), Ok(0), Ok(5_400)));
        for wrong in ["15", "\"15\"", "\"-1m\"", "\"soon\"", "\"8785h\"", "\"9000000000000h\""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parsed::<Length<1, 20>>("\"21s\"").unwrap_err(), "must be from 1 to 20 s");
    }

    #[test]
    fn numbers_and_addresses_are_what_they_say() {
        assert_eq!((numbers("0.5"), numbers("2"), numbers("1")[1]), ([Some(0.5); 2], [Some(2.0), None], Some(1.0)));
        for wrong in ["-1", "nan", "inf", "\"1\"", "1e13"] {
            assert_eq!(numbers(wrong), [None; 2], "{wrong}");
        }
        assert!(parsed::<WebAddress>("\"https://example.org/x\"").is_ok());
        assert!(parsed::<WebAddress>("\"example.org\"").is_err() && parsed::<WebAddress>("\"file:///x\"").is_err());
    }
}
