//! Live views of tables for pages: filtered, sorted and grouped, and kept up to date.
//!
//! A page speaks the protocol of Perspective's *virtual server*: it names a table and selects what
//! to show of it (columns, filters, groups, …), receives the size of the result, and requests the
//! part that is on its screen. A view runs this as SQL in the [`Store`](streamtable_store::Store), so
//! a page needs little work for a table of any size. The existing Rust crate for this protocol
//! handles one request at a time and does not support updates, so only its messages are used here
//! (`proto`).
//!
//! This crate opens no sockets and checks no keys: [`LiveConnection`] takes messages and a [`Viewer`], and
//! returns messages.
//!
//! | file | contents |
//! | --- | --- |
//! | `connection` | the handler of each request |
//! | `page_view` | a page's view: its expanded groups, and notifications of changes |
//! | `view_cache`, `budget` | sharing of views between pages, and the memory that they keep |
//! | `view` | the rows of a view, and reading a part of them |
//! | `grouped`, `gaps` | the tree of groups, split columns, time buckets without rows |
//! | `sql`, `shape`, `aggregate` | conversion of names, values and columns to SQL |
//! | `export`, `suggest`, `role` | views as files, a table's first boards, and the roles of its columns |
//! | `cells`, `window` | conversion of results to the page's format |

mod aggregate;
mod budget;
mod cells;
mod config;
mod connection;
mod error;
mod export;
mod features;
mod gaps;
mod grouped;
pub mod json;
#[cfg(test)]
mod laws;
mod page_view;
mod proto;
mod role;
mod shape;
mod sql;
mod suggest;
mod table_reader;
mod view;
mod view_cache;
mod window;

pub use config::ViewJson;
pub use connection::{LiveConnection, Outgoing, Viewer};
pub use error::LiveError;
pub use export::export;
pub use suggest::{Template, suggest, templates};
pub use table_reader::{TableAccess, TableReader};
pub use view_cache::ViewCache;
