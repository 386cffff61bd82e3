//! The SQL view of a table.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Result, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::functions::core::expr_fn::{coalesce, named_struct};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit, when};
use streamtable_wire::TIMESTAMP_COLUMN;

use super::mixed::Part;
use super::named::Named;
use super::table_scan::TableScan;
use crate::columns::{Column, Columns, Kind, Slot, fixed};
use crate::embedded::Snapshot;

/// A table with more columns than this is planned with only the columns that a query names: with
/// more than a hundred, planning would take longer than many queries.
const WIDE: usize = 100;

/// Creates the view of a table: `timestamp`, `_writer`, `_line`, then `_step` and `_runtime` if
/// clients record them, then the table's columns in first-seen order, and last, if requested, the
/// positions as `_pos`.
///
/// | a column of | is |
/// | --- | --- |
/// | booleans, integers, floats, texts, instants | `Boolean`, `Int64`, `Float64`, `Utf8View`, `Timestamp(µs, UTC)` |
/// | integers and floats | `Float64` |
/// | media | a struct: `kind`, `path`, `hash`, `size`, `width`, `height`, `format`, `caption` |
/// | lists and structs | JSON text |
/// | several of these | a [mixed column](super::mixed): a struct with a field for each kind in the order in which they came, all null except one: `n`, `s`, `b`, `t`, `media`, `json` |
/// | nothing but nulls | text |
///
/// For a table with more than [`WIDE`] columns, the view has only those of the table's own columns
/// that are `named`.
pub(super) fn view(
    snapshot: Snapshot,
    positions: bool,
    named: &Named,
) -> Result<Arc<dyn TableProvider>> {
    let (columns, has_steps) = (Arc::clone(&snapshot.columns), snapshot.has_steps);
    let is_narrow = columns.len() <= WIDE;
    let mut names = Names::default();
    // A row's own `timestamp`, or the time when it was logged.
    let mut exprs = vec![names.give(ident(fixed::TIME), TIMESTAMP_COLUMN)];
    for name in [fixed::WRITER, fixed::LINE] {
        exprs.push(names.give(ident(name), name));
    }
    if has_steps {
        for name in [fixed::STEP, fixed::RUNTIME] {
            exprs.push(names.give(ident(name), name));
        }
    }
    let mut slots = Vec::new();
    for column in rest(&columns) {
        let name = names.unique(&column.name);
        if is_narrow || named.has(&name) {
            exprs.push(value(column)?.alias(name));
            slots.extend(column.slots.iter().map(|slot| slot.place as u32));
        }
    }
    if positions {
        exprs.push(names.give(ident(fixed::POSITION), fixed::POSITION));
    }
    slots.sort_unstable();
    let schema = columns.schema_of(&slots);
    let source = provider_as_source(Arc::new(TableScan::new(snapshot, schema)));
    // The name is visible only in explanations.
    let plan = LogicalPlanBuilder::scan(TableReference::bare("rows"), source, None)?
        .project(exprs)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Returns the columns after those that every table has.
fn rest(columns: &Columns) -> impl Iterator<Item = &Column> {
    columns.iter().filter(|column| &*column.name != TIMESTAMP_COLUMN || !is_instants(column))
}

/// Gives each expression a unique name.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn give(&mut self, expr: Expr, name: &str) -> Expr {
        expr.alias(self.unique(name))
    }

    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        while !self.0.insert(unique.clone()) {
            unique.push('_');
        }
        unique
    }
}

fn is_instants(column: &Column) -> bool {
    column.slots.iter().all(|slot| slot.kind == Kind::Time)
}

fn value(column: &Column) -> Result<Expr> {
    let slot = |kind: Kind| column.slots.iter().find(|slot| slot.kind == kind);
    let field = |slot: &Slot| ident(&slot.field);
    let number = match (slot(Kind::Int), slot(Kind::Float)) {
        (Some(int), Some(float)) => {
            Some(coalesce(vec![field(float), cast(field(int), DataType::Float64)]))
        }
        (Some(slot), None) | (None, Some(slot)) => Some(field(slot)),
        (None, None) => None,
    };
    let member = |part: Part| {
        let expr = match part {
            Part::Number => number.clone(),
            Part::Text => slot(Kind::Text).map(field),
            Part::Bool => slot(Kind::Bool).map(field),
            Part::Time => slot(Kind::Time).map(field),
            Part::Media => slot(Kind::Media).map(field),
            Part::Json => slot(Kind::Json).map(field),
        };
        Some((part.name(), expr?))
    };
    let mut members: Vec<(&str, Expr)> =
        Part::of_column(column).into_iter().filter_map(member).collect();
    Ok(match members.len() {
        0 => lit(ScalarValue::Utf8View(None)),
        1 => members.remove(0).1,
        _ => {
            let is_null = column
                .slots
                .iter()
                .map(|slot| field(slot).is_null())
                .reduce(Expr::and)
                .unwrap_or_else(|| lit(true));
            let parts = members.into_iter().flat_map(|(name, expr)| [lit(name), expr]).collect();
            when(is_null.is_not_true(), named_struct(parts)).end()?
        }
    })
}
