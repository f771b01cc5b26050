//! Numbers and dates as people and other programs write them.

use std::fmt;

use bson::{Bson, DateTime, raw::RawBsonRef};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

/// The last whole number up to which a double tells all of them apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The dates that are read: sums with a stored date must never leave what a clock can show.
const DATES: [i64; 2] = [-377_000_000_000_000, 253_000_000_000_000];

/// A whole number of any BSON type: mongosh and Compass write doubles, imports write decimals.
///
/// Digits in a text are no number: the server's own queries would not find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Whole<T = i64>(pub(in crate::store) T);

/// A date that a clock can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Moment(pub(in crate::store) Timestamp);

impl<'de, T: TryFrom<i64>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(Number { is_any_taken: false })?;
        #[expect(clippy::cast_possible_truncation, reason = "it is checked")]
        let whole = (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64);
        let whole = whole.and_then(|whole| T::try_from(whole).ok());
        let expected = format!("a whole number of the type {}", std::any::type_name::<T>());
        whole.map(Self).ok_or_else(|| D::Error::invalid_value(Unexpected::Float(number), &expected.as_str()))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = || D::Error::custom("not a date: expected one of the years -9977 to 9987");
        match Bson::deserialize(deserializer)? {
            Bson::DateTime(date) => moment(date).map(Self).ok_or_else(expected),
            _ => Err(expected()),
        }
    }
}

/// Returns the time of a date, if it is one that is read.
pub(in crate::store) fn moment(date: DateTime) -> Option<Timestamp> {
    (DATES[0]..DATES[1]).contains(&date.timestamp_millis()).then(|| date.to_jiff())
}

/// A number of any BSON type; 0 if it is none, or not finite.
pub(in crate::store) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = deserializer.deserialize_any(Number { is_any_taken: true })?;
    Ok(if number.is_finite() { number } else { 0.0 })
}

/// A value as a number of any BSON type; 0 if it is none, or not finite.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(in crate::store) fn real(value: Option<RawBsonRef<'_>>) -> f64 {
    let number = match value {
        Some(RawBsonRef::Int32(whole)) => f64::from(whole),
        Some(RawBsonRef::Int64(whole)) => whole as f64,
        Some(RawBsonRef::Double(real)) => real,
        Some(RawBsonRef::Decimal128(decimal)) => decimal.to_string().parse().unwrap_or_default(),
        _ => 0.0,
    };
    if number.is_finite() { number } else { 0.0 }
}

/// What else than a number is there is an error, or 0.
struct Number {
    is_any_taken: bool,
}

impl Number {
    fn other<E: Error>(self, unexpected: Unexpected<'_>) -> Result<f64, E> {
        if self.is_any_taken { Ok(0.0) } else { Err(E::invalid_type(unexpected, &self)) }
    }
}

impl<'de> Visitor<'de> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    #[expect(clippy::cast_precision_loss, reason = "what is above 2^53 is refused or a sum")]
    fn visit_i64<E: Error>(self, whole: i64) -> Result<f64, E> {
        Ok(whole as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "what is above 2^53 is refused or a sum")]
    fn visit_u64<E: Error>(self, whole: u64) -> Result<f64, E> {
        Ok(whole as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<f64, E> {
        self.other(Unexpected::Bool(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        self.other(Unexpected::Str(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<f64, E> {
        self.other(Unexpected::Bytes(bytes))
    }

    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        self.other(Unexpected::Unit)
    }

    fn visit_none<E: Error>(self) -> Result<f64, E> {
        self.other(Unexpected::Option)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<f64, A::Error> {
        while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        self.other(Unexpected::Seq)
    }

    /// Decimals, dates and ids come as maps.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<f64, A::Error> {
        match Bson::deserialize(MapAccessDeserializer::new(map))? {
            Bson::Decimal128(decimal) => {
                let number = decimal.to_string().parse();
                number.or_else(|_| self.other(Unexpected::Other("a decimal")))
            }
            _ => self.other(Unexpected::Map),
        }
    }
}
