//! The serialized form of a schema: its columns in order, `[{"name": "ms", "type": "int"}]`.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::{Column, ColumnPolicy, Schema};
use crate::Type;

/// A column as it is serialized.
#[derive(serde::Serialize, serde::Deserialize)]
struct ColumnForm<N, T> {
    name: N,
    r#type: T,
}

impl Serialize for Schema {
    /// Serializes the columns in their order. The policy is not included.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.columns().iter();
        serializer.collect_seq(
            columns.map(|Column { name, ty }| ColumnForm { name: &**name, r#type: ty }),
        )
    }
}

impl<'de> Deserialize<'de> for Schema {
    /// Deserializes the columns of a schema with the default policy.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let columns = Vec::<ColumnForm<String, Type>>::deserialize(deserializer)?;
        let columns = columns.into_iter().map(|column| (column.name, column.r#type));
        Ok(Self::with_columns(ColumnPolicy::default(), columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row;

    #[test]
    fn a_schema_is_a_list_of_columns() {
        let mut schema = Schema::new(ColumnPolicy::Evolve);
        schema.admit(&row! { "b" => 1, "a" => [0.5] }).unwrap();
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(json, r#"[{"name":"b","type":"int"},{"name":"a","type":{"list":"float"}}]"#);
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
    }
}
