//! Finds rows by their steps.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNullExpr};

use super::table_scan::within;
use crate::columns::fixed;
use crate::memtable::positions;
use crate::ranges::Ranges;

/// Fewest rows that are kept before the last of them are dropped.
const MIN_KEPT: usize = 4096;

/// Collects the first rows whose step is in a range, in the order of steps, then of positions. The
/// step of a row without one is its position.
///
/// Keeps at most twice as many rows as are wanted, however many there are.
#[derive(Debug)]
pub(super) struct FirstSteps {
    range: Range<i64>,
    limit: usize,
    found: Vec<(i64, u64)>,
    /// The last of the first `limit` rows so far, if there are `limit` rows.
    last: Option<(i64, u64)>,
}

impl FirstSteps {
    pub(super) fn new(range: Range<i64>, limit: usize) -> Self {
        Self { range, limit, found: Vec::new(), last: None }
    }

    /// Adds the rows of a batch, except deleted ones.
    pub(super) fn add(&mut self, batch: &RecordBatch, deleted: &Ranges) {
        let Some(positions) = positions(batch) else { return };
        let steps = batch.column_by_name(fixed::STEP);
        let steps = steps.and_then(|it| it.as_primitive_opt::<Int64Type>());
        let positions = positions.values();
        match steps {
            Some(steps) if steps.null_count() == 0 => {
                // Nearly all rows of a large table are outside the range.
                let Range { start, end } = self.range;
                for (i, &step) in steps.values().iter().enumerate() {
                    if step >= start && step < end {
                        self.push(step, positions[i], deleted);
                    }
                }
            }
            steps => {
                for (i, &position) in positions.iter().enumerate() {
                    let own = steps.filter(|it| it.is_valid(i)).map(|it| it.value(i));
                    self.push(own.unwrap_or(position), position, deleted);
                }
            }
        }
    }

    fn push(&mut self, step: i64, position: i64, deleted: &Ranges) {
        let place = (step, position as u64);
        if !self.range.contains(&step)
            || self.last.is_some_and(|last| place > last)
            || deleted.contains(place.1)
        {
            return;
        }
        self.found.push(place);
        if self.found.len() >= 2 * self.limit.max(MIN_KEPT) {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.found.sort_unstable();
        self.found.truncate(self.limit);
        self.last = self.found.last().copied().filter(|_| self.found.len() == self.limit);
    }

    /// Returns the steps and positions of the rows.
    pub(super) fn finish(mut self) -> Vec<(i64, u64)> {
        self.shorten();
        self.found
    }

    /// Returns the conditions of the rows with a step in the range: of those with a step of their
    /// own, and of the others. Each is a conjunction of conditions on one column, by which files, row
    /// groups and pages are pruned.
    pub(super) fn conditions(&self, schema: &SchemaRef) -> Result<[Arc<dyn PhysicalExpr>; 2]> {
        let column = |name| -> Result<Arc<dyn PhysicalExpr>> {
            Ok(Arc::new(Column::new_with_schema(name, schema)?))
        };
        let (step, position) = (column(fixed::STEP)?, column(fixed::POSITION)?);
        let has_none = Arc::new(IsNullExpr::new(Arc::clone(&step)));
        let by_position = within(&position, self.range.clone());
        let by_position = BinaryExpr::new(has_none, Operator::And, by_position);
        Ok([within(&step, self.range.clone()), Arc::new(by_position)])
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;

    use super::*;

    fn batch(from: i64, steps: &[Option<i64>]) -> RecordBatch {
        let positions: Vec<i64> = (from..).take(steps.len()).collect();
        let columns = [
            (fixed::POSITION, Arc::new(Int64Array::from(positions)) as _),
            (fixed::STEP, Arc::new(Int64Array::from(steps.to_vec())) as _),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn the_first_rows_are_those_with_the_lowest_steps() {
        #[track_caller]
        fn check(range: Range<i64>, limit: usize, expected: &[(i64, u64)]) {
            let mut first = FirstSteps::new(range, limit);
            let mut deleted = Ranges::default();
            deleted.add(4..5);
            first.add(&batch(0, &[Some(7), Some(3), None, Some(3)]), &deleted);
            first.add(&batch(4, &[Some(3), Some(0)]), &deleted);
            assert_eq!(first.finish(), expected);
        }
        check(0..10, 10, &[(0, 5), (2, 2), (3, 1), (3, 3), (7, 0)]);
        check(2..4, 10, &[(2, 2), (3, 1), (3, 3)]);
        check(3..8, 2, &[(3, 1), (3, 3)]);
        check(3..8, 0, &[]);
        check(8..9, 5, &[]);
    }

    #[test]
    fn few_rows_are_kept_of_many() {
        let deleted = Ranges::default();
        for limit in [1, 5, 5000] {
            let mut first = FirstSteps::new(0..i64::MAX, limit);
            let most = 2 * limit.max(MIN_KEPT);
            let mut expected = Vec::new();
            for from in (0..100_000).step_by(1000) {
                // A permutation, so that the first rows are everywhere.
                let steps: Vec<i64> = (from..from + 1000).map(|i| i * 7919 % 100_003).collect();
                expected.extend(steps.iter().zip(from as u64..).map(|(&step, at)| (step, at)));
                let steps: Vec<_> = steps.into_iter().map(Some).collect();
                first.add(&batch(from, &steps), &deleted);
                assert!(first.found.len() <= most);
            }
            expected.sort_unstable();
            expected.truncate(limit);
            assert_eq!(first.finish(), expected);
        }
    }
}
