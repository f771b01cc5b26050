//! The body of a report: the JSON of a device, as parsed and as the `OpenAPI` document describes it.

mod member;
mod values;

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use self::member::Member;
pub(super) use self::values::timestamp;
use super::{
    details::{LeftOut, labels, report_error, report_id},
    invalid_event::MALFORMED,
    json::{Raw, Text, broken_members},
    schema,
};
use crate::models::{Details, DeviceId, FieldError, Ignored, InvalidEvent};

/// One sync attempt of one device.
// The raw members of the body, not parsed yet.
#[derive(Debug, Default, ToSchema)]
#[schema(as = Report, rename_all = "camelCase", example = json!({
    "deviceId": "pibook-1", "timestamp": "2026-11-24T09:00:00Z",
    "totalFilesSynced": 8, "totalErrors": 0, "internetSpeed": 2.5,
    "reportId": "b55b5e5a-aadc-4321-a12d-51b872166d48"
}))]
pub struct ReportBody<'a> {
    /// The id of the device: 1 to 128 visible characters, never changed. Surrounding white space is removed, and it is
    /// stored in NFC.
    #[schema(value_type = String, min_length = 1, max_length = 128, format = "device-id")]
    device_id: Member<'a>,
    /// Time of the sync: RFC 3339 with an offset, or milliseconds since 1970.
    #[schema(schema_with = schema::moment)]
    timestamp: Member<'a>,
    /// Files synced.
    #[schema(value_type = i32, minimum = 0, maximum = 2_147_483_647)]
    total_files_synced: Member<'a>,
    /// Errors of the sync; over 0 the sync failed.
    #[schema(value_type = i32, minimum = 0, maximum = 2_147_483_647)]
    total_errors: Member<'a>,
    /// Measured speed in Mbps; 0 if it was not measured.
    #[schema(value_type = f64, minimum = 0, maximum = 1_000_000)]
    internet_speed: Member<'a>,
    /// The id of the report, made once when it is recorded: 1 to 64 visible characters. It distinguishes reports with
    /// the same time, as a clock without a battery makes them.
    #[schema(schema_with = report_id::schema, required = false)]
    report_id: Member<'a>,
    /// The error of the sync, if there was one.
    #[schema(schema_with = report_error::schema, required = false)]
    error: Member<'a>,
    /// Labels of the device, such as its group or the version of its content: up to 8 names with a value of up to 64
    /// bytes. Numbers and booleans become text.
    #[schema(schema_with = labels::schema, required = false)]
    labels: Member<'a>,
    #[schema(ignore)]
    left_out: LeftOut,
}

/// The required members of a report.
pub(super) struct Substance {
    pub(super) device_id: DeviceId,
    pub(super) timestamp: Timestamp,
    pub(super) total_files_synced: i32,
    pub(super) total_errors: i32,
    pub(super) internet_speed: f64,
}

impl<'a> ReportBody<'a> {
    /// Reads a JSON object.
    pub(super) fn from_json(json: &'a [u8]) -> Result<Self, InvalidEvent> {
        match serde_json::from_slice(json) {
            Ok(body) => Ok(body),
            Err(error) if error.is_data() => Err(InvalidEvent::malformed("must be a JSON object".into())),
            Err(error) => Self::from_broken(json).ok_or_else(|| InvalidEvent::malformed(format!("not JSON: {error}"))),
        }
    }

    /// Returns the required members, or every fault of them.
    pub(super) fn substance(&self) -> Result<Substance, InvalidEvent> {
        let mut errors = Vec::new();
        let device_id = self.device_id.read("/deviceId", values::device_id, &mut errors);
        let timestamp = self.timestamp.read("/timestamp", timestamp, &mut errors);
        let files = self.total_files_synced.read("/totalFilesSynced", values::count, &mut errors);
        let total_errors = self.total_errors.read("/totalErrors", values::count, &mut errors);
        let speed = self.internet_speed.read("/internetSpeed", values::speed, &mut errors);
        let (Some(device_id), Some(timestamp), Some(total_files_synced), Some(total_errors), Some(internet_speed)) =
            (device_id, timestamp, files, total_errors, speed)
        else {
            // Invalid JSON comes first: it is the cause of a missing member.
            errors.sort_by_key(|error: &FieldError| error.code != MALFORMED);
            return Err(InvalidEvent { errors });
        };
        Ok(Substance { device_id, timestamp, total_files_synced, total_errors, internet_speed })
    }

    /// Returns the valid optional members, and the ones left out.
    pub(super) fn details(self) -> (Details, Vec<Ignored>) {
        let mut left_out = self.left_out;
        let details = Details {
            report_id: self.report_id.if_any().and_then(|raw| report_id::read(raw, &mut left_out)),
            error: self.error.if_any().and_then(|raw| report_error::read(raw, &mut left_out)),
            labels: self.labels.if_any().map(|raw| labels::read(raw, &mut left_out)).unwrap_or_default(),
        };
        (details, left_out.into_ignored())
    }

    /// Reads an object with broken values: a broken value counts only in the member that it is in.
    fn from_broken(json: &'a [u8]) -> Option<Self> {
        let mut body = Self::default();
        for (name, value) in broken_members(json)? {
            body.add(&name, value);
        }
        Some(body)
    }

    /// Adds a member. If it is there already, the new value is dropped.
    fn add(&mut self, name: &str, value: Raw<'a>) {
        let Some((member, optional)) = self.member(name) else { return };
        match (&member.raw, optional) {
            (None, _) => member.raw = Some(value),
            (Some(_), None) => member.again = Some(name.into()),
            (Some(_), Some(pointer)) => self.left_out.name(pointer, "is there more than once; the first was kept"),
        }
    }

    /// Returns the place of a member, and its pointer if it is optional.
    fn member(&mut self, name: &str) -> Option<(&mut Member<'a>, Option<&'static str>)> {
        Some(match name {
            "deviceId" | "device_id" => (&mut self.device_id, None),
            "timestamp" => (&mut self.timestamp, None),
            "totalFilesSynced" | "total_files_synced" => (&mut self.total_files_synced, None),
            "totalErrors" | "total_errors" => (&mut self.total_errors, None),
            "internetSpeed" | "internet_speed" => (&mut self.internet_speed, None),
            "reportId" | "report_id" => (&mut self.report_id, Some("/reportId")),
            "error" => (&mut self.error, Some("/error")),
            "labels" => (&mut self.labels, Some("/labels")),
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for ReportBody<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

/// Reads a [`ReportBody`]. Written by hand, since a duplicate member is an error, or is left out if the member is
/// optional.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = ReportBody<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut body = ReportBody::default();
        while let Some(Text(name)) = map.next_key()? {
            if body.member(&name).is_some() {
                let value: &RawValue = map.next_value()?;
                body.add(&name, Raw::Json(value.get()));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(body)
    }
}
