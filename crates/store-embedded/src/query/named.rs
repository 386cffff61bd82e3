//! Finds the columns of its tables that a query may name.

use std::collections::HashSet;

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// The columns that a query may name.
/// Planning takes time that grows with the square of the number of columns, so wide tables are
/// planned with only these columns. They are found in the tokens of the query, which needs no
/// recursion: every word counts as a name, and syntax that may refer to columns without naming them
/// counts as all columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Whether the query may refer to columns that it does not name.
    all: bool,
    words: HashSet<String>,
}

impl Named {
    /// Returns the columns that the tokens of a query may name.
    pub(super) fn in_query(tokens: &[TokenWithSpan]) -> Self {
        let is_space = |token: &&Token| matches!(token, Token::Whitespace(_));
        let tokens = tokens.iter().map(|it| &it.token).filter(|token| !is_space(token));
        let tokens: Vec<&Token> = tokens.collect();
        let name = |token: &&Token| match token {
            Token::Word(word) => Some(word.value.clone()),
            _ => None,
        };
        Self { all: stands_for_all(&tokens), words: tokens.iter().filter_map(name).collect() }
    }

    /// Returns all columns, none of them by name.
    #[cfg(test)]
    pub(super) fn all() -> Self {
        Self { all: true, words: HashSet::new() }
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.all || self.has_word(column)
    }

    /// Returns whether a query has the name as a word.
    pub(super) fn has_word(&self, column: &str) -> bool {
        self.words.contains(column)
    }
}

/// Returns whether tokens may refer to columns that they do not name.
fn stands_for_all(tokens: &[&Token]) -> bool {
    use Keyword::{
        COLUMNS, DESCRIBE, DISTINCT, EXCEPT, EXPLAIN, FROM, INTERSECT, NATURAL, ON, PIVOT, SELECT,
        SHOW, TABLE, TOP, UNION, UNPIVOT, WITH,
    };
    if !matches!(tokens.first().copied().map(keyword), Some(SELECT | WITH | EXPLAIN)) {
        return true;
    }
    // For each depth of parentheses, whether a SELECT precedes the FROM: `FROM t` alone returns all
    // of t.
    let mut selects = vec![false];
    for (i, &token) in tokens.iter().enumerate() {
        let before = |n: usize| i.checked_sub(n).map(|at| tokens[at]);
        match token {
            Token::LParen => selects.push(false),
            Token::RParen => {
                selects.pop();
                if selects.is_empty() {
                    return true;
                }
            }
            Token::Mul => {
                let is_count = before(1) == Some(&Token::LParen)
                    && before(2).is_some_and(|it| is_word(it, "count"))
                    && tokens.get(i + 1) == Some(&&Token::RParen);
                if !is_count && !before(1).is_some_and(is_operand) {
                    return true;
                }
            }
            _ => match keyword(token) {
                SELECT => *selects.last_mut().unwrap_or(&mut false) = true,
                UNION | EXCEPT | INTERSECT => *selects.last_mut().unwrap_or(&mut false) = false,
                FROM if selects.last() != Some(&true) => return true,
                // `distinct on (a) *`
                ON if before(1).map(keyword) == Some(DISTINCT) => return true,
                COLUMNS | DESCRIBE | NATURAL | PIVOT | SHOW | TABLE | TOP | UNPIVOT => return true,
                _ if is_word(token, "information_schema") => return true,
                _ => {}
            },
        }
    }
    false
}

fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(text))
}

/// Returns whether a token ends an operand, so that a `*` after it multiplies.
fn is_operand(token: &Token) -> bool {
    match token {
        Token::Word(_) => !matches!(
            keyword(token),
            Keyword::SELECT | Keyword::DISTINCT | Keyword::ALL | Keyword::STRUCT | Keyword::VALUE
        ),
        Token::Number(..) | Token::RParen | Token::RBracket => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::sql_limits;

    fn named(sql: &str) -> Named {
        Named::in_query(&sql_limits::QUERY.tokens(sql).unwrap())
    }

    #[test]
    fn names_are_found() {
        #[track_caller]
        fn check(sql: &str, expected: &[&str]) {
            let named = named(sql);
            assert!(!named.all, "{sql} names all");
            for name in expected {
                assert!(named.has_word(name), "{sql} names {name}: {named:?}");
            }
        }
        check("select c1 from t", &["c1"]);
        check(
            "select a*2, \"Big Name\" from t where b > 1 order by c desc",
            &["a", "Big Name", "b", "c"],
        );
        check("select count(*) from t where t.mixed.n is null group by g", &["mixed", "g"]);
        check("select 2*(a)*b from (select a, b from t) s join u using (k)", &["a", "b", "k"]);
        check("with w as (select a from t) select a from w union select b from t", &["a", "b"]);
        check("explain select json_get(o, 'a') -> 'b' from t", &["o"]);
    }

    #[test]
    fn what_stands_for_all_is_all() {
        for sql in [
            "select * from t",
            "select t.* from t",
            "select a, * from t",
            "select distinct * from t",
            "select distinct on (a) * from t",
            "select * exclude (a) from t",
            "select a from (select * from t)",
            "select a from (from t)",
            "select a from t union from t",
            "with w as (select a from t) from w",
            "from t",
            "table t",
            "select count(x.*) from t",
            "select a from t natural join u",
            "select column_name from information_schema.columns",
            "describe t",
            "show columns from t",
            "",
            ")",
        ] {
            assert!(named(sql).all, "{sql}");
        }
    }
}
