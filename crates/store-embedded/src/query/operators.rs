//! Operators as functions, so that they can be bounded like functions.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Like, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, binary, like, lit, similar_to};

/// An operator that may need a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Binary(Operator),
    Like { negated: bool, case_insensitive: bool },
    SimilarTo { negated: bool, case_insensitive: bool },
}

impl Operation {
    /// Returns the operator of an expression that has two texts as operands.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        // The planner refuses other escape characters.
        let is_plain = |like: &Like| matches!(like.escape_char, None | Some('\\'));
        match expr {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => Some(Self::Binary(*op)),
            Expr::Like(like) if is_plain(like) => {
                Some(Self::Like { negated: like.negated, case_insensitive: like.case_insensitive })
            }
            Expr::SimilarTo(like) if like.escape_char.is_none() => Some(Self::SimilarTo {
                negated: like.negated,
                case_insensitive: like.case_insensitive,
            }),
            _ => None,
        }
    }
}

/// An operator as a function of two arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OperatorFunction {
    operation: Operation,
    signature: Signature,
}

impl OperatorFunction {
    pub(super) fn new(operation: Operation) -> Self {
        Self { operation, signature: Signature::any(2, Volatility::Immutable) }
    }

    fn physical(
        &self,
        [left, right]: [Arc<dyn PhysicalExpr>; 2],
        schema: &Schema,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match self.operation {
            Operation::Binary(operator) => binary(left, operator, right, schema),
            Operation::Like { negated, case_insensitive } => {
                like(negated, case_insensitive, left, right, schema)
            }
            Operation::SimilarTo { negated, case_insensitive } => {
                similar_to(negated, case_insensitive, left, right)
            }
        }
    }
}

impl ScalarUDFImpl for OperatorFunction {
    fn name(&self) -> &'static str {
        match self.operation {
            Operation::Binary(Operator::StringConcat) => "||",
            Operation::Binary(Operator::RegexMatch) => "~",
            Operation::Binary(Operator::RegexIMatch) => "~*",
            Operation::Binary(Operator::RegexNotMatch) => "!~",
            Operation::Binary(Operator::RegexNotIMatch) => "!~*",
            Operation::Binary(_) => "operator",
            Operation::Like { .. } => "LIKE",
            Operation::SimilarTo { .. } => "SIMILAR TO",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [left, right] = args else { return exec_err!("{} takes two operands", self.name()) };
        Ok(format!("{} {} {}", left.schema_name(), self.name(), right.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, right] = types else { return exec_err!("{} takes two operands", self.name()) };
        match &self.operation {
            Operation::Binary(operator) => {
                BinaryTypeCoercer::new(left, operator, right).get_result_type()
            }
            Operation::Like { .. } | Operation::SimilarTo { .. } => Ok(DataType::Boolean),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut fields: Vec<Field> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        let mut operands: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        for value in args.args {
            operands.push(match value {
                ColumnarValue::Scalar(value) => lit(value),
                ColumnarValue::Array(array) => {
                    let name = columns.len().to_string();
                    let operand = Arc::new(Column::new(&name, columns.len()));
                    fields.push(Field::new(name, array.data_type().clone(), true));
                    columns.push(array);
                    operand
                }
            });
        }
        let Ok(operands) = <[_; 2]>::try_from(operands) else {
            return exec_err!("{} takes two operands", self.name());
        };
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        self.physical(operands, &schema)?.evaluate(&batch)
    }
}
