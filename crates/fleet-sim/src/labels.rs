//! The labels of a simulated fleet: their values, and the bad one.

use pisync_core::models::Labels;

/// A label of every device, with one of some values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelChoice {
    /// The name.
    pub name: String,
    /// The values, each about equally frequent.
    pub values: Vec<String>,
}

/// A label whose devices fail nearly always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLabel {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl LabelChoice {
    /// Parses `NAME=VALUE,VALUE`, such as `contentVersion=41,42`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, values) = text.split_once('=').ok_or("NAME=VALUE,VALUE such as contentVersion=41,42")?;
        let values: Vec<_> = values.split(',').map(str::to_owned).collect();
        for value in &values {
            Labels::new([(name.to_owned(), value.clone())]).map_err(|error| error.to_string())?;
        }
        Ok(Self { name: name.to_owned(), values })
    }
}

impl BadLabel {
    /// Parses `NAME=VALUE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("NAME=VALUE such as contentVersion=42")?;
        Labels::new([(name.to_owned(), value.to_owned())]).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// Returns true if it is among these labels.
    pub fn is_in(&self, labels: &[(&str, &str)]) -> bool {
        labels.contains(&(&self.name, &self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_name_that_is_allowed_and_some_values() {
        let choice = LabelChoice::parse("contentVersion=41,42").unwrap();
        assert_eq!((choice.name.as_str(), choice.values), ("contentVersion", vec!["41".to_owned(), "42".to_owned()]));
        for wrong in ["contentVersion", "deviceId=a", "group=", "group=a,,b", "a b=c"] {
            assert!(LabelChoice::parse(wrong).is_err(), "{wrong}");
        }
        assert!(BadLabel::parse("group=a").unwrap().is_in(&[("x", "y"), ("group", "a")]));
        assert!(!BadLabel::parse("group=a").unwrap().is_in(&[("group", "b")]));
    }
}
