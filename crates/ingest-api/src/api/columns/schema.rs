//! The schema of a row in the `OpenAPI` document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

use super::{COLUMNS, Column, ErrorEntry, HistoryCsv, HistoryEntry, Value, head};

impl PartialSchema for HistoryEntry {
    fn schema() -> RefOr<Schema> {
        let row = ObjectBuilder::new().description(Some("A row, as every route returns it."));
        let add = |row: ObjectBuilder, column: &Column| {
            let row = row.property(column.name, column.schema());
            if column.is_required { row.required(column.name) } else { row }
        };
        COLUMNS.iter().fold(row, add).into()
    }
}

impl ToSchema for HistoryEntry {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ErrorEntry::name().into_owned(), ErrorEntry::schema()));
    }
}

impl PartialSchema for HistoryCsv {
    fn schema() -> RefOr<Schema> {
        let about = format!(
            "A line with the names, and a line for each row: `{}`. The labels of a report are one text, such as \
             `region=west;school=12`, in order of their names; a `;` or a `\\` of a value has a `\\` before it.",
            head()
        );
        ObjectBuilder::new().schema_type(Type::String).description(Some(about)).into()
    }
}

impl ToSchema for HistoryCsv {}

impl Column {
    fn schema(&self) -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        match self.value {
            Value::Id(_) | Value::Text(_) | Value::Time(_) => self.plain(Type::String).into(),
            Value::Count(_) => {
                self.plain(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))).into()
            }
            Value::Speed(_) => {
                self.plain(Type::Number).format(Some(SchemaFormat::KnownFormat(KnownFormat::Double))).into()
            }
            Value::Flag(_) => ObjectBuilder::new().schema_type(Type::Boolean).into(),
            Value::Error(_) => {
                let mut error = Ref::from_schema_name(ErrorEntry::name());
                error.description = self.about.into();
                OneOfBuilder::new().item(error).item(ObjectBuilder::new().schema_type(Type::Null)).into()
            }
            Value::Labels(_) => {
                let labels = text().schema_type(Type::Object).description(Some(self.about));
                labels.additional_properties(Some(text())).property_names(Some(text())).into()
            }
        }
    }

    /// Returns the schema of this type; nullable unless every row has the value.
    fn plain(&self, of: Type) -> ObjectBuilder {
        let types = if self.is_required { of.into() } else { SchemaType::from_iter([of, Type::Null]) };
        let about = Some(self.about).filter(|about| !about.is_empty());
        ObjectBuilder::new().schema_type(types).description(about)
    }
}
