//! SQL queries and their results.

mod catalog;
mod checked;
mod engine;
mod expression;
mod functions;
mod growth;
mod icontains;
mod in_order;
mod interrupt;
mod named;
mod newest_first;
mod plan_limits;
mod running;
mod sql_limits;
mod table_scan;
mod text_concat;
mod view;

pub(crate) use catalog::Tables;
pub(crate) use engine::Engine;
pub use expression::row_expression;
