//! A table as the last line of a cell in a Rust notebook.

use std::io::{self, Write};

use crate::{StreamTable, Table, blocking};

/// Height of the page in the notebook.
const HEIGHT: u32 = 460;

impl StreamTable {
    /// Shows the table's page in a notebook of the Jupyter kernel `evcxr`, which calls this for a table
    /// on the last line of a cell.
    ///
    /// If the backend has no page, it shows the table's name and its accounting.
    pub fn evcxr_display(&self) {
        let _ = write_content(&mut io::stdout(), &self.html());
    }

    fn html(&self) -> String {
        let (name, stats) = (escaped(&self.path().to_string()), escaped(&self.stats().to_string()));
        let Some(url) = self.panel_url().map(escaped) else {
            return format!("<p><b>{name}</b>: {stats}</p>");
        };
        format!(
            "<iframe src=\"{url}\" title=\"{name}\" style=\"width:100%;height:{HEIGHT}px;border:0\" \
             referrerpolicy=\"no-referrer\"></iframe>\
             <p><a href=\"{url}\" target=\"_blank\" rel=\"noopener\">{name}</a>: {stats}</p>"
        )
    }
}

impl blocking::StreamTable {
    /// Shows the table's page in a notebook; see [`crate::StreamTable::evcxr_display`].
    pub fn evcxr_display(&self) {
        self.handle().evcxr_display();
    }
}

impl<T> Table<T> {
    /// Shows the table's page in a notebook; see [`StreamTable::evcxr_display`].
    pub fn evcxr_display(&self) {
        self.untyped().evcxr_display();
    }
}

impl<T> blocking::Table<T> {
    /// Shows the table's page in a notebook; see [`crate::StreamTable::evcxr_display`].
    pub fn evcxr_display(&self) {
        self.untyped().evcxr_display();
    }
}

/// Writes HTML in the form that the kernel expects on standard output.
///
/// Source: "Custom display" in the documentation of `evcxr_jupyter`.
fn write_content(out: &mut dyn Write, html: &str) -> io::Result<()> {
    // One write, so that output of other threads does not come between the lines.
    out.write_all(
        format!("EVCXR_BEGIN_CONTENT text/html\n{html}\nEVCXR_END_CONTENT\n").as_bytes(),
    )?;
    out.flush()
}

/// Escapes text for HTML and its attributes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use streamtable_schema::row;

    use super::*;
    use crate::test_backend::Scripted;
    use crate::{Append, AppendError, Appended, Backend, Open, OpenError, Opened, Settings};

    #[derive(Debug)]
    struct WithPage;

    #[async_trait]
    impl Backend for WithPage {
        async fn open(&self, open: Open) -> Result<Opened, OpenError> {
            let url = "http://h/table?a=1&b=\"><script>".to_owned();
            Ok(Opened::new(open.name.to_path()?).with_panel_url(url))
        }

        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Ok(Appended::default())
        }
    }

    #[tokio::test]
    async fn the_page_is_shown() {
        let builder = StreamTable::builder("me/shop/rows").settings(Settings::default());
        let table = builder.backend(WithPage).open().await.unwrap();
        let mut out = Vec::new();
        write_content(&mut out, &table.html()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "EVCXR_BEGIN_CONTENT text/html\n\
             <iframe src=\"http://h/table?a=1&amp;b=&quot;&gt;&lt;script&gt;\" title=\"me/shop/rows\" \
             style=\"width:100%;height:460px;border:0\" \
             referrerpolicy=\"no-referrer\"></iframe>\
             <p><a href=\"http://h/table?a=1&amp;b=&quot;&gt;&lt;script&gt;\" target=\"_blank\" rel=\"noopener\">me/shop/rows</a>: \
             0 logged, 0 acked, 0 pending, 0 rejected, 0 dropped</p>\n\
             EVCXR_END_CONTENT\n"
        );
    }

    #[tokio::test]
    async fn without_a_page_the_accounting_is_shown() {
        let table = Scripted::new([]).builder().open().await.unwrap();
        table.log(row! { "n" => 1 }).await.unwrap().stored().await.unwrap();
        assert_eq!(
            table.html(),
            "<p><b>me/shop/rows</b>: 1 logged, 1 acked, 0 pending, 0 rejected, 0 dropped</p>"
        );
    }
}
