//! Schemas in the `OpenAPI` document that reports and requests share.

use jiff::Timestamp;
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, Schema, SchemaFormat,
    schema::{AnyOfBuilder, SchemaType, Type},
};

/// Returns the schema of a time in a body or query.
pub fn moment() -> Schema {
    let text =
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let millis = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(Timestamp::MIN.as_second() * 1_000))
        .maximum(Some(Timestamp::MAX.as_second() * 1_000));
    OneOfBuilder::new().item(text).item(millis).into()
}

/// Returns the schema of the accepted form of a member. Another form is left out and named, never refused.
pub fn kept_if(schema: impl Into<RefOr<Schema>>) -> Schema {
    AnyOfBuilder::new().item(schema).item(ObjectBuilder::new().schema_type(SchemaType::AnyValue)).into()
}
