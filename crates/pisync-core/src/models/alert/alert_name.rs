//! The names of rules.

use std::fmt;

/// The name of a rule in messages, labels and the store: 1 to 40 ASCII letters and digits.
///
/// Only the alerter knows what a rule is. A name without a constant here is a rule that needs nothing of
/// this crate, or one of another version: it is read, listed and written like the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertName {
    /// Filled up with zeros.
    text: [u8; Self::LONGEST],
    length: usize,
}

impl AlertName {
    const LONGEST: usize = 40;

    /// A device failed as many times in a row as the threshold says.
    pub const DEVICE_SYNC_FAILING: Self = Self::new("DeviceSyncFailing");
    /// Of the devices that reported in the last minutes, too many failed.
    pub const FLEET_SYNC_FAILING: Self = Self::new("FleetSyncFailing");
    /// Of the devices that are expected to report, too many are absent.
    pub const FLEET_SILENT: Self = Self::new("FleetSilent");
    /// Who is still failing or silent some time after the fleet was well again.
    pub const FLEET_DIGEST: Self = Self::new("FleetDigest");
    /// Nothing was received from a device for a day.
    pub const DEVICE_SILENT: Self = Self::new("DeviceSilent");
    /// A device fails and recovers in turn.
    pub const DEVICE_FLAPPING: Self = Self::new("DeviceFlapping");
    /// What devices report does not get through.
    pub const PIPELINE_STALLED: Self = Self::new("PipelineStalled");

    /// The rules that pages and previews offer.
    pub const KNOWN: [Self; 7] = [
        Self::DEVICE_SYNC_FAILING,
        Self::FLEET_SYNC_FAILING,
        Self::FLEET_SILENT,
        Self::FLEET_DIGEST,
        Self::DEVICE_SILENT,
        Self::DEVICE_FLAPPING,
        Self::PIPELINE_STALLED,
    ];

    /// Returns the name of a rule in the code: a constant that is no name does not compile.
    pub const fn new(name: &'static str) -> Self {
        assert!(is_name(name.as_bytes()), "a name of a rule has 1 to 40 ASCII letters and digits");
        Self::of(name.as_bytes())
    }

    /// Returns the name that was stored or asked for, if it is one.
    pub fn parse(name: &str) -> Option<Self> {
        is_name(name.as_bytes()).then(|| Self::of(name.as_bytes()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }

    const fn of(name: &[u8]) -> Self {
        let mut text = [0; Self::LONGEST];
        text.split_at_mut(name.len()).0.copy_from_slice(name);
        Self { text, length: name.len() }
    }
}

const fn is_name(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() && name[at].is_ascii_alphanumeric() {
        at += 1;
    }
    at > 0 && at == name.len() && at <= AlertName::LONGEST
}

impl fmt::Display for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_another_version_is_a_name_and_what_could_break_a_key_is_none() {
        for name in ["QueueNearLimit", "x", &"a".repeat(40), "DeviceSilent"] {
            assert_eq!(AlertName::parse(name).map(|name| name.to_string()).as_deref(), Some(name));
        }
        assert_eq!(AlertName::parse("DeviceSilent"), Some(AlertName::DEVICE_SILENT));
        for name in ["", "Device/Silent", "Device Silent", "Silencé", "a{b", &"a".repeat(41)] {
            assert_eq!(AlertName::parse(name), None, "{name}");
        }
    }
}
