//! Formats a row as JSON.

use pisync_core::{store::StoredEvent, time::rfc3339};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{COLUMNS, Column, ErrorEntry, HistoryEntry, Value};

impl Serialize for HistoryEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        COLUMNS.iter().try_for_each(|column| column.serialize(&mut map, &self.0))?;
        map.end()
    }
}

impl Column {
    fn serialize<M: SerializeMap>(&self, map: &mut M, row: &StoredEvent) -> Result<(), M::Error> {
        let name = self.name;
        match self.value {
            Value::Id(value) => map.serialize_entry(name, &value(row).to_string()),
            Value::Text(value) => value(row).map_or(Ok(()), |text| map.serialize_entry(name, text)),
            Value::Time(value) => value(row).map_or(Ok(()), |at| map.serialize_entry(name, &rfc3339(at))),
            Value::Count(value) => value(row).map_or(Ok(()), |count| map.serialize_entry(name, &count)),
            Value::Speed(value) => map.serialize_entry(name, &value(row)),
            Value::Flag(value) if !value(row) => Ok(()),
            Value::Flag(_) => map.serialize_entry(name, &true),
            Value::Error(value) => value(row).map_or(Ok(()), |error| {
                map.serialize_entry(name, &ErrorEntry { code: error.code(), message: error.message() })
            }),
            Value::Labels(value) if value(row).is_empty() => Ok(()),
            Value::Labels(value) => map.serialize_entry(name, &value(row).to_map()),
        }
    }
}
