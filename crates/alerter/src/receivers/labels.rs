//! What identifies an alert, in the form of Prometheus.

use std::collections::BTreeMap;

pub(crate) use pisync_core::models::{ALERTNAME, DEVICE_ID};

/// The labels that an alert can have in any case; those of the rules' `fleet_by` come to these.
pub(crate) const ALL: [&str; 2] = [ALERTNAME, DEVICE_ID];

/// The fingerprint that Prometheus and Alertmanager give these labels: FNV-1a of 64 bits over each
/// name and value in order of the names, each followed by a byte that no UTF-8 has.
/// Source: `LabelSet.Fingerprint` of prometheus/common.
pub(super) fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}
