//! The SQL view of a table.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Result, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::functions::core::expr_fn::{coalesce, named_struct};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit, when};
use streamtable_schema::TIMESTAMP_COLUMN;
use streamtable_wire::{CELL_MARK, CellMark};

use super::mixed::{Part, json_text};
use super::named::Named;
use super::table_scan::TableScan;
use crate::columns::{Column, Columns, Kind, Slot, fixed};
use crate::embedded::Snapshot;

/// A table with more columns than this is planned with only the columns that a query names: with
/// more than a hundred, planning would take longer than many queries.
const WIDE: usize = 100;

/// The column of the rows' times, whatever `timestamp` is.
const LOG_TIME: &str = "_timestamp";

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
/// In a table with a user's column `timestamp`, the rows' times are `_timestamp`; in `timestamp`, rows
/// before its first value have their times. In other tables, queries can name `_timestamp`, too.
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
    let is_users = columns.user_timestamp().is_some();
    let time = if is_users { LOG_TIME } else { TIMESTAMP_COLUMN };
    let mut exprs = vec![names.give(ident(fixed::TIME), time)];
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
            exprs.push(value(column)?.alias_with_metadata(name, mark(column)));
            slots.extend(column.slots.iter().map(|slot| slot.place as u32));
        }
    }
    if !is_users && named.has_word(LOG_TIME) {
        exprs.push(names.give(ident(fixed::TIME), LOG_TIME));
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
    columns.iter().filter(|column| !column.is_row_time())
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

/// Returns the instants of a column. Those of the user's column `timestamp` in rows before its first value
/// are the rows' times.
fn instants(column: &Column, slot: &Slot) -> Result<Expr> {
    let stored = ident(&slot.field);
    if &*column.name != TIMESTAMP_COLUMN || column.users_since() == 0 {
        return Ok(stored);
    }
    let is_earlier = ident(fixed::POSITION).lt(lit(column.users_since() as i64));
    Ok(coalesce(vec![stored, when(is_earlier, ident(fixed::TIME)).end()?]))
}

/// Returns the metadata of a column with values that have no Arrow type.
fn mark(column: &Column) -> Option<FieldMetadata> {
    let mark = match Part::of_column(column)[..] {
        [Part::Json] => CellMark::Json,
        [Part::Media] => CellMark::Media,
        [] | [_] => return None,
        _ => CellMark::Mixed,
    };
    Some(BTreeMap::from([(CELL_MARK.to_owned(), mark.name().to_owned())]).into())
}

/// Returns the lists and structs of a column as JSON text.
fn nested(column: &Column) -> Option<Expr> {
    let is_nested = |slot: &&Slot| slot.kind == Kind::Json || slot.is_native();
    let slots: Vec<&Slot> = column.slots.iter().filter(is_nested).collect();
    Some(match slots[..] {
        [] => return None,
        [slot] if slot.kind == Kind::Json => ident(&slot.field),
        [slot] => json_text(ident(&slot.field)),
        _ => {
            let slots = slots.into_iter();
            let named =
                slots.flat_map(|slot| [lit(format!("({})", slot.field)), ident(&slot.field)]);
            json_text(named_struct(named.collect()))
        }
    })
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
    let time = slot(Kind::Time).map(|slot| instants(column, slot)).transpose()?;
    let member = |part: Part| {
        let expr = match part {
            Part::Number => number.clone(),
            Part::Text => slot(Kind::Text).map(field),
            Part::Bool => slot(Kind::Bool).map(field),
            Part::Time => time.clone(),
            Part::Media => slot(Kind::Media).map(field),
            Part::Json => nested(column),
        };
        Some((part.name(), expr?))
    };
    let mut members: Vec<(&str, Expr)> =
        Part::of_column(column).into_iter().filter_map(member).collect();
    Ok(match members.len() {
        0 => lit(ScalarValue::Utf8View(None)),
        1 => members.remove(0).1,
        _ => {
            let is_null = members
                .iter()
                .map(|(_, expr)| expr.clone().is_null())
                .reduce(Expr::and)
                .unwrap_or_else(|| lit(true));
            let parts = members.into_iter().flat_map(|(name, expr)| [lit(name), expr]).collect();
            when(is_null.is_not_true(), named_struct(parts)).end()?
        }
    })
}
