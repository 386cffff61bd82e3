//! The W&B protocol of StreamTable's server: the GraphQL API, file streams, and files by signed
//! URLs.
//!
//! A table is a run whose rows are its history. Rows go to a [`Store`](streamtable_store::Store);
//! projects, runs and artifacts are tables in the server's catalog ([`TABLES`]). This crate opens
//! no sockets: [`Wandb::router`] returns the routes.

mod catalog;
mod config;
mod file_stream;
mod graphql;
mod resumes;
mod rows;
mod state;
mod storage;

pub use catalog::TABLES;
pub use config::WandbConfig;
pub use state::Wandb;
pub use storage::run_file_url;
