//! The names of alert rules.

use std::fmt;

/// The name of a rule in messages, labels and the store: 1 to 40 ASCII letters and digits.
///
/// Only the alerter defines rules. A name without a constant here needs nothing of this crate, or is of another
/// version: it is read, listed and written like the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertName {
    /// The letters, padded with zeros.
    text: [u8; Self::LONGEST],
    length: usize,
}

impl AlertName {
    const LONGEST: usize = 40;

    /// A device failed as many times in a row as the threshold.
    pub const DEVICE_SYNC_FAILING: Self = Self::new("DeviceSyncFailing");
    /// Too many of the devices that reported in the last minutes failed.
    pub const FLEET_SYNC_FAILING: Self = Self::new("FleetSyncFailing");
    /// Too many of the expected devices are silent.
    pub const FLEET_SILENT: Self = Self::new("FleetSilent");
    /// The devices still failing or silent some time after a fleet incident resolved.
    pub const FLEET_DIGEST: Self = Self::new("FleetDigest");
    /// No report of a device was received for a day.
    pub const DEVICE_SILENT: Self = Self::new("DeviceSilent");
    /// A device alternates between failing and ok.
    pub const DEVICE_FLAPPING: Self = Self::new("DeviceFlapping");
    /// The ingestion pipeline is stalled.
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

    /// Returns the name of a rule in the code. An invalid constant does not compile.
    pub const fn new(name: &'static str) -> Self {
        assert!(is_name(name.as_bytes()), "a name of a rule has 1 to 40 ASCII letters and digits");
        Self::of(name.as_bytes())
    }

    /// Returns a stored or requested name, if it is valid.
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
