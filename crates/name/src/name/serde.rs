//! Names are serialized as their text.

use std::borrow::Cow;

use serde_core::de::{Deserialize, Deserializer, Error};
use serde_core::ser::{Serialize, Serializer};

use super::{TableName, TablePath};

macro_rules! as_text {
    ($($name:ty)*) => {$(
        impl Serialize for $name {
            /// Serializes the text of the name.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// Parses the text of a name.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
as_text!(TableName TablePath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_serialized_as_text() {
        let path = TablePath::new("me", "shop", "requests").unwrap();
        assert_eq!(serde_json::to_string(&path).unwrap(), r#""me/shop/requests""#);
        assert_eq!(serde_json::from_str::<TablePath>(r#""me/shop/requests""#).unwrap(), path);
        let name: TableName = "shop/requests".parse().unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""shop/requests""#);
        assert_eq!(serde_json::from_str::<TableName>(r#""shop\/requests""#).unwrap(), name);
        let error = serde_json::from_str::<TablePath>(r#""requests""#).unwrap_err();
        let expected = "requests".parse::<TablePath>().unwrap_err().to_string();
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
