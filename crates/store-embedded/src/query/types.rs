//! Bounds on types: planning, encoding and dropping them recurse into them.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::functions::core::{named_struct, r#struct};
use datafusion::functions_nested::make_array::make_array;
use datafusion::functions_nested::map::map_udf;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawDictionaryExpr};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TryCast,
};
use streamtable_store::StoreError;

use super::forward::forward_to_function;

/// The maximum number of types inside each other: those of a row, and some more for functions that
/// make lists of them.
const MAX_DEPTH: usize = streamtable_schema::MAX_DEPTH + 16;

/// The maximum number of types of which one consists.
const MAX_PARTS: usize = 1 << 17;

/// The maximum number of elements of a type of a fixed size: a null of it takes as much memory as a
/// value.
const MAX_WIDTH: usize = 4_096;

/// Refuses a type that is too deep, too wide, or that consists of too many types.
pub(super) fn check_type(ty: &DataType) -> Result<(), StoreError> {
    let mut parts = 0_usize;
    let mut open = vec![(ty, 1_usize, 1_usize)];
    while let Some((ty, depth, width)) = open.pop() {
        parts += 1;
        check(depth, MAX_DEPTH, "levels")?;
        check(parts, MAX_PARTS, "parts")?;
        let depth = depth + 1;
        match ty {
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::ListView(field)
            | DataType::LargeListView(field)
            | DataType::Map(field, _) => open.push((field.data_type(), depth, 1)),
            DataType::FixedSizeList(field, size) => {
                let width = width.saturating_mul(usize::try_from(*size).unwrap_or(0));
                check(width, MAX_WIDTH, "elements")?;
                open.push((field.data_type(), depth, width));
            }
            DataType::FixedSizeBinary(size) => {
                let width = width.saturating_mul(usize::try_from(*size).unwrap_or(0));
                check(width, MAX_WIDTH, "bytes")?;
            }
            DataType::Struct(fields) => {
                open.extend(fields.iter().map(|field| (field.data_type(), depth, width)));
            }
            DataType::Union(fields, _) => {
                open.extend(fields.iter().map(|(_, field)| (field.data_type(), depth, width)));
            }
            DataType::Dictionary(key, value) => {
                open.extend([(&**key, depth, 1), (&**value, depth, 1)]);
            }
            DataType::RunEndEncoded(ends, values) => {
                open.extend([(ends.data_type(), depth, 1), (values.data_type(), depth, 1)]);
            }
            _ => {}
        }
    }
    Ok(())
}

fn check(found: usize, limit: usize, what: &str) -> Result<(), StoreError> {
    if found <= limit {
        return Ok(());
    }
    let message = format!("a column or a cast has a type of more than {limit} {what}");
    Err(StoreError::Query { message })
}

/// Refuses an expression whose type is too deep, too wide or too large: a cast, or a function that
/// reads a type from a text.
pub(super) fn check_expr(expr: &Expr) -> Result<(), StoreError> {
    match expr {
        Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) => {
            check_type(field.data_type())
        }
        Expr::ScalarFunction(call) if FROM_TEXT.contains(&call.func.name()) => {
            call.args.iter().try_for_each(check_literal)
        }
        _ => Ok(()),
    }
}

fn check_literal(expr: &Expr) -> Result<(), StoreError> {
    let Expr::Literal(value, _) = expr else { return Ok(()) };
    check_text(value.try_as_str().flatten().unwrap_or_default())
}

/// A function that reads a type from a text, with a bound on the depth: the parser of types
/// recurses. Or one whose type contains the types of several arguments: a chain of `WITH` could
/// double a type at each step, and planning walks through all of its parts.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct BoundType {
    function: Arc<ScalarUDF>,
}

/// The names of the functions that read a type from a text.
const FROM_TEXT: [&str; 2] = ["arrow_cast", "arrow_try_cast"];

impl BoundType {
    /// The names of the functions.
    pub(super) const NAMES: [&str; 6] =
        ["arrays_zip", FROM_TEXT[0], FROM_TEXT[1], "map", "named_struct", "struct"];

    pub(super) fn new(function: Arc<ScalarUDF>) -> Self {
        Self { function }
    }

    fn call(function: Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
        ScalarUDF::from(Self::new(function)).call(args)
    }

    fn reads_text(&self) -> bool {
        FROM_TEXT.contains(&self.function.name())
    }
}

/// Plans literals of structs and maps as calls of functions with bounds.
#[derive(Debug)]
pub(super) struct BoundLiterals;

impl ExprPlanner for BoundLiterals {
    fn plan_dictionary_literal(
        &self,
        expr: RawDictionaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        let entries = expr.keys.into_iter().zip(expr.values);
        let args = entries.flat_map(|(key, value)| [key, value]).collect();
        Ok(PlannerResult::Planned(BoundType::call(named_struct(), args)))
    }

    fn plan_struct_literal(
        &self,
        args: Vec<Expr>,
        is_named_struct: bool,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let function = if is_named_struct { named_struct() } else { r#struct() };
        Ok(PlannerResult::Planned(BoundType::call(function, args)))
    }

    fn plan_make_map(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let (keys, values): (Vec<_>, Vec<_>) =
            args.chunks_exact(2).map(|entry| (entry[0].clone(), entry[1].clone())).unzip();
        let args = vec![make_array(keys), make_array(values)];
        Ok(PlannerResult::Planned(BoundType::call(map_udf(), args)))
    }
}

/// Refuses a text with too many brackets inside each other.
fn check_text(text: &str) -> Result<(), StoreError> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        check(depth, MAX_DEPTH, "levels")?;
    }
    Ok(())
}

impl ScalarUDFImpl for BoundType {
    forward_to_function!();

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.reads_text() {
            for text in args.scalar_arguments.iter().flatten().filter_map(|it| it.try_as_str()) {
                check_text(text.unwrap_or_default()).map_err(refused)?;
            }
        }
        let field = self.function.return_field_from_args(args)?;
        check_type(field.data_type()).map_err(refused)?;
        Ok(field)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.function.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if self.reads_text() {
            args.iter().try_for_each(check_literal).map_err(refused)?;
        }
        let simplified = self.function.simplify(args, context)?;
        if let ExprSimplifyResult::Simplified(expr) = &simplified {
            check_expr(expr).map_err(refused)?;
        }
        Ok(simplified)
    }
}

fn refused(error: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn list(depth: usize) -> DataType {
        let field = |inner| Arc::new(Field::new("item", inner, true));
        (1..depth).fold(DataType::Int64, |inner, _| DataType::List(field(inner)))
    }

    #[test]
    fn deep_large_and_wide_types_are_refused() {
        let field = |ty: DataType| Field::new("item", ty, true);
        let doubled = (0..40).fold(DataType::Int64, |ty, _| {
            let field = Arc::new(field(ty));
            DataType::Struct([Arc::clone(&field), field].into_iter().collect())
        });
        let wide = DataType::new_fixed_size_list(
            DataType::new_fixed_size_list(DataType::Int8, 100, true),
            100,
            true,
        );
        for (ty, limit) in [
            (list(MAX_DEPTH + 1), "80 levels"),
            (list(10_000), "80 levels"),
            (doubled, "131072 parts"),
            (wide, "4096 elements"),
            (DataType::FixedSizeBinary(i32::MAX), "4096 bytes"),
        ] {
            let error = check_type(&ty).unwrap_err().to_string();
            assert!(error.contains(limit), "{error}");
            // Dropping a deep type recurses.
            stacker::grow(1 << 30, || drop(ty));
        }
        assert!(check_type(&list(MAX_DEPTH)).is_ok());
        assert!(check_text(&"List(".repeat(MAX_DEPTH)).is_ok());
        assert!(check_text(&"List(".repeat(MAX_DEPTH + 1)).is_err());
    }
}
