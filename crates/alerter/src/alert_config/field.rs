//! What the values of the file may be. No error repeats the value.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;
use toml::de::DeValue;

/// A text that is not empty.
pub(crate) fn text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().filter(|text| !text.trim().is_empty());
    text.map(str::to_owned).ok_or_else(|| "must be a text in quotes that is not empty".to_owned())
}

/// Texts, or one.
pub(crate) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let wrong = || "must be a list of texts".to_owned();
    match value.as_array() {
        Some(items) => items.iter().map(|item| text(item.get_ref()).map_err(|_| wrong())).collect(),
        None => text(value).map(|one| vec![one]).map_err(|_| wrong()),
    }
}

/// `true` or `false`.
pub(crate) fn truth(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "must be true or false".to_owned())
}

/// A number of 0 and more.
pub(crate) fn number(value: &DeValue<'_>) -> Result<f64, String> {
    let digits = value.as_float().map(|float| float.as_str().to_owned());
    let digits = digits.or_else(|| value.as_integer().map(|integer| integer.as_str().to_owned()));
    let number = digits.and_then(|digits| digits.parse::<f64>().ok()).filter(|number| number.is_finite());
    number.filter(|number| *number >= 0.0).ok_or_else(|| "must be a number, 0 or more".to_owned())
}

/// A port.
pub(crate) fn port(value: &DeValue<'_>) -> Result<u16, String> {
    let port = value.as_integer().and_then(|integer| integer.as_str().parse().ok()).filter(|port| *port > 0);
    port.ok_or_else(|| "must be a port, 1 to 65535".to_owned())
}

/// A length of time, such as `"15m"`.
pub(crate) fn duration(value: &DeValue<'_>) -> Result<Duration, String> {
    let length = value.as_str().and_then(|text| text.parse::<SignedDuration>().ok());
    let length = length.and_then(|length| Duration::try_from(length).ok());
    length.ok_or_else(|| "must be a length of time such as \"90s\", \"15m\" or \"24h\"".to_owned())
}

/// A length of time within these limits.
pub(crate) fn duration_within(from: Duration, to: Duration) -> impl FnOnce(&DeValue<'_>) -> Result<Duration, String> {
    move |value| {
        let length = duration(value)?;
        let fits = (from..=to).contains(&length);
        fits.then_some(length).ok_or_else(|| format!("must be from {} to {} s", from.as_secs(), to.as_secs()))
    }
}

/// An address of the web.
pub(crate) fn url(value: &DeValue<'_>) -> Result<Url, String> {
    web_address(&text(value)?)
}

/// The same from anywhere.
pub(crate) fn web_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "must be an address such as https://example.org/alerts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<T>(text: &str, parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>) -> Result<T, String> {
        parse(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn lengths_of_time_have_a_unit_and_are_not_negative() {
        assert_eq!(parsed("\"15m\"", duration), Ok(Duration::from_mins(15)));
        assert_eq!(parsed("\"0s\"", duration), Ok(Duration::ZERO));
        assert_eq!(parsed("\"1h 30m\"", duration), Ok(Duration::from_mins(90)));
        for wrong in ["15", "\"15\"", "\"-1m\"", "\"soon\""] {
            assert!(parsed(wrong, duration).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_ports_and_addresses_are_what_they_say() {
        assert_eq!((parsed("0.5", number), parsed("2", number)), (Ok(0.5), Ok(2.0)));
        assert!(parsed("-1", number).is_err() && parsed("nan", number).is_err() && parsed("\"1\"", number).is_err());
        assert_eq!(parsed("587", port), Ok(587));
        assert!(parsed("0", port).is_err() && parsed("65536", port).is_err());
        assert!(parsed("\"https://example.org/x\"", url).is_ok());
        assert!(parsed("\"example.org\"", url).is_err() && parsed("\"file:///etc/passwd\"", url).is_err());
    }
}
