//! `GET /api/openapi.json`: the API description.

use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

/// The OpenAPI 3.1 document.
const DOCUMENT: &str = include_str!("openapi.json");

/// Returns the document.
pub(super) async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::ROUTES;

    #[test]
    fn document_describes_exactly_the_existing_routes() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                described.insert((path.as_str(), method.to_uppercase()));
            }
        }
        let routes: BTreeSet<_> =
            ROUTES.iter().map(|(path, method, _)| (*path, method.to_string())).collect();
        assert_eq!(described, routes);
    }

    /// Checks that each `$ref` has a target.
    #[test]
    fn references_have_targets() {
        fn walk(at: &serde_json::Value, document: &serde_json::Value) {
            match at {
                serde_json::Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref").and_then(|r| r.as_str()) {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    fields.values().for_each(|value| walk(value, document));
                }
                serde_json::Value::Array(items) => {
                    items.iter().for_each(|item| walk(item, document));
                }
                _ => {}
            }
        }
        let document = serde_json::from_str(DOCUMENT).unwrap();
        walk(&document, &document);
    }
}
