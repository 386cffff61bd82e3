//! Functions with `OVER`, whose results may be much larger than their arguments: each row gets one.
//!
//! The engine computes the results of all rows of a partition in one call, and does not ask its
//! memory pool. So the functions are wrapped: they stop if the query has ended, and reserve the
//! memory of large results.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{
    AccumulatorArgs, ExpressionArgs, PartitionEvaluatorArgs, StateFieldsArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, LimitEffect, PartitionEvaluator,
    SetMonotonicity, Signature, WindowFunctionDefinition, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

use super::forward::{compare_by_function, forward_names};
use super::growth::row_bytes;
use super::running::RunningQuery;

/// Smaller results are not reserved: they are about as large as the rest of a row.
const SMALL_BYTES: u64 = 64;

/// Wraps a function with `OVER`.
pub(super) fn metered(
    function: WindowFunctionDefinition,
    query: &Arc<RunningQuery>,
) -> WindowFunctionDefinition {
    let query = Arc::clone(query);
    match function {
        WindowFunctionDefinition::AggregateUDF(function)
            if !function.inner().is::<Metered<AggregateUDF>>() =>
        {
            let metered = AggregateUDF::from(Metered { function, query });
            WindowFunctionDefinition::AggregateUDF(Arc::new(metered))
        }
        WindowFunctionDefinition::WindowUDF(function)
            if !function.inner().is::<Metered<WindowUDF>>() =>
        {
            let metered = WindowUDF::from(Metered { function, query });
            WindowFunctionDefinition::WindowUDF(Arc::new(metered))
        }
        function => function,
    }
}

/// Reserves the memory of a result that some rows have.
fn hold(query: &RunningQuery, value: &ScalarValue, rows: usize) -> Result<()> {
    query.check()?;
    let bytes = match value.try_as_str() {
        Some(text) => text.map_or(0, |text| text.len() as u64),
        None if value.data_type().is_primitive() => 0,
        None => row_bytes(&value.to_array()?).iter().sum(),
    };
    let bytes = bytes.saturating_sub(SMALL_BYTES).saturating_mul(rows as u64);
    query.reserve(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// A function whose results are reserved.
#[derive(Debug)]
struct Metered<F> {
    function: Arc<F>,
    query: Arc<RunningQuery>,
}

compare_by_function!(Metered);

/// Everything is forwarded, except what returns another function or is used without `OVER` only.
impl AggregateUDFImpl for Metered<AggregateUDF> {
    forward_names!(&AggregateFunctionParams);

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.function.window_function_schema_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.function.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        self.function.return_field(arg_fields)
    }

    fn is_nullable(&self) -> bool {
        self.function.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let inner = self.function.accumulator(args)?;
        Ok(Box::new(MeteredAccumulator { inner, query: Arc::clone(&self.query), rows: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.function.state_fields(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        let inner = self.function.create_sliding_accumulator(args)?;
        Ok(Box::new(MeteredAccumulator { inner, query: Arc::clone(&self.query), rows: 0 }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.function.order_sensitivity()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.function.is_descending()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.function.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.function.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.function.supports_within_group_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.function.inner().set_monotonicity(data_type)
    }
}

#[derive(Debug)]
struct MeteredAccumulator {
    inner: Box<dyn Accumulator>,
    query: Arc<RunningQuery>,
    /// The rows since the last result, each of which may get the next result.
    rows: usize,
}

impl Accumulator for MeteredAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.query.check()?;
        self.rows += values.first().map_or(0, |values| values.len());
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        hold(&self.query, &value, self.rows.max(1))?;
        self.rows = 0;
        Ok(value)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

/// Everything is forwarded, except what returns another function.
impl WindowUDFImpl for Metered<WindowUDF> {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn expressions(&self, args: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        self.function.expressions(args)
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let inner = self.function.partition_evaluator_factory(args)?;
        Ok(Box::new(MeteredEvaluator { inner, query: Arc::clone(&self.query) }))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        self.function.field(args)
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.function.sort_options()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.function.inner().limit_effect(args)
    }
}

#[derive(Debug)]
struct MeteredEvaluator {
    inner: Box<dyn PartitionEvaluator>,
    query: Arc<RunningQuery>,
}

impl PartitionEvaluator for MeteredEvaluator {
    fn memoize(&mut self, state: &mut WindowAggState) -> Result<()> {
        self.inner.memoize(state)
    }

    fn get_range(&self, row: usize, rows: usize) -> Result<Range<usize>> {
        self.inner.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.query.check()?;
        self.inner.evaluate_all(values, rows)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let value = self.inner.evaluate(values, range)?;
        hold(&self.query, &value, 1)?;
        Ok(value)
    }

    fn evaluate_all_with_rank(&self, rows: usize, ranks: &[Range<usize>]) -> Result<ArrayRef> {
        self.inner.evaluate_all_with_rank(rows, ranks)
    }

    fn supports_bounded_execution(&self) -> bool {
        self.inner.supports_bounded_execution()
    }

    fn uses_window_frame(&self) -> bool {
        self.inner.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.inner.include_rank()
    }
}
