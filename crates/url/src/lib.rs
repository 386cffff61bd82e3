//! Links that open a StreamTable, and the expressions they carry.
//!
//! A panel's link is a server's address and `?exp=`, followed by an [expression](Expr) in the
//! language that Weave prints: `get("…")`, `.rows`, then the steps. This crate builds and parses
//! such links, and reports the position of syntax errors. It does no I/O, reads no environment
//! variable, and does not know the types of columns: it only reads and writes text.
//!
//! ```
//! use streamtable_url::{BaseUrl, Expr, panel_url, parse_link};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // The board's address: WEAVE_SERVER_URL is not set, and the API is W&B's own.
//!     let board = BaseUrl::board(None, "https://api.wandb.ai")?;
//!     let table = "stacey/mesa/my_stream_table".parse()?;
//!     let url = panel_url(&board, &table);
//!     assert!(url.starts_with("https://weave.wandb.ai/?exp=get%28%0A++++%22wandb-artifact%3A%2F%2F"));
//!
//!     let mut expr = parse_link(&url)?;
//!     assert_eq!(expr, Expr::rows_of(table));
//!
//!     let mistakes: Expr = r#"
//!         get("wandb-artifact:///stacey/mesa/my_stream_table:latest/obj").rows
//!           .filter((row) => row["truth"] != row["prediction"] and row["score"] >= 0.5)
//!           .sort((row) => [row["timestamp"]], ["desc"])
//!           .limit(100)
//!     "#
//!     .parse()?;
//!     assert_eq!(mistakes.source, expr.source);
//!     assert_eq!(mistakes.steps.len(), 3);
//!
//!     let error = r#"get("wandb-artifact:///e/p/t:latest/obj").rows.limit("10")"#.parse::<Expr>();
//!     assert_eq!(
//!         error.unwrap_err().to_string(),
//!         "line 1, column 54: expected a number of rows, found '\"'"
//!     );
//!     Ok(())
//! }
//! ```

mod artifact;
mod base;
mod error;
mod expr;
mod filter;
mod form;
#[cfg(test)]
mod laws;
mod link;
mod parse;
mod print;
mod scan;

pub use artifact::{ArtifactUri, UriError};
pub use base::{BaseUrl, BaseUrlError};
pub use error::{ParseError, Reason};
pub use expr::{Direction, Expr, SortKey, Step};
pub use filter::{Comparison, Filter, Group, Literal, Operand};
pub use form::{FormError, form_decode, form_encode};
pub use link::{LinkError, expr_url, panel_url, parse_link, parse_query, run_url, table_of_path};
pub use parse::{MAX_FILTER_DEPTH, MAX_TEXT_BYTES};
