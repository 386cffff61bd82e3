//! Small HTML pages.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// Builder of a page.
#[derive(Clone, Debug)]
pub(super) struct Html {
    title: String,
    body: String,
}

impl Html {
    pub(super) fn new(title: &str) -> Self {
        Self { title: escape(title), body: String::new() }
    }

    /// Adds a paragraph of text.
    pub(super) fn paragraph(self, text: &str) -> Self {
        let text = escape(text);
        self.raw(&format!("<p>{text}</p>"))
    }

    /// Adds text that is already HTML.
    pub(super) fn raw(mut self, html: &str) -> Self {
        self.body.push_str(html);
        self
    }

    pub(super) fn respond(self, status: StatusCode) -> Response {
        let Self { title, body } = self;
        let page = format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title} – StreamTable</title><link rel=\"stylesheet\" href=\"/style.css\">\
             <link rel=\"icon\" type=\"image/svg+xml\" href=\"/assets/icon.svg\">\
             </head><body><main><h1>{title}</h1>{body}</main></body></html>\n"
        );
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        (status, [(CONTENT_TYPE, html)], page).into_response()
    }
}

/// Escapes a text for HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
