//! Lenient numbers and dates, as people and other programs write them.

use std::fmt;

use bson::{
    Bson, DateTime, RawBson,
    raw::{RawBsonRef, RawDocument},
};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

use super::document::Unreadable;

/// The last whole number up to which a double is exact, 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The range of dates that are read, in ms since 1970. Arithmetic with a stored date must stay within the range of a
/// timestamp.
const DATES: [i64; 2] = [-377_000_000_000_000, 253_000_000_000_000];

/// A whole number of any BSON type: mongosh and Compass write doubles, imports write decimals.
///
/// Digits in a text are no number: the server's own queries would not find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole<T = i64>(pub(crate) T);

/// A date within the range of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl<'de, T: TryFrom<i64>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(Number)?;
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
        // Raw, since serde would turn the date into a text first.
        match RawBson::deserialize(deserializer)? {
            RawBson::DateTime(date) => moment(date).map(Self).ok_or_else(expected),
            _ => Err(expected()),
        }
    }
}

/// Returns the time of a date, or `None` if it is out of range.
pub(crate) fn moment(date: DateTime) -> Option<Timestamp> {
    (DATES[0]..DATES[1]).contains(&date.timestamp_millis()).then(|| date.to_jiff())
}

/// A finite number from 0 of any BSON type, such as a count or a speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amount(pub(crate) f64);

impl Amount {
    const EXPECTED: &str = "a finite number from 0";

    fn of(number: f64) -> Option<Self> {
        (number.is_finite() && number >= 0.0).then_some(Self(number))
    }

    /// Returns the amount in a required field. Other fields are not read.
    pub(crate) fn in_field(row: &RawDocument, field: &'static str) -> Result<f64, Unreadable> {
        let missing = || Unreadable::new(field, format!("missing: expected {}", Self::EXPECTED));
        Self::in_field_if_any(row, field)?.ok_or_else(missing)
    }

    /// Returns the amount in a field that may be missing or null.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    pub(crate) fn in_field_if_any(row: &RawDocument, field: &'static str) -> Result<Option<f64>, Unreadable> {
        let number = match row.get(field) {
            Ok(Some(RawBsonRef::Int32(whole))) => Some(f64::from(whole)),
            Ok(Some(RawBsonRef::Int64(whole))) => Some(whole as f64),
            Ok(Some(RawBsonRef::Double(real))) => Some(real),
            Ok(Some(RawBsonRef::Decimal128(decimal))) => decimal.to_string().parse().ok(),
            Ok(None | Some(RawBsonRef::Null)) => return Ok(None),
            _ => None,
        };
        let amount = number.and_then(Self::of).map(|amount| Some(amount.0));
        amount.ok_or_else(|| Unreadable::new(field, format!("expected {}", Self::EXPECTED)))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(Number)?;
        Self::of(number).ok_or_else(|| D::Error::invalid_value(Unexpected::Float(number), &Self::EXPECTED))
    }
}

/// A number of any BSON type; anything else is an error.
struct Number;

impl<'de> Visitor<'de> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    #[expect(clippy::cast_precision_loss, reason = "what is above 2^53 is refused or an amount")]
    fn visit_i64<E: Error>(self, whole: i64) -> Result<f64, E> {
        Ok(whole as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "what is above 2^53 is refused or an amount")]
    fn visit_u64<E: Error>(self, whole: u64) -> Result<f64, E> {
        Ok(whole as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    /// Decimals, dates and ids arrive as maps.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<f64, A::Error> {
        match Bson::deserialize(MapAccessDeserializer::new(map))? {
            Bson::Decimal128(decimal) => {
                let number = decimal.to_string().parse();
                number.map_err(|_| A::Error::invalid_value(Unexpected::Other("a decimal"), &self))
            }
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}
