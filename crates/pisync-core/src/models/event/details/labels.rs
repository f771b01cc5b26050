//! The JSON form of labels in a report.

use std::borrow::Cow;

use utoipa::openapi::{ObjectBuilder, Schema, SchemaFormat, schema::Type};

use crate::models::{
    InvalidLabels, Labels,
    event::{
        details::LeftOut,
        json::{Damage, Raw, string},
        schema::kept_if,
    },
    visible::is_visible,
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

/// Reads the labels of a report. An invalid label is left out; the others are kept.
pub(in crate::models::event) fn read(raw: Raw<'_>, left_out: &mut LeftOut) -> Labels {
    let Some(members) = raw.members() else {
        left_out.name("/labels", InvalidLabels::NoObject.to_string());
        return Labels::default();
    };
    let mut labels = Labels::default();
    for (name, value) in members {
        let kept = match label_value(value) {
            Ok(value) => labels.add(&name, value).map_err(|error| error.to_string()),
            Err(Some(damage)) => Err(damage.to_string()),
            Err(None) => Err(InvalidLabels::value(&name).to_string()),
        };
        if let Err(why) = kept {
            left_out.name(label_pointer(&name), why);
        }
    }
    labels
}

/// Returns the text of a label's value: a trimmed string, or a number or a boolean as written.
///
/// Fails if it is neither; with the damage, if it is no JSON or no UTF-8.
fn label_value(raw: Raw<'_>) -> Result<Cow<'_, str>, Option<Damage>> {
    let (json, damage) = raw.mended().ok_or(None)?;
    match (json.as_bytes().first(), damage) {
        (_, Some(damage @ Damage::NoUtf8 { .. })) => Err(Some(damage)),
        (Some(b'"'), _) => string(&json).map(|text| text.trim().to_owned().into()).ok_or(None),
        (Some(b'-' | b'0'..=b'9' | b't' | b'f'), _) => Ok(json),
        _ => Err(None),
    }
}

/// Returns the JSON pointer to a member of `/labels`, shortened if the name is long.
pub(super) fn label_pointer(name: &str) -> String {
    let seen = |c: char| if is_visible(c) { c } else { char::REPLACEMENT_CHARACTER };
    let short: String = name.chars().take(Labels::NAME_BYTES).map(seen).collect();
    let more = if name.chars().nth(Labels::NAME_BYTES).is_some() { "…" } else { "" };
    format!("/labels/{}{more}", short.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_report(raw: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut left_out = LeftOut::default();
        let labels = read(Raw::of(raw.as_bytes()), &mut left_out);
        let pointers = left_out.into_ignored().into_iter().map(|ignored| ignored.pointer.into_owned());
        (labels.to_map().into_iter().collect(), pointers.collect())
    }

    #[test]
    fn a_label_that_cannot_be_kept_leaves_the_others() {
        let kept = |raw: &str| of_report(raw).0.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ");
        let none = Vec::<String>::new();
        assert_eq!(kept(r#"{"region":" nord\n","group":"\u0041"}"#), "group=A region=nord");
        assert_eq!(kept(r#"{"a":7,"b":-1.50,"c":1e3,"d":true,"e":false}"#), "a=7 b=-1.50 c=1e3 d=true e=false");
        assert_eq!(of_report("{}"), (Vec::new(), none));
        for raw in ["7", "[]", "\"a\"", r#"[["a","b"]]"#, "true"] {
            assert_eq!(of_report(raw), (Vec::new(), vec!["/labels".to_owned()]), "{raw}");
        }
        let long = format!("\"{}\"", "x".repeat(65));
        for value in ["null", "[]", "{}", "\"\"", "\" \"", r#""a\u0000""#, r#""\ud800""#, &long] {
            let raw = format!(r#"{{"group":{value},"region":"nord"}}"#);
            assert_eq!(
                (kept(&raw).as_str(), of_report(&raw).1),
                ("region=nord", vec!["/labels/group".to_owned()]),
                "{raw}"
            );
        }
        let (kept, left_out) = of_report(r#"{"a":"1","a":"2","deviceId":"x","a b":"c","s/t":"u"}"#);
        assert_eq!(kept, [("a".to_owned(), "1".to_owned())]);
        assert_eq!(left_out, ["/labels/a", "/labels/deviceId", "/labels/a b", "/labels/s~1t"]);
    }

    #[test]
    fn labels_over_the_limit_are_left_out_and_the_first_stay() {
        let raw: Vec<_> = (0..12).map(|number| format!(r#""n{number:02}":{number}"#)).collect();
        let (kept, left_out) = of_report(&format!("{{{}}}", raw.join(",")));
        assert_eq!((kept.len(), kept[7].0.as_str()), (8, "n07"));
        assert_eq!(left_out, ["/labels/n08", "/labels/n09", "/labels/n10", "/labels/n11"]);
    }
}
