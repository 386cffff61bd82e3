//! Bounds on the text of a query, checked before any recursive code reads it.
//!
//! The parser builds a tree that is as deep as a chain of operators is long, and most later steps
//! (planning, optimizing, dropping the tree) recurse into it. So the depth is computed from the
//! tokens, which are read in a loop.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, GroupByWithModifier, ObjectName, Query, SetExpr, Visit as _, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use streamtable_store::StoreError;

/// Limits on the text of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct SqlLimits {
    /// The maximum length of the text, in bytes.
    pub(super) bytes: usize,
    /// The maximum number of tokens, without white space and comments.
    pub(super) tokens: usize,
    /// The maximum number of brackets and `CASE`s that may be open at a time.
    pub(super) nesting: usize,
    /// The maximum number of operators on a path from the root of the tree to a leaf.
    pub(super) operators: usize,
    /// The maximum number of operators on a path that access JSON: each one doubles the planning
    /// time.
    pub(super) arrows: usize,
}

/// The maximum number of relations in a statement, with each use of a `WITH` counted.
pub(super) const MAX_RELATIONS: usize = 2_000;

/// The maximum number of expressions inside each other that begin with one of [`RETRIED`].
const MAX_RETRIED: usize = 16;

/// Keywords that begin an expression. If there is an error inside, the parser reads it once more, with
/// the keyword as a name: each level doubles the time.
const RETRIED: [Keyword; 21] = [
    Keyword::ARRAY,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::CEIL,
    Keyword::CONVERT,
    Keyword::EXISTS,
    Keyword::EXTRACT,
    Keyword::FLOOR,
    Keyword::INTERVAL,
    Keyword::MAP,
    Keyword::MATCH,
    Keyword::NOT,
    Keyword::OVERLAY,
    Keyword::POSITION,
    Keyword::PRIOR,
    Keyword::SAFE_CAST,
    Keyword::STRUCT,
    Keyword::SUBSTRING,
    Keyword::TRIM,
    Keyword::TRY_CAST,
    Keyword::TRY_CONVERT,
];

/// The maximum number of expressions in one `SELECT`.
const MAX_SELECTED: usize = 4_096;

/// The maximum number of sets of expressions that one `SELECT` groups by.
const MAX_GROUPING_SETS: u64 = 256;

/// The limits of a query.
pub(super) const QUERY: SqlLimits =
    SqlLimits { bytes: 1 << 20, tokens: 100_000, nesting: 64, operators: 2_500, arrows: 12 };

/// The limits of an expression over one row.
pub(super) const EXPRESSION: SqlLimits =
    SqlLimits { bytes: 16 << 10, tokens: 8_000, nesting: 32, operators: 500, arrows: 12 };

impl SqlLimits {
    /// Refuses a text that exceeds a limit. A text that is not SQL may pass; the parser refuses it.
    pub(super) fn check(&self, sql: &str) -> Result<(), StoreError> {
        self.tokens(sql).map(drop)
    }

    /// Splits a text into its tokens. Refuses a text that exceeds a limit. Tokens that are not SQL
    /// may pass; the parser refuses them.
    pub(super) fn tokens(&self, sql: &str) -> Result<Vec<TokenWithSpan>, StoreError> {
        let too_large = |found: usize, limit: usize, what: &str| {
            if found <= limit {
                return Ok(());
            }
            let message = format!("the SQL has {found} {what}; the limit is {limit}");
            Err(StoreError::Query { message })
        };
        too_large(sql.len(), self.bytes, "bytes")?;
        let mut shape = Shape::default();
        let mut tokens = Vec::new();
        let read = Tokenizer::new(&GenericDialect {}, sql)
            .tokenize_with_location_into_buf_with_mapper(&mut tokens, |token| {
                shape.add(&token.token);
                // The text is refused, but it is read to its end.
                if shape.tokens > self.tokens { without_text(token) } else { token }
            });
        if let Err(error) = read {
            return Err(StoreError::Query { message: format!("SQL error: {error}") });
        }
        too_large(shape.tokens, self.tokens, "tokens")?;
        too_large(shape.nesting, self.nesting, "brackets inside each other")?;
        too_large(
            shape.most_retried,
            MAX_RETRIED,
            "CASE, CAST, NOT and the like inside each other",
        )?;
        let depth = shape.depth();
        too_large(depth.operators, self.operators, "operators in a row (use IN for a list)")?;
        too_large(depth.arrows, self.arrows, "-> in a row (use json_get)")?;
        Ok(tokens)
    }
}

/// Returns what the tokenizer needs of a token when it reads the next one, such as in `t._line`.
fn without_text(token: TokenWithSpan) -> TokenWithSpan {
    let short = match token.token {
        Token::Word(_) => {
            let (value, keyword) = (String::new(), Keyword::NoKeyword);
            Token::Word(Word { value, quote_style: None, keyword })
        }
        Token::Period => Token::Period,
        _ => Token::EOF,
    };
    TokenWithSpan { token: short, span: token.span }
}

/// The maximum number of tables in one `FROM`: each join of a plan lists the columns of all tables
/// before it.
const MAX_JOINED: usize = 64;

/// Refuses a statement that selects too many expressions, or joins too many tables.
pub(super) fn check_selects(statement: &Statement) -> Result<(), StoreError> {
    visit(statement, Selects::default())
}

/// Visits a statement, and fails with the message that the visitor breaks with.
pub(super) fn visit<V>(statement: &Statement, mut visitor: V) -> Result<(), StoreError>
where
    V: Visitor<Break = String>,
{
    let visited = match statement {
        Statement::Statement(statement) => statement.visit(&mut visitor),
        Statement::Explain(explain) => return visit(&explain.statement, visitor),
        // Other statements are refused when they are planned.
        _ => ControlFlow::Continue(()),
    };
    match visited {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(StoreError::Query { message }),
    }
}

/// Finds a `SELECT` that is too wide, and counts relations: those of a `WITH` are counted at each
/// use, because planning walks them each time.
#[derive(Debug, Default)]
struct Selects {
    /// The relations of each query that is being visited, the innermost last.
    open: Vec<usize>,
    /// The names that a `WITH` gives to queries, by their addresses.
    names: HashMap<*const Query, String>,
    /// The relations of named queries. If several have the same name, the largest counts.
    sizes: HashMap<String, usize>,
}

impl Selects {
    fn add(&mut self, relations: usize) -> ControlFlow<String> {
        let Some(open) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        *open = open.saturating_add(relations);
        if *open <= MAX_RELATIONS {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(format!(
            "the SQL has more than {MAX_RELATIONS} relations once each use of a WITH is counted, \
             which is the limit"
        ))
    }
}

impl Visitor for Selects {
    type Break = String;

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<String> {
        let name = name.0.last().and_then(|part| part.as_ident());
        let size = name.and_then(|name| self.sizes.get(&name.value.to_lowercase()));
        let size = size.copied().unwrap_or(1);
        self.add(size)
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let size = self.open.pop().unwrap_or(0).saturating_add(1);
        if let Some(name) = self.names.get(&std::ptr::from_ref(query)) {
            let known = self.sizes.entry(name.clone()).or_default();
            *known = size.max(*known);
            // It is counted where it is used.
            return ControlFlow::Continue(());
        }
        self.add(size)
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.open.push(0);
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = named.alias.name.value.to_lowercase();
            self.names.insert(std::ptr::from_ref(named.query.as_ref()), name);
        }
        let mut parts = vec![query.body.as_ref()];
        while let Some(part) = parts.pop() {
            match part {
                SetExpr::SetOperation { left, right, .. } => parts.extend([&**left, &**right]),
                SetExpr::Select(select) => {
                    // The projection, and the filter or the groups.
                    self.add(2)?;
                    let joined: usize = select.from.iter().map(|table| 1 + table.joins.len()).sum();
                    if joined > MAX_JOINED {
                        return ControlFlow::Break(format!(
                            "the SQL joins {joined} tables; the limit is {MAX_JOINED}"
                        ));
                    }
                    let sets = grouping_sets(&select.group_by);
                    if sets > MAX_GROUPING_SETS {
                        return ControlFlow::Break(format!(
                            "the SQL groups by {sets} sets of expressions; the limit is \
                             {MAX_GROUPING_SETS}"
                        ));
                    }
                    let selected = select.projection.len();
                    if selected > MAX_SELECTED {
                        return ControlFlow::Break(format!(
                            "the SQL selects {selected} expressions; the limit is {MAX_SELECTED}"
                        ));
                    }
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// Returns the number of sets of expressions that rows are grouped by: each row is added to one
/// group of each set.
fn grouping_sets(group_by: &GroupByExpr) -> u64 {
    let (exprs, modifiers) = match group_by {
        GroupByExpr::All(modifiers) => (&[][..], modifiers),
        GroupByExpr::Expressions(exprs, modifiers) => (&exprs[..], modifiers),
    };
    let cube = |len: usize| 2_u64.saturating_pow(u32::try_from(len).unwrap_or(u32::MAX));
    let sets = |expr: &Expr| match expr {
        Expr::Cube(parts) => cube(parts.len()),
        Expr::Rollup(parts) => parts.len() as u64 + 1,
        Expr::GroupingSets(sets) => sets.len() as u64,
        _ => 1,
    };
    let modified = |modifier: &GroupByWithModifier| match modifier {
        GroupByWithModifier::Cube => cube(exprs.len()),
        GroupByWithModifier::Rollup => exprs.len() as u64 + 1,
        GroupByWithModifier::GroupingSets(expr) => sets(expr),
        GroupByWithModifier::Totals => 1,
    };
    exprs.iter().map(sets).chain(modifiers.iter().map(modified)).fold(1, u64::saturating_mul)
}

/// The size of an SQL text.
#[derive(Debug, Default)]
struct Shape {
    tokens: usize,
    /// The maximum number of groups that were open at a time.
    nesting: usize,
    /// The part that no bracket encloses.
    outermost: Group,
    open: Vec<Group>,
    /// The square brackets in a row, as in `int[][]`: such a type is as deep.
    brackets: usize,
    is_after_bracket: bool,
    /// The keywords of [`RETRIED`] directly before this token.
    before: usize,
    /// The open expressions that begin with such a keyword.
    retried: usize,
    /// The maximum number of those that were open at a time.
    most_retried: usize,
    /// The dots since the last token that is neither a name nor a dot.
    dots: usize,
}

/// The maximum number of operators on a path, and the maximum number that access JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Depth {
    operators: usize,
    arrows: usize,
}

impl Depth {
    fn max(self, other: Self) -> Self {
        Self {
            operators: self.operators.max(other.operators),
            arrows: self.arrows.max(other.arrows),
        }
    }
}

/// The part of a text between two brackets.
#[derive(Debug, Default)]
struct Group {
    /// Whether it is a `CASE`, which `END` closes.
    is_case: bool,
    /// The number of keywords of [`RETRIED`] directly before it, its own included.
    retried: usize,
    /// The operators since the last comma.
    own: Depth,
    /// The depth of the deepest group since the last comma.
    inner: Depth,
    /// The depth of the deepest part that a comma has ended.
    ended: Depth,
}

impl Group {
    fn end_part(&mut self) {
        self.ended = self.depth();
        self.own = Depth::default();
        self.inner = Depth::default();
    }

    /// Returns the depth: a path to a leaf goes through operators of one part and through one of
    /// its groups.
    fn depth(&self) -> Depth {
        let part = Depth {
            operators: self.own.operators + self.inner.operators,
            arrows: self.own.arrows + self.inner.arrows,
        };
        self.ended.max(part)
    }
}

impl Shape {
    fn add(&mut self, token: &Token) {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            return;
        }
        self.tokens += 1;
        let before = std::mem::take(&mut self.before);
        if !matches!(token, Token::Period | Token::Word(_)) {
            self.dots = 0;
        }
        match token {
            Token::LParen | Token::LBrace => self.open(false, before),
            // A subscript is also an operator.
            Token::LBracket => {
                self.group().own.operators += 1;
                self.open(false, before);
                self.brackets = if self.is_after_bracket { self.brackets + 1 } else { 1 };
                self.nesting = self.nesting.max(self.brackets);
            }
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Comma => self.group().end_part(),
            Token::Period => {
                self.dots += 1;
                // A name has at most three dots.
                if self.dots > 3 {
                    self.group().own.operators += 1;
                }
            }
            Token::Word(word) => self.add_keyword(word.keyword, before),
            Token::SemiColon
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_) => {}
            Token::Arrow | Token::LongArrow | Token::Question => {
                self.group().own.operators += 1;
                self.group().own.arrows += 1;
            }
            _ => self.group().own.operators += 1,
        }
        self.is_after_bracket = matches!(token, Token::RBracket);
    }

    fn add_keyword(&mut self, keyword: Keyword, before: usize) {
        if RETRIED.contains(&keyword) {
            self.before = before + 1;
            self.most_retried = self.most_retried.max(self.retried + self.before);
        }
        match keyword {
            Keyword::CASE => {
                let retried = std::mem::take(&mut self.before);
                self.open(true, retried);
            }
            Keyword::END if self.group().is_case => self.close(),
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE if self.group().is_case => {
                self.group().end_part();
            }
            Keyword::AND
            | Keyword::AT
            | Keyword::BETWEEN
            | Keyword::COLLATE
            | Keyword::DIV
            | Keyword::EXCEPT
            | Keyword::ILIKE
            | Keyword::IN
            | Keyword::INTERSECT
            | Keyword::IS
            | Keyword::JOIN
            | Keyword::LIKE
            | Keyword::MINUS
            | Keyword::NOT
            | Keyword::OR
            | Keyword::OVERLAPS
            | Keyword::REGEXP
            | Keyword::RLIKE
            | Keyword::SIMILAR
            | Keyword::UNION
            | Keyword::XOR => self.group().own.operators += 1,
            _ => {}
        }
    }

    fn group(&mut self) -> &mut Group {
        self.open.last_mut().unwrap_or(&mut self.outermost)
    }

    fn open(&mut self, is_case: bool, retried: usize) {
        self.retried += retried;
        self.open.push(Group { is_case, retried, ..Group::default() });
        self.nesting = self.nesting.max(self.open.len());
    }

    fn close(&mut self) {
        let Some(group) = self.open.pop() else { return };
        self.retried -= group.retried;
        let around = self.group();
        around.inner = around.inner.max(group.depth());
    }

    fn depth(mut self) -> Depth {
        while !self.open.is_empty() {
            self.close();
        }
        self.outermost.depth()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    #[track_caller]
    fn check_shape(sql: &str, nesting: usize, depth: usize) {
        let mut shape = Shape::default();
        for token in Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap() {
            shape.add(&token);
        }
        assert_eq!((shape.nesting, shape.depth().operators), (nesting, depth), "{sql}");
    }

    #[test]
    fn what_the_tokenizer_accepts_is_accepted() {
        for sql in [
            "select t._line, \"t\"._a.b, e.p._t._c, t.1a, t.1.2, .5, 1.e1 from e.p._t t",
            "select t . _line from e . p . _t t",
            "select a.b -- ._",
        ] {
            let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
            let checked = QUERY.check(sql);
            assert_eq!(checked.is_ok(), tokens.is_ok(), "{sql}: {checked:?}");
        }
        QUERY.check("select t._line from me.shop._monitors t").unwrap();
        QUERY.check("select '").unwrap_err();
    }

    #[test]
    fn depth_is_the_longest_path() {
        check_shape("select 1", 0, 0);
        check_shape("select 1+2+3", 0, 2);
        check_shape("select 1+2, 3+4+5, 6", 0, 2);
        check_shape("select f(1+2, 3) + 4", 1, 2);
        check_shape("select (1+(2+(3)))", 3, 2);
        check_shape("select a where x in (1,2,3) or y = 'a or b'", 1, 3);
        check_shape("select case when a or b then 1+2+3 else 4 end", 1, 2);
        check_shape("select \"end\", 1::int::int", 0, 2);
        check_shape("select a[1][2][3]", 3, 3);
        check_shape("select e.p.t.c.x.y", 0, 2);
        check_shape("select 1 union all select 2 union select 3 -- or or or", 0, 2);
        check_shape("select ((1+2", 2, 1);
        check_shape(") + 1", 0, 1);
    }

    #[track_caller]
    fn check_refused(sql: &str, limit: &str) {
        let error = QUERY.check(sql).unwrap_err();
        assert!(matches!(error, StoreError::Query { .. }), "{error:?}");
        assert!(error.to_string().contains(limit), "{error}");
    }

    #[test]
    fn each_limit_is_checked_and_named() {
        check_refused(&" ".repeat(QUERY.bytes + 1), "1048577 bytes; the limit is 1048576");
        check_refused(&"1,".repeat(QUERY.tokens), "tokens; the limit is 100000");
        check_refused(&"(".repeat(65), "65 brackets inside each other; the limit is 64");
        check_refused(&format!("null::int{}", "[]".repeat(65)), "65 brackets inside each other");
        check_refused(&"case when ".repeat(65), "65 brackets inside each other");
        check_refused(&"1+".repeat(QUERY.operators + 1), "2501 operators in a row");
        check_refused(&format!("select (a{0}){0}", "->'b'".repeat(7)), "14 -> in a row");
        check_refused("'open", "SQL error");
        let retried = "17 CASE, CAST, NOT and the like inside each other; the limit is 16";
        check_refused(&format!("select {}a b c", "not ".repeat(17)), retried);
        check_refused(&format!("select {}a b c", "cast(-(".repeat(17)), retried);
        check_refused(&format!("select {}a b c", "not case when ".repeat(8) + "trim("), retried);
        let flat = "not cast(a as int) = 1 and ".repeat(200);
        assert!(QUERY.check(&format!("select 1 from t where {flat} true")).is_ok());
        for from in [vec!["t"; 65].join(","), vec!["t"; 65].join(" join ")] {
            let sql = format!("explain select 1 union (select 2 from {from})");
            let statement = DFParser::parse_sql(&sql).unwrap().pop_front().unwrap();
            let error = check_selects(&statement).unwrap_err();
            assert!(error.to_string().contains("65 tables; the limit is 64"), "{error}");
        }
        let steps: String =
            (0..40).map(|i| format!(", C{} as (select 1 from c{i} a, c{i} b)", i + 1)).collect();
        for sql in [
            format!("with c0 as (select 1){steps} select * from c40"),
            format!("select (with c0 as (select 1){steps} select count(*) from c40)"),
            vec!["select 1 from t"; 2_001].join(" union all "),
        ] {
            let statement = DFParser::parse_sql(&sql).unwrap().pop_front().unwrap();
            let error = check_selects(&statement).unwrap_err();
            assert!(error.to_string().contains("more than 2000 relations"), "{error}");
        }
        let steps: String =
            (0..100).map(|i| format!(", c{} as (select 1 from c{i})", i + 1)).collect();
        let sql = format!("with c0 as (select 1){steps} select * from c100");
        let statement = DFParser::parse_sql(&sql).unwrap().pop_front().unwrap();
        assert!(check_selects(&statement).is_ok());
        let sql = format!("select {}", vec!["1"; 4_097].join(","));
        let statement = DFParser::parse_sql(&sql).unwrap().pop_front().unwrap();
        let error = check_selects(&statement).unwrap_err();
        assert!(error.to_string().contains("4097 expressions; the limit is 4096"), "{error}");
        for groups in ["cube(a,b,c,d,e,f,g,h,i)", "cube(a,b,c,d,e), cube(f,g,h,i,j)"] {
            let sql = format!("select 1 from (select 1 from t group by {groups})");
            let statement = DFParser::parse_sql(&sql).unwrap().pop_front().unwrap();
            let error = check_selects(&statement).unwrap_err();
            assert!(error.to_string().contains("sets of expressions; the limit is 256"), "{error}");
        }
        assert!(QUERY.check(&"1,".repeat(QUERY.tokens / 2)).is_ok());
        assert!(QUERY.check(&"1+".repeat(QUERY.operators)).is_ok());
    }
}
