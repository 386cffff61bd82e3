//! `GET /api/live`: views of tables for pages, kept up to date.
//!
//! A page speaks the protocol of Perspective's *virtual server* over a WebSocket: it names a table
//! and what it wants to see of it (columns, filters, groups, …), is told how large that is, and asks
//! for the part that is on its screen. What it wants becomes SQL, which the store answers, so that a
//! table of any size costs the page nothing. The crate that has this protocol in Rust answers one
//! request at a time and knows nothing of updates; so only its messages are here ([`proto`]).
//!
//! | file | what it decides |
//! | --- | --- |
//! | `socket` | what a connection may cost, and when it ends |
//! | `session` | what each request means |
//! | `open` | which of a view's groups are open, and when its page is told of news |
//! | `hub` | that those who look at the same share its work |
//! | `view` | which rows a view has, and how a part of it is read |
//! | `grouped`, `gaps` | the tree of groups, columns that are split, buckets of time without rows |
//! | `sql`, `shape`, `aggregate` | how names, values and columns become SQL |
//! | `export`, `suggest`, `role` | the same views as files, a table's first boards, and what its columns are for |
//! | `cells`, `window` | how answers become what a page takes |

mod aggregate;
mod cells;
mod config;
mod error;
mod export;
mod features;
mod gaps;
mod grouped;
mod hub;
#[cfg(test)]
mod laws;
mod open;
mod proto;
mod role;
mod session;
mod shape;
mod socket;
mod source;
mod sql;
mod suggest;
mod view;
mod window;

pub(crate) use export::{export, first_board, templates};
pub(crate) use hub::Hub;
pub(crate) use socket::live;
