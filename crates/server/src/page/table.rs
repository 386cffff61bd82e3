//! The page of a table, and the list of tables.

use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use streamtable_schema::{MediaKind, MediaSource, TablePath, Value};
use streamtable_store::TableInfo;
use streamtable_url::{Expr, form_encode};

use super::html::{Html, escape};
use crate::access::{Principal, Right};
use crate::catalog::RunLocation;
use crate::rows::cell_text;
use crate::{ApiError, AppState};

/// How many rows the page shows.
const ROWS: u64 = 20;

/// How many columns it shows.
const COLUMNS: usize = 50;

/// How much of a cell it shows.
const CELL_CHARS: usize = 200;

/// Shows a table: what it is called, its columns, its newest rows. `None` where there is none.
pub(super) async fn show(state: &AppState, expr: &Expr) -> Result<Option<Response>, ApiError> {
    let path = expr.source.table();
    let page = Html::new(&path.to_string());
    let Some(info) = state.store.table(path) else {
        let at = RunLocation::new(path.entity(), path.project(), path.table());
        let is_made = state.catalog.run(&at).await?.is_some();
        return Ok(
            is_made.then(|| page.paragraph("This table has no rows yet.").respond(StatusCode::OK))
        );
    };
    let rows = info.summary.rows;
    let page = page.paragraph(&format!(
        "{rows} {} in {} {}.",
        plural(rows, "row", "rows"),
        info.columns.len(),
        plural(info.columns.len() as u64, "column", "columns"),
    ));
    let table = newest_rows(state, path, &info).await?;
    Ok(Some(page.raw(&table).respond(StatusCode::OK)))
}

async fn newest_rows(
    state: &AppState,
    path: &TablePath,
    info: &TableInfo,
) -> Result<String, ApiError> {
    let from = info.end.saturating_sub(ROWS);
    let rows = state.store.read(path, from, ROWS as usize).await?;
    let columns = &info.columns[..info.columns.len().min(COLUMNS)];
    let mut html = String::from(
        "<div class=\"rows\" tabindex=\"0\"><table><caption>Newest rows, oldest first</caption>\
         <thead><tr><th scope=\"col\">#</th>",
    );
    for column in columns {
        let (name, ty) = (escape(&column.name), escape(&column.ty.to_string()));
        html += &format!("<th scope=\"col\" title=\"{ty}\">{name}</th>");
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += &format!("<tr><th scope=\"row\">{}</th>", row.position);
        for column in columns {
            html += &cell(path, row.row.get(&column.name).unwrap_or(&Value::Null));
        }
        html += "</tr>";
    }
    html += "</tbody></table></div>";
    Ok(html)
}

fn cell(path: &TablePath, value: &Value) -> String {
    match value {
        Value::Null => "<td></td>".to_owned(),
        Value::Int(_) | Value::Float(_) => format!("<td class=\"number\">{}</td>", short(value)),
        Value::Media(media) => match media.source() {
            MediaSource::Stored(file) if media.kind() == MediaKind::Image => {
                let caption = escape(media.caption().unwrap_or_default());
                let url = escape(&file_url(path, &file.path));
                format!("<td><img src=\"{url}\" alt=\"{caption}\" loading=\"lazy\"></td>")
            }
            MediaSource::Stored(file) => {
                let (url, name) = (escape(&file_url(path, &file.path)), escape(&file.path));
                format!("<td><a href=\"{url}\">{name}</a></td>")
            }
            _ => "<td></td>".to_owned(),
        },
        value => format!("<td>{}</td>", short(value)),
    }
}

fn short(value: &Value) -> String {
    let text = cell_text(value);
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(CELL_CHARS).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{}{more}", escape(&start))
}

fn file_url(path: &TablePath, file: &str) -> String {
    let encode = |part: &str| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
    let file: Vec<String> = file.split('/').map(encode).collect();
    let [entity, project, table] = [path.entity(), path.project(), path.table()].map(encode);
    format!("/files/{entity}/{project}/{table}/{}", file.join("/"))
}

/// Lists the tables that somebody may read.
pub(super) fn list(state: &AppState, principal: &Principal) -> Response {
    let page = Html::new("Tables");
    let tables = state.store.tables();
    let mut items = String::new();
    for table in tables.iter().filter(|t| principal.may(Right::Read, t.path.entity())) {
        let exp = form_encode(&Expr::rows_of(table.path.clone()).to_string());
        let name = escape(&table.path.to_string());
        let rows = format!("{} {}", table.rows, plural(table.rows, "row", "rows"));
        items += &format!("<li><a href=\"/?exp={exp}\">{name}</a> ({rows})</li>");
    }
    let page = if items.is_empty() {
        page.paragraph("There is no table yet.")
    } else {
        page.raw(&format!("<ul>{items}</ul>"))
    };
    page.respond(StatusCode::OK)
}

fn plural<'a>(count: u64, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}
