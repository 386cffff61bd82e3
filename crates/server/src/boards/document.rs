//! Validation of board documents.

use std::collections::HashSet;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use streamtable_schema::TablePath;

use crate::ApiError;

/// Maximum size of a document in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Maximum number of panels on a board.
const MAX_PANELS: usize = 200;

/// Maximum length of a title in characters.
const MAX_TITLE: usize = 200;

/// Maximum coordinate and maximum extent of a panel.
const MAX_PLACE: u32 = 10_000;

/// A validated board document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) title: String,
    /// The text as the author sent it, with any fields that only a newer page knows.
    pub(super) text: String,
}

/// The fields that the server validates.
#[derive(Debug, Deserialize)]
struct Form {
    format: u32,
    title: String,
    #[serde(default)]
    range: Option<Range>,
    #[serde(default)]
    #[expect(dead_code, reason = "deserializing it checks its form")]
    refresh: Refresh,
    #[serde(default)]
    #[expect(dead_code, reason = "deserializing it checks its form")]
    theme: Theme,
    #[serde(default)]
    workspace: Value,
    panels: Vec<Panel>,
}

/// The rows that a board shows: a trailing time span, or the rows between two instants.
#[derive(Debug, Deserialize)]
struct Range {
    last: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Refresh {
    #[default]
    Live,
    Paused,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

#[derive(Debug, Deserialize)]
struct Panel {
    id: String,
    #[serde(default)]
    title: String,
    table: Option<String>,
    kind: Kind,
    #[serde(default)]
    config: serde_json::Map<String, Value>,
    layout: Layout,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Grid,
    Chart,
    Images,
    Stat,
    Text,
    Drift,
    Sql,
}

#[derive(Debug, Deserialize)]
struct Layout {
    x: u32,
    y: u32,
    w: u32,
    h: u32,
}

impl Document {
    /// Parses and validates a document. The error says what is wrong with it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        if bytes.len() > MAX_BYTES {
            let message = format!("a board may have at most {MAX_BYTES} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        let wrong = |what: String| ApiError::bad_request(format!("invalid board: {what}"));
        let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        let form: Form = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        form.check().map_err(wrong)?;
        Ok(Self { title: form.title, text: text.to_owned() })
    }
}

impl Form {
    fn check(&self) -> Result<(), String> {
        if self.format != 1 {
            return Err(format!("format {} is not supported by this server", self.format));
        }
        check_title("the board", &self.title)?;
        if let Some(range) = &self.range {
            range.check()?;
        }
        if !matches!(self.workspace, Value::Null | Value::Object(_)) {
            return Err("`workspace` must be an object".to_owned());
        }
        if self.panels.len() > MAX_PANELS {
            return Err(format!("more than {MAX_PANELS} panels"));
        }
        let mut ids = HashSet::new();
        for panel in &self.panels {
            let id = panel.id.as_str();
            if id.is_empty() || id.len() > 64 {
                return Err("a panel's `id` must have 1 to 64 bytes".to_owned());
            }
            if !ids.insert(id) {
                return Err(format!("two panels have the id {id:?}"));
            }
            panel.check().map_err(|error| format!("panel {id:?}: {error}"))?;
        }
        Ok(())
    }
}

impl Range {
    fn check(&self) -> Result<(), String> {
        let is_instant = |text: &String| text.parse::<jiff::Timestamp>().is_ok();
        match (&self.last, &self.from, &self.to) {
            (Some(last), None, None) => {
                let unit = last.chars().next_back().unwrap_or_default();
                let number = last.strip_suffix(unit).unwrap_or_default();
                let is_number =
                    matches!(number.len(), 1..=6) && number.bytes().all(|it| it.is_ascii_digit());
                match is_number && "smhdw".contains(unit) {
                    true => Ok(()),
                    false => Err(format!("{last:?} is not a time span such as \"15m\"")),
                }
            }
            (None, from, to) if from.is_some() || to.is_some() => {
                match from.iter().chain(to).all(is_instant) {
                    true => Ok(()),
                    false => Err("the bounds of a range must be RFC 3339 instants".to_owned()),
                }
            }
            _ => Err("a range needs either `last`, or `from` and `to`".to_owned()),
        }
    }
}

impl Panel {
    fn check(&self) -> Result<(), String> {
        check_title("it", &self.title)?;
        match &self.table {
            Some(table) => {
                table.parse::<TablePath>().map_err(|error| format!("{table:?}: {error}"))?;
            }
            None if matches!(self.kind, Kind::Text | Kind::Sql) => {}
            None => return Err("missing `table`".to_owned()),
        }
        if self.kind == Kind::Sql && !self.config.get("sql").is_some_and(Value::is_string) {
            return Err("missing `sql` in `config`".to_owned());
        }
        let Layout { x, y, w, h } = self.layout;
        if [x, y, w, h].iter().any(|&it| it > MAX_PLACE) || w == 0 || h == 0 {
            return Err("`layout` is out of bounds".to_owned());
        }
        Ok(())
    }
}

fn check_title(whose: &str, title: &str) -> Result<(), String> {
    match title.chars().count() > MAX_TITLE || title.chars().any(char::is_control) {
        true => Err(format!("{whose} has a title that is too long or contains control characters")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn board() -> Value {
        json!({
            "format": 1, "title": "Shop", "range": {"last": "15m"}, "refresh": "live",
            "theme": "auto", "workspace": {"sizes": [1]}, "of the future": [],
            "panels": [
                {"id": "a", "title": "Rows", "table": "me/shop/requests", "kind": "grid",
                 "config": {"plugin": "Datagrid"}, "layout": {"x": 0, "y": 0, "w": 12, "h": 9}},
                {"id": "b", "kind": "text", "config": {"text": "# Hi"},
                 "layout": {"x": 0, "y": 9, "w": 12, "h": 2}},
            ],
        })
    }

    #[track_caller]
    fn check(pointer: &str, value: Value, error: Option<&str>) {
        let mut board = board();
        *board.pointer_mut(pointer).unwrap() = value;
        let text = board.to_string();
        match (Document::read(text.as_bytes()), error) {
            (Ok(document), None) => assert_eq!(document.text, text),
            (Err(found), Some(error)) => assert!(found.message().contains(error), "{found}"),
            (found, error) => panic!("expected {error:?}, got {found:?}"),
        }
    }

    #[test]
    fn documents_are_validated() {
        check("/title", json!("Läden"), None);
        check("/range", Value::Null, None);
        check("/range", json!({"from": "2024-05-01T00:00:00Z"}), None);
        check("/panels", json!([]), None);
        check("/format", json!(2), Some("format 2"));
        check("/title", json!("x".repeat(201)), Some("title"));
        check("/title", json!("a\u{7}"), Some("title"));
        check("/range", json!({"last": "soon"}), Some("soon"));
        check("/range", json!({"last": ""}), Some("span"));
        check("/range", json!({"last": "é"}), Some("span"));
        check("/range", json!({}), Some("range"));
        check("/range", json!({"from": "now"}), Some("instant"));
        check("/refresh", json!("often"), Some("often"));
        check("/theme", json!("pink"), Some("pink"));
        check("/workspace", json!([1]), Some("workspace"));
        check("/panels/0/id", json!("b"), Some("two panels"));
        check("/panels/0/id", json!(""), Some("id"));
        check("/panels/0/table", json!("no table"), Some("no table"));
        check("/panels/0/table", Value::Null, Some("`table`"));
        check("/panels/0/kind", json!("video"), Some("video"));
        check("/panels/0/config", json!("x"), Some("map"));
        check("/panels/0/kind", json!("drift"), None);
        let sql = |config: Value| {
            json!([{"id": "q", "kind": "sql", "config": config,
                    "layout": {"x": 0, "y": 0, "w": 6, "h": 6}}])
        };
        check("/panels", sql(json!({"sql": "select 1", "show": "number"})), None);
        check("/panels", sql(json!({})), Some("`sql`"));
        check("/panels", sql(json!({"sql": 1})), Some("`sql`"));
        check("/panels/0/layout/w", json!(0), Some("layout"));
        check("/panels/0/layout/x", json!(-1), Some("-1"));
    }

    #[test]
    fn oversized_documents_are_rejected() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let text = board().to_string().replace(r#"{"sizes":[1]}"#, &format!(r#"{{"a":{deep}}}"#));
        assert!(Document::read(text.as_bytes()).is_err());
        let large = vec![b' '; MAX_BYTES + 1];
        assert_eq!(Document::read(&large).unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(Document::read(b"\xff").is_err());
    }
}
