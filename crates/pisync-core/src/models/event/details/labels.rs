//! The JSON form of labels in a report.

use std::borrow::Cow;

use utoipa::openapi::{ObjectBuilder, Schema, SchemaFormat, schema::Type};

use crate::models::{
    Labels,
    event::{
        json::{Damage, Raw, string},
        schema::kept_if,
        visible::is_visible,
    },
};

/// Returns the schema of `labels` in the `OpenAPI` document.
pub(in crate::models::event) fn schema() -> Schema {
    let name = format!("^(?!__)(?!(?:{})$)[A-Za-z_][A-Za-z0-9_]*$", Labels::TAKEN.join("|"));
    let text = |most: usize| ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(most));
    let value = text(Labels::VALUE_BYTES).format(Some(SchemaFormat::Custom("label".into())));
    let object = ObjectBuilder::new().max_properties(Some(Labels::MOST));
    let object = object.property_names(Some(text(Labels::NAME_BYTES).pattern(Some(name))));
    kept_if(object.additional_properties(Some(Schema::from(value))))
}

/// Returns the text of a label's value: a trimmed string, or a number or a boolean as written.
///
/// Fails if it is neither; with the damage, if it is no JSON or no UTF-8.
pub(in crate::models) fn label_value(raw: Raw<'_>) -> Result<Cow<'_, str>, Option<Damage>> {
    let (json, damage) = raw.mended().ok_or(None)?;
    match (json.as_bytes().first(), damage) {
        (_, Some(damage @ Damage::NoUtf8 { .. })) => Err(Some(damage)),
        (Some(b'"'), _) => string(&json).map(|text| text.trim().to_owned().into()).ok_or(None),
        (Some(b'-' | b'0'..=b'9' | b't' | b'f'), _) => Ok(json),
        _ => Err(None),
    }
}

/// Returns the JSON pointer to a member of `/labels`, shortened if the name is long.
pub(in crate::models) fn label_pointer(name: &str) -> String {
    let seen = |c: char| if is_visible(c) { c } else { char::REPLACEMENT_CHARACTER };
    let short: String = name.chars().take(Labels::NAME_BYTES).map(seen).collect();
    let more = if name.chars().nth(Labels::NAME_BYTES).is_some() { "…" } else { "" };
    format!("/labels/{}{more}", short.replace('~', "~0").replace('/', "~1"))
}
