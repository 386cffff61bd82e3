//! Functions that accept mixed cells while a query is planned.
//!
//! The engine's planner computes the type of each call while it reads the query, and refuses a
//! function of numbers on a struct. So during planning each function is replaced by one that has the
//! type of the call after the rules are applied. [`resolve`](super::resolve()) removes them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Column, Result, exec_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::logical_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
};

use super::KnownColumns;
use super::functions::{self, Use};
use super::part::parts;
use super::planning::json_of;
use super::rules::{self, Operand, Taken};
use crate::query::forward::{compare_by_function, forward_names};

/// Replaces the functions of a session by ones that accept mixed cells.
pub(super) fn accept_mixed(state: &mut SessionState, known: &Arc<KnownColumns>) -> Result<()> {
    // A function with several names is there once for each.
    let scalars: HashMap<String, Arc<ScalarUDF>> = state
        .scalar_functions()
        .values()
        .map(|it| (it.name().to_owned(), Arc::clone(it)))
        .collect();
    for function in scalars.into_values() {
        state.register_udf(accepting(function, known))?;
    }
    let sets: HashMap<String, Arc<AggregateUDF>> = state
        .aggregate_functions()
        .values()
        .map(|it| (it.name().to_owned(), Arc::clone(it)))
        .collect();
    for function in sets.into_values() {
        let accepting = AggregateUDF::from(Accepting::new(function, known));
        state.register_udaf(Arc::new(accepting))?;
    }
    Ok(())
}

pub(super) fn accepting(function: Arc<ScalarUDF>, known: &Arc<KnownColumns>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Accepting::new(function, known)))
}

fn any_arguments(signature: &Signature) -> Signature {
    let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
    Signature { type_signature: TypeSignature::OneOf(any), ..signature.clone() }
}

/// A function that accepts mixed cells, and columns of lists. It cannot be called.
#[derive(Debug)]
struct Accepting<F> {
    function: Arc<F>,
    signature: Signature,
    known: Arc<KnownColumns>,
}

compare_by_function!(Accepting);

/// Returns the function that another replaces during planning.
pub(super) fn scalar(function: &ScalarUDF) -> Option<&Arc<ScalarUDF>> {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.downcast_ref::<Accepting<ScalarUDF>>().map(|it| &it.function)
}

/// Returns the function that another replaces during planning.
pub(super) fn aggregate(function: &AggregateUDF) -> Option<&Arc<AggregateUDF>> {
    let inner: &dyn std::any::Any = function.inner().as_ref();
    inner.downcast_ref::<Accepting<AggregateUDF>>().map(|it| &it.function)
}

impl<F: UDFCoercionExt> Accepting<F> {
    fn new(function: Arc<F>, known: &Arc<KnownColumns>) -> Self {
        let signature = any_arguments(function.signature());
        Self { function, signature, known: Arc::clone(known) }
    }

    /// Returns the arguments that the function gets.
    fn arguments(&self, fields: &[FieldRef], uses: impl Fn(usize) -> Use) -> Result<Vec<FieldRef>> {
        let operands: Vec<Operand<'_>> =
            fields.iter().map(|it| Operand { ty: it.data_type(), literal: None }).collect();
        let taken = rules::arguments(uses, &operands)
            .map_err(|unfit| unfit.error(fields[unfit.operand].name()))?;
        let Some(taken) = taken else { return fields_with_udf(fields, &*self.function) };
        let given = fields.iter().zip(taken).map(|(field, taken)| {
            let ty = taken.ty(field.data_type());
            Arc::new(field.as_ref().clone().with_data_type(ty).with_nullable(true))
        });
        fields_with_udf(&given.collect::<Vec<_>>(), &*self.function)
    }
}

impl ScalarUDFImpl for Accepting<ScalarUDF> {
    forward_names!(&[Expr]);

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a type only with its arguments", self.function.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let name = self.function.name();
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        if types.iter().any(|ty| parts(ty).is_some())
            && let Some(values) = functions::conditional_values(name, &types)
        {
            let taken = rules::cells(values).map_err(|unfit| unfit.error(name))?;
            let first = taken.into_iter().flatten().next().unwrap_or(Taken::Whole);
            return Ok(Arc::new(Field::new(name, first.ty(&values[0]), true)));
        }
        let uses = |i| functions::scalar(name, i).unwrap_or(Use::Whole);
        let list = |field: &FieldRef| {
            let column = Column::from_name(field.name());
            json_of(&column, field.data_type()).filter(|_| functions::takes_lists(name))?;
            self.known.native(field.name())
        };
        let given = args.arg_fields.iter().map(|field| match list(field) {
            Some(list) => Arc::new(field.as_ref().clone().with_data_type(list)),
            None => Arc::clone(field),
        });
        let arg_fields = self.arguments(&given.collect::<Vec<_>>(), uses)?;
        self.function.return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, ..args })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{} was not resolved", self.function.name())
    }
}

impl AggregateUDFImpl for Accepting<AggregateUDF> {
    forward_names!(&AggregateFunctionParams);

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.function.window_function_schema_name(params)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a type only with its arguments", self.function.name())
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let uses = |i| functions::set(self.function.name(), i).unwrap_or(Use::Whole);
        self.function.return_field(&self.arguments(fields, uses)?)
    }

    fn is_nullable(&self) -> bool {
        self.function.is_nullable()
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.function.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.function.supports_within_group_clause()
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        exec_err!("{} was not resolved", self.function.name())
    }
}
