//! What the values of a file may be: each is read from a text or a number, and no error repeats it.

use std::{fmt, time::Duration};

use jiff::SignedDuration;
use pisync_core::settings;
use reqwest::Url;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// The longest time that can be set, in seconds: a year.
pub(crate) const YEAR: u64 = 366 * 24 * 3_600;

/// The largest count that can be set.
const MOST: f64 = 1e12;

/// A text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

/// Texts, or one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "must be a list of texts")]
pub(crate) enum Texts {
    One(Text),
    Many(Vec<Text>),
}

/// A length of time from so many seconds to so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length<const FROM: u64, const TO: u64>(pub(crate) Duration);

/// A port of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port(pub(crate) u16);

/// An address of the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebAddress(pub(crate) Url);

/// A value as it stands in the file.
pub(crate) enum Raw<'a> {
    Text(&'a str),
    Number(f64),
}

/// Reads a value by `parse`, which returns `None` for what is not `expected`.
pub(crate) fn value<'de, D, T, P>(deserializer: D, expected: impl fmt::Display, parse: P) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    P: FnOnce(Raw<'_>) -> Option<T>,
{
    deserializer.deserialize_any(Reader { expected: expected.to_string(), parse })
}

/// Reads a text by `parse`.
pub(crate) fn text<'de, D, T>(
    deserializer: D,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    let of_text = |raw: Raw<'_>| if let Raw::Text(text) = raw { parse(text) } else { None };
    value(deserializer, expected, of_text)
}

fn numeric<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &str,
    fits: impl FnOnce(f64) -> bool,
) -> Result<f64, D::Error> {
    let of_number = |raw: Raw<'_>| if let Raw::Number(number) = raw { Some(number) } else { None };
    value(deserializer, expected, |raw| of_number(raw).filter(|number| fits(*number)))
}

/// Reads a number of 0 and more.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    numeric(deserializer, "a number, 0 to 1e12", |number| (0.0..=MOST).contains(&number))
}

/// Reads a share of a whole.
pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    numeric(deserializer, "a share, 0 to 1", |share| (0.0..=1.0).contains(&share))
}

/// Reads a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that is not negative")]
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let fits = |count: f64| count.fract() == 0.0 && (0.0..=MOST).contains(&count);
    numeric(deserializer, "a whole number, 0 to 1e12", fits).map(|count| count as u64)
}

/// Reads a length of time that is not nothing.
pub(crate) fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let Length::<0, YEAR>(length) = Length::deserialize(deserializer)?;
    let length = SignedDuration::try_from(length).map_err(D::Error::custom)?;
    let is_something = length > SignedDuration::ZERO;
    is_something.then_some(length).ok_or_else(|| D::Error::custom("must be longer than nothing and at most a year"))
}

/// Returns an address of the web.
pub(crate) fn web_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| format!("must be {ADDRESS}"))
}

const ADDRESS: &str = "an address such as https://example.org/alerts";

impl Texts {
    /// Returns each.
    pub(crate) fn each(self) -> Vec<String> {
        match self {
            Self::One(Text(one)) => vec![one],
            Self::Many(many) => many.into_iter().map(|Text(text)| text).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let not_empty = |text: &str| (!text.trim().is_empty()).then(|| Self(text.to_owned()));
        text(deserializer, "a text in quotes that is not empty", not_empty)
    }
}

impl<'de, const FROM: u64, const TO: u64> Deserialize<'de> for Length<FROM, TO> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a length of time such as \"90s\", \"15m\" or \"24h\"";
        let length = |text: &str| Duration::try_from(settings::duration(text).ok()?).ok();
        let length = text(deserializer, expected, length)?;
        let fits = (Duration::from_secs(FROM)..=Duration::from_secs(TO)).contains(&length);
        fits.then_some(Self(length)).ok_or_else(|| D::Error::custom(format!("must be from {FROM} to {TO} s")))
    }
}

impl<'de> Deserialize<'de> for Port {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the limits of a port")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fits = |port: f64| port.fract() == 0.0 && (1.0..=65_535.0).contains(&port);
        numeric(deserializer, "a port, 1 to 65535", fits).map(|port| Self(port as u16))
    }
}

impl<'de> Deserialize<'de> for WebAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, ADDRESS, |text| web_address(text).ok().map(Self))
    }
}

struct Reader<P> {
    expected: String,
    parse: P,
}

impl<T, P: FnOnce(Raw<'_>) -> Option<T>> Reader<P> {
    fn read<E: Error>(self, raw: Raw<'_>) -> Result<T, E> {
        (self.parse)(raw).ok_or_else(|| E::invalid_value(Unexpected::Other("a value"), &self.expected.as_str()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "larger numbers are out of bounds")]
impl<T, P: FnOnce(Raw<'_>) -> Option<T>> Visitor<'_> for Reader<P> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.read(Raw::Text(text))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.read(Raw::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.read(Raw::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.read(Raw::Number(number as f64))
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
    fn numbers_ports_and_addresses_are_what_they_say() {
        assert_eq!((numbers("0.5"), numbers("2"), numbers("1")[1]), ([Some(0.5); 2], [Some(2.0), None], Some(1.0)));
        for wrong in ["-1", "nan", "inf", "\"1\"", "1e13"] {
            assert_eq!(numbers(wrong), [None; 2], "{wrong}");
        }
        assert_eq!(parsed::<Port>("587"), Ok(Port(587)));
        assert!(parsed::<Port>("0").is_err() && parsed::<Port>("65536").is_err() && parsed::<Port>("1.5").is_err());
        assert!(parsed::<WebAddress>("\"https://example.org/x\"").is_ok());
        assert!(parsed::<WebAddress>("\"example.org\"").is_err() && parsed::<WebAddress>("\"file:///x\"").is_err());
    }

    #[test]
    fn no_error_repeats_the_value() {
        for wrong in ["\"hunter2\"", "[\"hunter2\"]", "{ a = \"hunter2\" }"] {
            let said = [parsed::<Port>(wrong).err(), parsed::<WebAddress>(wrong).err()];
            assert!(
                said.iter().flatten().all(|said| said.contains("expected a") && !said.contains("hunter2")),
                "{said:?}"
            );
        }
    }
}
