//! The queries of monitors. Only this module turns documents into SQL.

use streamtable_schema::TablePath;

/// Maximum number of groups that a query returns.
pub(super) const MAX_FOUND: usize = 10_000;

/// Maximum number of values that a query for samples returns.
pub(super) const MAX_SAMPLES: u64 = 20_000;

/// Rows of a table, possibly in groups. Monitors with the same scope share a query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) table: TablePath,
    pub(super) rows: RowRange,
    /// An expression in parentheses.
    pub(super) filter: Option<String>,
    /// An expression in parentheses.
    pub(super) group: Option<String>,
}

/// A range of rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowRange {
    /// From and to instants, in milliseconds since 1970. The end is not included.
    Time { from: i64, to: Option<i64> },
    /// Positions, and the name of their column. The end is not included.
    Positions { from: u64, to: u64, column: String },
}

impl RowRange {
    /// Returns whether a query needs the column of positions.
    pub(super) fn has_positions(&self) -> bool {
        matches!(self, Self::Positions { .. })
    }
}

/// Returns a name as a quoted identifier.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a text as a string literal.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn instant(millis: i64) -> String {
    let micros = millis.saturating_mul(1000);
    format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

fn from(table: &TablePath) -> String {
    let [entity, project, table] = [table.entity(), table.project(), table.table()].map(name);
    format!("{entity}.{project}.{table}")
}

impl Scope {
    fn conditions(&self) -> Vec<String> {
        let mut conditions = Vec::new();
        match &self.rows {
            RowRange::Time { from, to } => {
                conditions.push(format!("_timestamp >= {}", instant(*from)));
                conditions.extend(to.map(|to| format!("_timestamp < {}", instant(to))));
            }
            RowRange::Positions { from, to, column } => {
                let column = name(column);
                conditions.push(format!("{column} >= {from} AND {column} < {to}"));
            }
        }
        conditions.extend(self.filter.clone());
        conditions
    }

    fn group_text(&self) -> String {
        match &self.group {
            Some(group) => format!("coalesce(CAST({group} AS VARCHAR), 'null')"),
            None => "''".to_owned(),
        }
    }

    /// Returns a query for the number of rows and the values of expressions, for each group.
    pub(super) fn values(&self, expressions: &[String]) -> String {
        let values: String = expressions
            .iter()
            .enumerate()
            .map(|(i, expression)| format!(", ({expression}\n) AS v{i}"))
            .collect();
        let group = if self.group.is_some() { " GROUP BY 1" } else { "" };
        format!(
            "SELECT {} AS g, count(*) AS n{values} FROM {} WHERE {}{group} LIMIT {}",
            self.group_text(),
            from(&self.table),
            self.conditions().join(" AND "),
            MAX_FOUND + 1,
        )
    }

    /// Returns a query for values of a column that are not null: one in `step` rows, by position.
    pub(super) fn samples(&self, column: &str, step: u64, positions: &str) -> String {
        let mut conditions = self.conditions();
        conditions.push(format!("{column} IS NOT NULL"));
        if step > 1 {
            conditions.push(format!("{} % {step} = 0", name(positions)));
        }
        format!(
            "SELECT {} AS g, {column} AS v FROM {} WHERE {} LIMIT {}",
            self.group_text(),
            from(&self.table),
            conditions.join(" AND "),
            MAX_SAMPLES * 2,
        )
    }
}

/// Returns the share of a column's values that match a regular expression.
pub(super) fn share_of_matches(column: &str, pattern: &str) -> String {
    format!(
        "avg(CASE WHEN {column} IS NULL THEN NULL WHEN regexp_like(CAST({column} AS VARCHAR), {}) \
         THEN 1.0 ELSE 0.0 END)",
        text(pattern)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_quoted() {
        let scope = Scope {
            table: TablePath::new("me", "my shop", "t").unwrap(),
            rows: RowRange::Time { from: 1_500, to: Some(2_000) },
            filter: Some("(a > 1)".to_owned()),
            group: Some("(path)".to_owned()),
        };
        let sql = scope.values(&["avg(ms)".to_owned(), "count(*)".to_owned()]);
        assert!(sql.contains("FROM \"me\".\"my shop\".\"t\" WHERE"), "{sql}");
        assert!(sql.contains("_timestamp >= arrow_cast(1500000,"), "{sql}");
        assert!(sql.contains("(avg(ms)\n) AS v0, (count(*)\n) AS v1"), "{sql}");
        assert!(sql.ends_with("AND (a > 1) GROUP BY 1 LIMIT 10001"), "{sql}");
        assert_eq!(share_of_matches("(x)", "it's").matches("'it''s'").count(), 1);
    }
}
