//! The features that the server announces to pages.

use crate::aggregate::{BOOL, NUMBER, TEXT, TIME, WEIGHTED};
use crate::proto::{
    AggregateOption, AggregateOptions, ColumnType, FeaturesResp, Names, RollupMode,
};

const COMPARISONS: &[&str] =
    &["==", "!=", ">", ">=", "<", "<=", "in", "not in", "is null", "is not null"];

const TEXT_FILTERS: &[&str] = &[
    "==",
    "!=",
    "contains",
    "not contains",
    "begins with",
    "not begins with",
    "ends with",
    "not ends with",
    "in",
    "not in",
    ">",
    ">=",
    "<",
    "<=",
    "is null",
    "is not null",
];

const BOOL_FILTERS: &[&str] = &["==", "!=", "is null", "is not null"];

const TYPES: [(ColumnType, &[&str], &[&str]); 6] = [
    (ColumnType::String, TEXT_FILTERS, TEXT),
    (ColumnType::Float, COMPARISONS, NUMBER),
    (ColumnType::Integer, COMPARISONS, NUMBER),
    (ColumnType::Datetime, COMPARISONS, TIME),
    (ColumnType::Date, COMPARISONS, TIME),
    (ColumnType::Boolean, BOOL_FILTERS, BOOL),
];

/// Returns the features of the server.
pub(crate) fn features() -> FeaturesResp {
    let names = |names: &[&str]| Names { names: names.iter().map(|&it| it.to_owned()).collect() };
    let filters = TYPES.iter().map(|(ty, filters, _)| (*ty as u32, names(filters)));
    let aggregates = TYPES.iter().map(|(ty, _, aggregates)| {
        let plain = aggregates.iter().map(|&name| option(name, &[]));
        let is_number = matches!(ty, ColumnType::Float | ColumnType::Integer);
        let weighted = is_number.then(|| option(WEIGHTED, &[ColumnType::Float]));
        (*ty as u32, AggregateOptions { aggregates: plain.chain(weighted).collect() })
    });
    FeaturesResp {
        group_by: true,
        split_by: true,
        expressions: true,
        on_update: true,
        sort: true,
        filter_ops: filters.collect(),
        aggregates: aggregates.collect(),
        rollups: [RollupMode::Rollup, RollupMode::Flat, RollupMode::Total]
            .map(|it| it as i32)
            .to_vec(),
    }
}

fn option(name: &str, args: &[ColumnType]) -> AggregateOption {
    AggregateOption { name: name.to_owned(), args: args.iter().map(|&it| it as i32).collect() }
}
