//! Live views of tables for pages: filtered, sorted and grouped, and kept up to date.
//!
//! A page speaks the protocol of Perspective's *virtual server*: it names a table and selects what
//! to show of it (columns, filters, groups, …), receives the size of the result, and requests the
//! part that is on its screen. A view runs this as SQL in the [`Store`](streamtable_store::Store), so
//! a page needs little work for a table of any size. The existing Rust crate for this protocol
//! handles one request at a time and does not support updates, so only its messages are used here
//! ([`proto`]).
//!
//! This crate opens no sockets and checks no keys: [`Session`] takes messages and a [`Viewer`], and
//! returns messages.
//!
//! | file | contents |
//! | --- | --- |
//! | `session` | the handler of each request |
//! | `open` | a page's view: its expanded groups, and notifications of changes |
//! | `hub` | sharing of views between pages |
//! | `view` | the rows of a view, and reading a part of them |
//! | `grouped`, `gaps` | the tree of groups, split columns, time buckets without rows |
//! | `sql`, `shape`, `aggregate` | conversion of names, values and columns to SQL |
//! | `export`, `suggest`, `role` | views as files, a table's first boards, and the roles of its columns |
//! | `cells`, `window` | conversion of results to the page's format |

mod aggregate;
mod cells;
mod config;
mod error;
mod export;
mod features;
mod gaps;
mod grouped;
mod hub;
pub mod json;
#[cfg(test)]
mod laws;
mod open;
mod proto;
mod role;
mod session;
mod shape;
mod source;
mod sql;
mod suggest;
mod view;
mod window;

pub use config::ViewJson;
pub use error::LiveError;
pub use export::export;
pub use hub::Hub;
pub use session::{Outgoing, Session, Viewer};
pub use source::{Source, TableAccess};
pub use suggest::{Template, suggest, templates};
