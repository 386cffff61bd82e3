//! Checks of a view's configuration, and the types of its columns.

use std::collections::BTreeMap;

use crate::aggregate::aggregate;
use crate::config::ViewConfig;
use crate::error::LiveError;
use crate::proto::{ColumnType, DescribeResp, Described, ExpressionError, Types};
use crate::shape::Column;
use crate::sql;
use crate::table_reader::{Columns, TableReader};

/// Returns the types of a view's columns, by the names of the table's columns.
pub(super) fn view_schema(
    config: &ViewConfig,
    columns: &Columns,
) -> Result<BTreeMap<String, i32>, LiveError> {
    let ty = |column: &Column| -> Result<ColumnType, LiveError> {
        if !config.is_grouped() {
            return Ok(column.ty());
        }
        let how = config.aggregates.get(&column.name).map(Vec::as_slice).unwrap_or_default();
        let with = how.iter().skip(1).map(|name| Ok(Column::find(&columns.all, name)?.clone()));
        let with = with.collect::<Result<Vec<_>, LiveError>>()?;
        Ok(aggregate(how.first().map(String::as_str), column, &with)?.shape.ty())
    };
    let shown = columns.shown(config)?;
    shown.iter().map(|column| Ok((column.name.clone(), ty(column)? as i32))).collect()
}

/// Returns the types of the columns that a view computes.
pub(super) fn computed_types(columns: &Columns) -> BTreeMap<String, i32> {
    let computed = columns.all.iter().skip(columns.own);
    computed.map(|column| (column.name.clone(), column.ty() as i32)).collect()
}

/// Checks whether a view can be computed. Returns the types of its columns, or the reason why not:
/// for each wrong expression, if there are any.
pub(super) async fn describe(
    reader: &TableReader,
    config: ViewConfig,
) -> Result<DescribeResp, LiveError> {
    let mut resp = DescribeResp::default();
    match reader.columns(&config).await {
        Ok(columns) => {
            resp.expressions = computed_types(&columns);
            resp.result = Some(match checked_schema(&config, &columns) {
                Ok(schema) => Described::View(Types { schema }),
                Err(error) => Described::Error(error.to_string()),
            });
            return Ok(resp);
        }
        Err(error) if config.expressions.is_empty() => return Err(error),
        Err(_) => {}
    }
    // At least one expression is wrong: check each alone.
    for (name, text) in &config.expressions {
        let expressions = BTreeMap::from([(name.clone(), text.clone())]);
        match reader.columns(&ViewConfig { expressions, ..ViewConfig::default() }).await {
            Ok(columns) => resp.expressions.extend(computed_types(&columns)),
            Err(error) => {
                let error = ExpressionError { message: error.to_string(), line: 0, column: 0 };
                resp.errors.insert(name.clone(), error);
            }
        }
    }
    Ok(resp)
}

fn checked_schema(
    config: &ViewConfig,
    columns: &Columns,
) -> Result<BTreeMap<String, i32>, LiveError> {
    sql::condition(config, &columns.all)?;
    sql::order(config, &columns.all)?;
    for name in config.group_by.iter().chain(&config.split_by) {
        Column::find(&columns.all, name)?;
    }
    view_schema(config, columns)
}
