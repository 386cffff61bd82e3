//! The rules: which part of a mixed cell each use takes.
//!
//! | use | takes |
//! | --- | --- |
//! | arithmetic, functions and aggregates of numbers | its number |
//! | `LIKE`, regular expressions, functions of texts | its text, or its list or struct as JSON text |
//! | `\|\|`, `concat`, a cast to text | the cell as text, whatever its kind |
//! | functions of times | its time, in a column without times its text |
//! | `AND`, `OR`, `bool_and`, … | its boolean |
//! | `=`, `<>`, `IN`, joins | the whole cell: cells of different kinds differ |
//! | `<`, `BETWEEN`, `greatest` | the part of the other operand's kind |
//! | `min`, `max` | the part of the kind that came first |
//! | a cast to another type | the part of its kind; and that of the kind which came first, if it can be cast |
//! | `coalesce`, `CASE`, `UNION` | the whole cell; other values become cells |
//! | `count`, `IS NULL`, `GROUP BY`, `DISTINCT`, `array_agg`, … | the whole cell |
//!
//! A cell of another kind is null for these uses.

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Fields};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{Expr, Operator, ScalarUDF, lit};
use streamtable_store::StoreError;

use super::cells::{FromCell, ToCell, ToKey, constant};
use super::functions::Use;
use super::part::{Part, in_order, in_words, parts, type_of, united};

/// The part of a value that a use of it takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Taken {
    /// The value as it is.
    Whole,
    /// One part.
    Part(Part, DataType),
    Converted(FromCell),
    /// The value as a cell with these parts.
    Cell(Fields),
    /// A text that is the same for equal cells, which have these parts.
    Key(Fields),
    /// Nothing: the column has no part that fits.
    Nothing(DataType),
}

impl Taken {
    /// Returns the type of the part that is taken from a value of a type.
    pub(super) fn ty(&self, given: &DataType) -> DataType {
        match self {
            Self::Whole => given.clone(),
            Self::Key(_) => DataType::Utf8View,
            Self::Part(_, ty) | Self::Nothing(ty) => ty.clone(),
            Self::Converted(conversion) => conversion.to().clone(),
            Self::Cell(fields) => DataType::Struct(fields.clone()),
        }
    }

    /// Returns the expression that takes it.
    pub(super) fn of(self, expr: Expr) -> Expr {
        let call = |function: ScalarUDF, expr| {
            Expr::ScalarFunction(ScalarFunction::new_udf(function.into(), vec![expr]))
        };
        match self {
            Self::Whole => expr,
            Self::Part(part, ty) => {
                call(ScalarUDF::from(FromCell::new(ty, vec![(part, false)])), expr)
            }
            Self::Key(fields) => call(ScalarUDF::from(ToKey::new(fields)), expr),
            Self::Converted(conversion) => call(ScalarUDF::from(conversion), expr),
            Self::Cell(fields) => call(ScalarUDF::from(ToCell::new(fields)), expr),
            Self::Nothing(ty) => logical_expr::cast(lit(ScalarValue::Null), ty),
        }
    }
}

/// An operand of an operator, or an argument of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand<'a> {
    pub(super) ty: &'a DataType,
    /// The value, if it is a constant.
    pub(super) literal: Option<&'a ScalarValue>,
}

impl<'a> Operand<'a> {
    fn parts(self) -> Option<&'a Fields> {
        parts(self.ty)
    }

    /// Returns the kind of its values, if it is not mixed.
    fn kind(self) -> Option<Part> {
        Part::of(self.ty)
    }
}

/// An operand that has no part which its use could take.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) operand: usize,
    needs: &'static str,
    held: Vec<Part>,
}

impl Unfit {
    pub(super) fn new(operand: usize, needs: &'static str, fields: &Fields) -> Self {
        Self { operand, needs, held: in_order(fields).collect() }
    }

    /// Returns the error for an operand with this name.
    pub(super) fn error(&self, name: &str) -> DataFusionError {
        let held = in_words(&self.held);
        let message = match self.held.first() {
            Some(part) => format!(
                "{name} holds {held}; {needs} here. Name the part to use, such as {name}['{part}']",
                needs = self.needs,
                part = part.name()
            ),
            None => format!(
                "{name} cannot be combined with a value that is not a number, a text, \
                             a boolean or a time"
            ),
        };
        DataFusionError::External(Box::new(StoreError::Query { message }))
    }
}

/// Returns what a function takes of each argument; `None` if that is every argument as it is.
pub(super) fn arguments(
    uses: impl Fn(usize) -> Use,
    args: &[Operand<'_>],
) -> Result<Option<Vec<Taken>>, Unfit> {
    if args.iter().all(|arg| arg.parts().is_none()) {
        return Ok(None);
    }
    let alike = args.iter().enumerate().filter(|(i, _)| uses(*i) == Use::Alike).map(|(_, it)| it);
    let alike: Vec<&DataType> = alike.map(|it| it.ty).collect();
    let taken = args.iter().enumerate().map(|(i, &arg)| match (uses(i), arg.parts()) {
        (Use::Alike, _) => cell(i, arg, alike.iter().copied()),
        (Use::Compared, Some(_)) => Ok(ordered(arg, args.iter().copied())),
        (wanted, Some(fields)) => {
            value(wanted, fields).map_err(|needs| Unfit::new(i, needs, fields))
        }
        (_, None) => Ok(Taken::Whole),
    });
    taken.collect::<Result<_, _>>().map(Some)
}

/// Returns a value as a cell of the type that holds the values of all the given types.
fn cell<'a>(
    place: usize,
    operand: Operand<'_>,
    all: impl Iterator<Item = &'a DataType> + Clone,
) -> Result<Taken, Unfit> {
    if all.clone().all(|ty| ty == operand.ty) || all.clone().all(|ty| parts(ty).is_none()) {
        return Ok(Taken::Whole);
    }
    let unfit = || Unfit { operand: place, needs: "", held: Vec::new() };
    let fields = united(all).ok_or_else(unfit)?;
    Ok(match parts(operand.ty) {
        Some(own) if *own == fields => Taken::Whole,
        _ => Taken::Cell(fields),
    })
}

/// Returns each value as a cell of the type that holds the values of all, if one of them is mixed.
pub(super) fn cells(types: &[DataType]) -> Result<Option<Vec<Taken>>, Unfit> {
    if types.iter().all(|ty| parts(ty).is_none()) {
        return Ok(None);
    }
    let one = |(i, ty)| cell(i, Operand { ty, literal: None }, types.iter());
    types.iter().enumerate().map(one).collect::<Result<_, _>>().map(Some)
}

/// Returns each value as a text that is the same for equal cells, if one of the types is mixed.
pub(super) fn keys(types: &[DataType]) -> Result<Option<Vec<Taken>>, Unfit> {
    if types.iter().all(|ty| parts(ty).is_none()) {
        return Ok(None);
    }
    Ok(Some(vec![Taken::Key(cell_of(types)?); types.len()]))
}

/// Returns the parts of the cell type that holds the values of all types.
pub(super) fn cell_of(types: &[DataType]) -> Result<Fields, Unfit> {
    united(types.iter()).ok_or(Unfit { operand: 0, needs: "", held: Vec::new() })
}

/// Returns what a use takes of a mixed cell, or what it needs.
pub(super) fn value(wanted: Use, fields: &Fields) -> Result<Taken, &'static str> {
    let one = |part: Part| Some(Taken::Part(part, type_of(fields, part)?.clone()));
    let first = || in_order(fields).next().and_then(one);
    Ok(match wanted {
        Use::Whole | Use::Alike => Taken::Whole,
        Use::Number => one(Part::Number).ok_or("numbers are needed")?,
        Use::Bool => one(Part::Bool).ok_or("booleans are needed")?,
        Use::Text => texts(fields).ok_or("texts are needed")?,
        Use::Time => one(Part::Time).or_else(|| texts(fields)).ok_or("times are needed")?,
        Use::Json => {
            one(Part::Json).or_else(|| texts(fields)).ok_or("lists or structs are needed")?
        }
        Use::First | Use::Compared => first().ok_or("a value is needed")?,
        Use::Printed => printed(fields, DataType::Utf8View),
    })
}

/// Returns the parts of a cell, that of the kind which came first at the front.
pub(super) fn each_part(fields: &Fields) -> impl Iterator<Item = Taken> + '_ {
    // Media are sorted by their paths.
    let of = |part| match type_of(fields, part).filter(|ty| !ty.is_nested()) {
        Some(ty) => Taken::Part(part, ty.clone()),
        None => Taken::Converted(FromCell::new(DataType::Utf8View, vec![(part, false)])),
    };
    in_order(fields).map(of)
}

fn texts(fields: &Fields) -> Option<Taken> {
    let has = |part| type_of(fields, part).cloned();
    match (has(Part::Text), has(Part::Json)) {
        (Some(ty), None) => Some(Taken::Part(Part::Text, ty)),
        (None, Some(ty)) => Some(Taken::Part(Part::Json, ty)),
        (Some(ty), Some(_)) => {
            let both = vec![(Part::Text, false), (Part::Json, false)];
            Some(Taken::Converted(FromCell::new(ty, both)))
        }
        (None, None) => None,
    }
}

fn printed(fields: &Fields, to: DataType) -> Taken {
    Taken::Converted(FromCell::new(to, in_order(fields).map(|part| (part, false)).collect()))
}

/// Returns the part of a mixed cell that a cast to a type takes. Parts of other kinds become null
/// if it cannot be cast, so that an odd cell does not break a query.
pub(super) fn cast(fields: &Fields, to: &DataType, is_try: bool) -> Result<Taken, &'static str> {
    let own = Part::of(to);
    if own == Some(Part::Text) {
        return Ok(printed(fields, to.clone()));
    }
    let can = |part: &Part| type_of(fields, *part).is_some_and(|ty| can_cast_types(ty, to));
    let of_kind = own.filter(can);
    let first = in_order(fields).next().filter(can).filter(|part| Some(*part) != of_kind);
    let mut taken: Vec<(Part, bool)> = of_kind.into_iter().map(|part| (part, is_try)).collect();
    taken.extend(first.map(|part| (part, true)));
    if taken.is_empty() {
        taken.extend(in_order(fields).find(can).map(|part| (part, true)));
    }
    match taken.is_empty() {
        true => Err("a value of the type of the cast is needed"),
        false => Ok(Taken::Converted(FromCell::new(to.clone(), taken))),
    }
}

/// The operators with the same rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operators {
    Equality,
    Order,
    Logic,
    Arithmetic,
    Bits,
    Concat,
    Pattern,
    Json,
}

impl Operators {
    pub(super) fn of(operator: Operator) -> Option<Self> {
        use Operator::{
            And, Arrow, BitwiseAnd, BitwiseOr, BitwiseShiftLeft, BitwiseShiftRight, BitwiseXor,
            Divide, Eq, Gt, GtEq, ILikeMatch, IsDistinctFrom, IsNotDistinctFrom, LikeMatch,
            LongArrow, Lt, LtEq, Minus, Modulo, Multiply, NotEq, NotILikeMatch, NotLikeMatch, Or,
            Plus, Question, RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch, StringConcat,
        };
        Some(match operator {
            Eq | NotEq | IsDistinctFrom | IsNotDistinctFrom => Self::Equality,
            Lt | LtEq | Gt | GtEq => Self::Order,
            And | Or => Self::Logic,
            Plus | Minus | Multiply | Divide | Modulo => Self::Arithmetic,
            BitwiseAnd | BitwiseOr | BitwiseXor | BitwiseShiftLeft | BitwiseShiftRight => {
                Self::Bits
            }
            StringConcat => Self::Concat,
            RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch | LikeMatch | ILikeMatch
            | NotLikeMatch | NotILikeMatch => Self::Pattern,
            Arrow | LongArrow | Question => Self::Json,
            _ => return None,
        })
    }

    pub(super) fn of_sql(operator: &BinaryOperator) -> Option<Self> {
        use BinaryOperator::{
            And, Arrow, BitwiseAnd, BitwiseOr, BitwiseXor, Divide, Eq, Gt, GtEq, LongArrow, Lt,
            LtEq, Minus, Modulo, Multiply, NotEq, Or, PGBitwiseShiftLeft, PGBitwiseShiftRight,
            PGBitwiseXor, PGILikeMatch, PGLikeMatch, PGNotILikeMatch, PGNotLikeMatch,
            PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch, Plus, Question,
            Spaceship, StringConcat,
        };
        Some(match operator {
            Eq | NotEq | Spaceship => Self::Equality,
            Lt | LtEq | Gt | GtEq => Self::Order,
            And | Or => Self::Logic,
            Plus | Minus | Multiply | Divide | Modulo => Self::Arithmetic,
            BitwiseAnd | BitwiseOr | BitwiseXor | PGBitwiseXor | PGBitwiseShiftLeft
            | PGBitwiseShiftRight => Self::Bits,
            StringConcat => Self::Concat,
            PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch | PGLikeMatch
            | PGILikeMatch | PGNotLikeMatch | PGNotILikeMatch => Self::Pattern,
            Arrow | LongArrow | Question => Self::Json,
            _ => return None,
        })
    }

    /// Returns what the operators take of their operands; `None` if that is both as they are.
    pub(super) fn take(self, operands: [Operand<'_>; 2]) -> Result<Option<Vec<Taken>>, Unfit> {
        let [left, right] = operands;
        let wanted = match self {
            Self::Equality => {
                let types = [left.ty.clone(), right.ty.clone()];
                let is_constant = operands.iter().any(|it| it.literal.is_some());
                return if is_constant { cells(&types) } else { keys(&types) };
            }
            Self::Order => return Ok(all_ordered(&operands)),
            Self::Concat if operands.iter().any(|it| is_list(it.ty)) => return Ok(None),
            Self::Concat => Use::Printed,
            Self::Logic => Use::Bool,
            Self::Bits => Use::Number,
            Self::Pattern => Use::Text,
            Self::Json => Use::Json,
            Self::Arithmetic => {
                let is_time = |it: &Operand<'_>| match it.parts() {
                    Some(fields) => {
                        let has = |part| type_of(fields, part).is_some();
                        has(Part::Time) && !has(Part::Number)
                    }
                    None => {
                        it.kind() == Some(Part::Time)
                            || matches!(it.ty, DataType::Interval(_) | DataType::Duration(_))
                    }
                };
                if operands.iter().any(is_time) { Use::Time } else { Use::Number }
            }
        };
        arguments(|_| wanted, &operands)
    }
}

fn is_list(ty: &DataType) -> bool {
    matches!(ty, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// Returns what a comparison for order takes of each operand; `None` if none is mixed.
pub(super) fn all_ordered(operands: &[Operand<'_>]) -> Option<Vec<Taken>> {
    let is_mixed = operands.iter().any(|it| it.parts().is_some());
    let all = || operands.iter().copied();
    is_mixed.then(|| all().map(|it| ordered(it, all())).collect())
}

/// Returns what a comparison for order takes of one operand: the part of the kind that the others
/// have.
fn ordered<'a>(operand: Operand<'_>, all: impl Iterator<Item = Operand<'a>> + Clone) -> Taken {
    let Some(fields) = operand.parts() else { return Taken::Whole };
    let one = |part: Part| match part {
        Part::Text => texts(fields),
        part => Some(Taken::Part(part, type_of(fields, part)?.clone())),
    };
    let first = in_order(fields).next();
    let plain = all.clone().find(|it| it.parts().is_none() && !it.ty.is_null());
    match plain {
        // A text such as '5' or '2026-01-02' is compared as before the column was mixed.
        Some(plain) if first.is_some_and(|part| read_as(plain, fields, part).is_some()) => {
            first.and_then(one)
        }
        Some(plain) => Some(plain.kind().and_then(one).unwrap_or_else(|| {
            Taken::Nothing(if parts(plain.ty).is_some() {
                DataType::Null
            } else {
                plain.ty.clone()
            })
        })),
        None => {
            let is_common = |part: &Part| {
                all.clone().filter_map(Operand::parts).all(|it| type_of(it, *part).is_some())
            };
            in_order(fields).find(is_common).or(first).and_then(one)
        }
    }
    .unwrap_or(Taken::Whole)
}

/// Returns a constant text as a value of a part that is not text; `None` if it cannot be read as one.
fn read_as(constant: Operand<'_>, fields: &Fields, part: Part) -> Option<ScalarValue> {
    let value = constant.literal.filter(|_| constant.kind() == Some(Part::Text))?;
    let is_scalar = matches!(part, Part::Number | Part::Bool | Part::Time);
    let ty = type_of(fields, part).filter(|_| is_scalar)?;
    value.cast_to(ty).ok().filter(|value| !value.is_null())
}

/// Returns the cells, of the type `to`, that are equal to a constant text, if there are others than
/// the text itself: one of the kind that came first, if the text can be read as one, and JSON text.
pub(super) fn equal_cells(
    operand: Operand<'_>,
    fields: &Fields,
    to: &Fields,
) -> Result<Vec<ScalarValue>> {
    let Some(text) = operand.literal.filter(|_| operand.kind() == Some(Part::Text)) else {
        return Ok(Vec::new());
    };
    let mut equal = Vec::new();
    if let Some(part) = in_order(fields).next()
        && let Some(value) = read_as(operand, fields, part)
    {
        equal.push(constant(to, part, &value)?);
    }
    if type_of(fields, Part::Json).is_some() {
        equal.push(constant(to, Part::Json, text)?);
    }
    if !equal.is_empty() && type_of(fields, Part::Text).is_some() {
        equal.push(constant(to, Part::Text, text)?);
    }
    Ok(equal)
}
