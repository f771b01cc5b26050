//! The labels of a device, such as its group, region or version, by which failures are compared.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use crate::models::visible::is_printable;

/// The labels of a report: up to [`Labels::MOST`] names, each with a value, in order of the names. Most reports have
/// none, and then it is empty. Cheap to clone.
// An empty list is `None` always, so that equal labels compare equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Option<Arc<Vec<(String, String)>>>);

/// The reason that these are no [`Labels`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabels {
    /// They are not an object.
    #[error("must be an object of names and texts")]
    NoObject,
    /// There are too many.
    #[error("is one label too many: a report has at most {}", Labels::MOST)]
    TooMany,
    /// Two have the same name.
    #[error("must have the name {0} once")]
    Twice(String),
    /// A name is not valid in Prometheus, or is too long.
    #[error(
        "must have names of 1 to {most} letters, digits and underscores that do not begin with a digit or with two \
         underscores: {0:?} is none",
        most = Labels::NAME_BYTES
    )]
    Name(String),
    /// A name is reserved.
    #[error("must not have the name {0}, which is taken")]
    Taken(String),
    /// A value is empty, too long or not printable.
    #[error("must have values of 1 to {most} bytes of printable text (or a number, true or false): that of {0} is not", most = Labels::VALUE_BYTES)]
    Value(String),
}

impl InvalidLabels {
    /// Returns the error of an invalid value.
    pub(in crate::models) fn value(name: &str) -> Self {
        Self::Value(shortened(name))
    }
}

impl Labels {
    /// The most labels of a report.
    pub const MOST: usize = 8;

    /// The longest name, in bytes.
    pub const NAME_BYTES: usize = 32;

    /// The longest value, in bytes.
    pub const VALUE_BYTES: usize = 64;

    /// Names reserved for alerts themselves, or for the formats of notifications.
    pub const TAKEN: [&str; 5] = ["alertname", "deviceId", "severity", "cause", "status"];

    /// Returns the valid labels of a stored row; another program's row may have anything.
    pub fn of_row(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            // A label that is invalid here is left out on reading.
            let _ = labels.add(&name, value.into());
        }
        labels
    }

    pub(in crate::models) fn add(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), InvalidLabels> {
        check_name(name)?;
        if !is_value(&value) {
            return Err(InvalidLabels::Value(name.to_owned()));
        }
        let Err(place) = self.pairs().binary_search_by(|(known, _)| known.as_str().cmp(name)) else {
            return Err(InvalidLabels::Twice(name.to_owned()));
        };
        if self.pairs().len() == Self::MOST {
            return Err(InvalidLabels::TooMany);
        }
        Arc::make_mut(self.0.get_or_insert_default()).insert(place, (name.to_owned(), value.into_owned()));
        Ok(())
    }

    /// Returns these labels, given in any order.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidLabels> {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.add(&name, value.into())?;
        }
        Ok(labels)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns names and values, in order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs().iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Returns the labels as a map.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.pairs().iter().cloned().collect()
    }

    fn pairs(&self) -> &[(String, String)] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// Fails unless a label may have this name: valid in Prometheus and not reserved. Source: "Metric names and labels" in
/// the data model of Prometheus.
pub fn check_name(name: &str) -> Result<(), InvalidLabels> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && !name.starts_with("__");
    if !begins || name.len() > Labels::NAME_BYTES || !name.bytes().all(is_known) {
        return Err(InvalidLabels::Name(shortened(name)));
    }
    if Labels::TAKEN.contains(&name) {
        return Err(InvalidLabels::Taken(name.to_owned()));
    }
    Ok(())
}

fn is_value(value: &str) -> bool {
    (1..=Labels::VALUE_BYTES).contains(&value.len()) && value.chars().all(is_printable)
}

fn shortened(name: &str) -> String {
    name.chars().take(Labels::NAME_BYTES + 1).collect()
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
    fn of_a_row_what_is_no_label_is_left_out_alone() {
        let row = [("a b", "c"), ("region", "nord"), ("group", "")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(Labels::of_row(row), of(&[("region", "nord")]).unwrap());
    }

    #[test]
    fn a_long_name_is_not_said_in_full() {
        let error = of(&[(&"n ".repeat(10_000), "x")]).unwrap_err().to_string();
        assert!(error.len() < 250, "{error}");
    }
}
