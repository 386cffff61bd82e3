//! SQL queries and their results.

mod catalog;
mod checked;
mod costs;
mod engine;
mod expression;
mod forward;
mod functions;
mod growth;
mod icontains;
mod in_order;
mod interrupt;
mod json_operators;
mod library;
mod messages;
mod mixed;
mod named;
mod nesting;
mod newest_first;
mod operators;
mod patterns;
mod plan_limits;
mod running;
mod sql_limits;
mod steps;
mod table_scan;
mod types;
mod view;
mod windows;

pub(crate) use catalog::Tables;
pub(crate) use engine::Engine;
pub use expression::row_expression;
