//! Compares the rows that were logged with the rows that are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::json;

/// For each writer, the number of rows that `log` accepted: rows 0 up to that number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    writers: BTreeMap<String, u64>,
}

/// A row from the server.
#[derive(Clone, Debug)]
pub(crate) struct StoredRow {
    pub(crate) writer: String,
    pub(crate) number: u64,
    /// Whether its content is the logged one.
    pub(crate) is_whole: bool,
}

/// The result of the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The number of logged rows. A writer may be killed after `log` accepted its last rows but
    /// before it reported them; they count if one of them is stored.
    pub(crate) logged: u64,
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) out_of_order: u64,
    /// Stored rows with content that was never logged.
    pub(crate) strange: u64,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.twice + self.out_of_order + self.strange == 0
    }
}

impl Ledger {
    /// Records that `log` accepted all rows of a writer below `rows`.
    pub(crate) fn took(&mut self, writer: &str, rows: u64) {
        let told = self.writers.entry(writer.to_owned()).or_default();
        *told = rows.max(*told);
    }

    pub(crate) fn rows(&self) -> u64 {
        self.writers.values().sum()
    }

    /// Checks rows in the order in which the server stores them.
    pub(crate) fn judge(&self, stored: impl IntoIterator<Item = StoredRow>) -> Verdict {
        let mut verdict = Verdict::default();
        let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for row in stored {
            match self.writers.get_key_value(&row.writer) {
                Some((writer, _)) if row.is_whole => {
                    numbers.entry(writer).or_default().push(row.number);
                }
                _ => verdict.strange += 1,
            }
        }
        for (writer, told) in &self.writers {
            let stored = numbers.remove(writer.as_str()).unwrap_or_default();
            let mut seen = BTreeSet::new();
            for &number in &stored {
                let is_late = seen.last().is_some_and(|&last| last > number);
                if !seen.insert(number) {
                    verdict.twice += 1;
                } else if is_late {
                    verdict.out_of_order += 1;
                }
            }
            let logged = seen.last().map_or(0, |last| last + 1).max(*told);
            verdict.logged += logged;
            verdict.lost += logged - seen.len() as u64;
        }
        verdict
    }
}

/// The report of a whole run.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) seconds: f64,
    pub(crate) seed: u64,
    pub(crate) verdict: Verdict,
    pub(crate) server_kills: u64,
    /// The number of server kills while the server was shutting down.
    pub(crate) while_stopping: u64,
    pub(crate) client_kills: u64,
    /// The number of connections for each fault of the proxy.
    pub(crate) faults: Vec<(&'static str, u64)>,
}

impl Summary {
    pub(crate) fn to_json(&self) -> String {
        let Verdict { logged, lost, twice, out_of_order, strange } = self.verdict;
        let faults: serde_json::Map<_, _> =
            self.faults.iter().map(|&(name, count)| (name.to_owned(), count.into())).collect();
        json!({
            "seconds": (self.seconds * 10.0).round() / 10.0,
            "seed": self.seed,
            "rows_logged": logged,
            "server_kills": self.server_kills,
            "server_kills_while_stopping": self.while_stopping,
            "client_kills": self.client_kills,
            "connections": faults,
            "lost": lost,
            "twice": twice,
            "out_of_order": out_of_order,
            "never_logged": strange,
        })
        .to_string()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { logged, lost, twice, out_of_order, strange } = self.verdict;
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<14}{value}");
        line("rows logged", &logged)?;
        let (kills, stopping) = (self.server_kills, self.while_stopping);
        line("server kills", &format_args!("{kills}, {stopping} of them during shutdown"))?;
        line("client kills", &self.client_kills)?;
        let faults: Vec<String> =
            self.faults.iter().map(|(name, count)| format!("{count} {name}")).collect();
        line("connections", &faults.join(", "))?;
        line("lost", &lost)?;
        line("twice", &twice)?;
        line("out of order", &out_of_order)?;
        if strange > 0 {
            line("never logged", &strange)?;
        }
        writeln!(f, "in {:.1} s with seed {}", self.seconds, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(told: u64, stored: &[u64], expected: [u64; 4]) {
        let mut ledger = Ledger::default();
        ledger.took("w", told);
        ledger.took("silent", 0);
        let row = |&number| StoredRow { writer: "w".to_owned(), number, is_whole: true };
        let Verdict { logged, lost, twice, out_of_order, strange } =
            ledger.judge(stored.iter().map(row));
        assert_eq!(([logged, lost, twice, out_of_order], strange), (expected, 0));
    }

    #[test]
    fn faults_are_counted() {
        check(3, &[0, 1, 2], [3, 0, 0, 0]);
        // Row 2 was logged, but the writer was killed before it reported the row.
        check(2, &[0, 1, 2], [3, 0, 0, 0]);
        check(3, &[0, 1], [3, 1, 0, 0]);
        check(1, &[0, 2], [3, 1, 0, 0]);
        check(3, &[0, 1, 1, 2, 0], [3, 0, 2, 0]);
        check(3, &[1, 0, 2], [3, 0, 0, 1]);
        check(3, &[], [3, 3, 0, 0]);
    }

    #[test]
    fn rows_that_were_never_logged_are_counted() {
        let mut ledger = Ledger::default();
        ledger.took("w", 1);
        let row =
            |writer: &str, is_whole| StoredRow { writer: writer.to_owned(), number: 0, is_whole };
        let verdict = ledger.judge([row("w", true), row("w", false), row("x", true)]);
        assert_eq!(verdict, Verdict { logged: 1, strange: 2, ..Verdict::default() });
        assert!(!verdict.is_clean());
    }
}
