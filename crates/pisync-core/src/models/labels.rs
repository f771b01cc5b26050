//! What a device says of itself beside its name: the group, region or version that its failures may
//! follow from.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The labels of a report: up to [`Labels::MOST`] names, each with a value, in order of the names.
/// Most reports have none, for which nothing is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Vec<(String, String)>);

/// Why these are no [`Labels`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabels {
    /// They are something else.
    #[error("must be an object of strings")]
    NoObject,
    /// There are too many.
    #[error("must be at most {} labels", Labels::MOST)]
    TooMany,
    /// Two have the same name.
    #[error("must have the name {0} once")]
    Twice(String),
    /// A name is none that Prometheus knows, or is too long.
    #[error(
        "must have names of 1 to {most} letters, digits and underscores that do not begin with a digit or with two \
         underscores: {0:?} is none",
        most = Labels::NAME_BYTES
    )]
    Name(String),
    /// A name stands for something else.
    #[error("must not have the name {0}, which is taken")]
    Taken(String),
    /// A value is empty, too long, or cannot be seen.
    #[error("must have values of 1 to {most} bytes of printable text: that of {0} is not", most = Labels::VALUE_BYTES)]
    Value(String),
}

impl Labels {
    /// How many labels a report may have.
    pub const MOST: usize = 8;

    /// The longest name, in bytes.
    pub const NAME_BYTES: usize = 32;

    /// The longest value, in bytes.
    pub const VALUE_BYTES: usize = 64;

    /// Names that alerts have themselves, or the formats that they leave in.
    pub const TAKEN: [&str; 5] = ["alertname", "deviceId", "severity", "cause", "status"];

    /// Reads a JSON object of strings.
    pub fn from_json(json: &str) -> Result<Self, InvalidLabels> {
        let members: Members<'_> = serde_json::from_str(json).map_err(|_| InvalidLabels::NoObject)?;
        let pairs = members.0.into_iter().map(|(name, value)| match serde_json::from_str(value.get()) {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(InvalidLabels::Value(name.chars().take(Self::NAME_BYTES + 1).collect())),
        });
        Self::new(pairs.collect::<Result<Vec<_>, _>>()?)
    }

    /// Takes these, in any order.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidLabels> {
        let mut labels = Vec::new();
        for (name, value) in pairs {
            check_name(&name)?;
            if !is_value(&value) {
                return Err(InvalidLabels::Value(name));
            }
            if labels.len() == Self::MOST {
                return Err(InvalidLabels::TooMany);
            }
            labels.push((name, value));
        }
        labels.sort_unstable();
        match labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(InvalidLabels::Twice(pair[0].0.clone())),
            None => Ok(Self(labels)),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The same as a map.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.0.iter().cloned().collect()
    }
}

/// The members of an object as they stand there, also those that stand there twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// Whether a label may have this name: one of Prometheus that is not taken.
/// Source: "Metric names and labels" in the data model of Prometheus.
pub fn check_name(name: &str) -> Result<(), InvalidLabels> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && !name.starts_with("__");
    if !begins || name.len() > Labels::NAME_BYTES || !name.bytes().all(is_known) {
        return Err(InvalidLabels::Name(name.chars().take(Labels::NAME_BYTES + 1).collect()));
    }
    if Labels::TAKEN.contains(&name) {
        return Err(InvalidLabels::Taken(name.to_owned()));
    }
    Ok(())
}

fn is_value(value: &str) -> bool {
    (1..=Labels::VALUE_BYTES).contains(&value.len()) && value.chars().all(super::device_id::is_printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Labels, InvalidLabels> {
        Labels::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn labels_are_kept_by_name_whatever_their_order() {
        let labels = of(&[("region", "nord-est"), ("contentVersion", "42")]).unwrap();
        assert_eq!(labels, of(&[("contentVersion", "42"), ("region", "nord-est")]).unwrap());
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("contentVersion", "42"), ("region", "nord-est")]);
        assert_eq!((labels.get("region"), labels.get("group")), (Some("nord-est"), None));
        assert!(of(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_too_long_too_many_taken_or_unseen_is_refused() {
        for name in ["", "1a", "a-b", "a b", "é", "__a", "a.b", &"n".repeat(33)] {
            assert!(matches!(of(&[(name, "x")]), Err(InvalidLabels::Name(_))), "{name:?}");
        }
        for name in Labels::TAKEN {
            assert_eq!(of(&[(name, "x")]), Err(InvalidLabels::Taken(name.into())));
        }
        for value in ["", "a\nb", "\u{202e}", &"é".repeat(33), &"v".repeat(65)] {
            assert_eq!(of(&[("group", value)]), Err(InvalidLabels::Value("group".into())), "{value:?}");
        }
        assert_eq!(of(&[("a", "1"), ("b", "1"), ("a", "2")]), Err(InvalidLabels::Twice("a".into())));
        let many: Vec<_> = (0..9).map(|number| (format!("n{number}"), "x".to_owned())).collect();
        assert_eq!(Labels::new(many.clone()), Err(InvalidLabels::TooMany));
        assert_eq!(Labels::new(many.into_iter().take(8)).unwrap().iter().len(), 8);
        assert!(of(&[(&"n".repeat(32), &"v".repeat(64)), ("_a", "é école 🍓")]).is_ok());
    }

    #[test]
    fn an_object_of_strings_is_read_and_what_is_none_is_said() {
        let read = Labels::from_json;
        assert_eq!(read(r#"{"region":"nord","group":"\u0041"}"#), of(&[("group", "A"), ("region", "nord")]));
        assert_eq!(read("{}"), Ok(Labels::default()));
        for json in ["7", "[]", "\"a\"", r#"[["a","b"]]"#] {
            assert_eq!(read(json), Err(InvalidLabels::NoObject), "{json}");
        }
        for value in ["7", "null", "[]", "{}", "true"] {
            assert_eq!(read(&format!(r#"{{"group":{value}}}"#)), Err(InvalidLabels::Value("group".into())), "{value}");
        }
        assert_eq!(read(r#"{"a":"1","a":"1"}"#), Err(InvalidLabels::Twice("a".into())));
    }

    #[test]
    fn a_long_name_is_not_said_in_full() {
        let error = of(&[(&"n ".repeat(10_000), "x")]).unwrap_err().to_string();
        assert!(error.len() < 250, "{error}");
    }
}
