//! Schemas that several routes share in the `OpenAPI` document.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, schema::Type},
};

/// The name of a device, as it is stored.
#[derive(Serialize, ToSchema)]
#[schema(min_length = 1, max_length = 2_048, format = "device-id", example = "pibook-1")]
pub(crate) struct DeviceName(String);

/// Returns the schema of a time in a body or query.
pub(crate) fn moment() -> Schema {
    let text =
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let millis = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(Timestamp::MIN.as_second() * 1_000))
        .maximum(Some(Timestamp::MAX.as_second() * 1_000));
    OneOfBuilder::new().item(text).item(millis).into()
}
