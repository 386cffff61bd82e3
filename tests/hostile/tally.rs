//! What came of it all.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::options::Options;
use crate::writer::Written;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seed: u64,
    /// How often requests of a kind ended in some way.
    pub(crate) answers: BTreeMap<(&'static str, String), u64>,
    /// The slowest request of each kind that was answered, and how it began.
    pub(crate) slowest: BTreeMap<&'static str, (Duration, String)>,
    pub(crate) health: Vec<Duration>,
    pub(crate) peak_mib: u64,
    pub(crate) written: Written,
    pub(crate) counted: [u64; 3],
    /// How the server ended before it was asked to.
    pub(crate) died: Option<String>,
    /// Whether it stopped when it was asked to.
    pub(crate) stopped: bool,
    pub(crate) panics: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, kind: &'static str, end: String, took: Duration, what: &str) {
        *self.answers.entry((kind, end)).or_default() += 1;
        let slowest = self.slowest.entry(kind).or_default();
        if took > slowest.0 {
            *slowest = (took, what.to_owned());
        }
    }

    fn health_at(&self, percent: usize) -> Duration {
        let mut times = self.health.clone();
        times.sort();
        let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(at).copied().unwrap_or_default()
    }

    /// Returns what does not hold.
    pub(crate) fn failures(&self, options: &Options) -> Vec<String> {
        let mut failures = Vec::new();
        failures.extend(self.died.as_ref().map(|how| format!("the server died: {how}")));
        if !self.stopped {
            failures.push("the server did not stop when it was asked to".to_owned());
        }
        let acked = self.written.acked;
        if acked == 0 {
            failures.push("no row of the writer was stored".to_owned());
        }
        // The last post may be stored without its acknowledgement.
        let [rows, different, in_order] = self.counted;
        if rows < acked || rows > acked + 20 || different != rows || in_order != rows {
            failures.push(format!(
                "of {acked} acknowledged rows there are {rows}, {different} of them different, \
                 {in_order} under their numbers"
            ));
        }
        for (percent, limit) in [(99, options.max_health), (100, options.max_health * 3)] {
            let found = self.health_at(percent);
            if found > limit {
                failures.push(format!("/healthz took {found:?}, more than {limit:?} (p{percent})"));
            }
        }
        // Between two measurements it may grow beyond its limit.
        let limit = options.memory_mib * 3 / 2;
        if self.peak_mib > limit {
            failures.push(format!("the server had {} MiB, more than {limit}", self.peak_mib));
        }
        failures
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (kind, (took, what)) in &self.slowest {
            write!(f, "{kind:<12}")?;
            for ((_, end), count) in self.answers.iter().filter(|((it, _), _)| it == kind) {
                write!(f, " {end}: {count}")?;
            }
            writeln!(f, "; slowest {took:.1?} {what:?}")?;
        }
        let [p50, p99, max] = [50, 99, 100].map(|percent| self.health_at(percent));
        writeln!(
            f,
            "healthz      {} answers, p50 {p50:.1?} p99 {p99:.1?} max {max:.1?}",
            self.health.len()
        )?;
        let Written { acked, retries, .. } = self.written;
        writeln!(
            f,
            "writer       {acked} rows acknowledged, {retries} posts repeated; {} found",
            self.counted[0]
        )?;
        writeln!(f, "server       peak {} MiB, {} panics caught", self.peak_mib, self.panics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::parse(&["--server=s".to_owned()]).unwrap_or_else(|error| panic!("{error}"))
    }

    fn good() -> Tally {
        Tally {
            health: vec![Duration::from_millis(2); 100],
            peak_mib: 500,
            written: Written { acked: 40, retries: 3, refused: None },
            counted: [40, 40, 40],
            stopped: true,
            ..Tally::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Tally), part: &str) {
        let mut tally = good();
        change(&mut tally);
        let failures = tally.failures(&options());
        assert!(failures.iter().any(|failure| failure.contains(part)), "{failures:?}");
    }

    #[test]
    fn each_failure_is_found() {
        assert_eq!(good().failures(&options()), Vec::<String>::new());
        check(|tally| tally.died = Some("signal 9".to_owned()), "died");
        check(|tally| tally.stopped = false, "did not stop");
        check(|tally| tally.counted = [39, 39, 39], "40 acknowledged rows there are 39");
        check(|tally| tally.counted = [40, 39, 40], "39 of them different");
        check(|tally| tally.counted = [40, 40, 39], "39 under their numbers");
        check(|tally| tally.written.acked = 0, "no row");
        check(|tally| tally.health[0] = Duration::from_secs(4), "p100");
        check(|tally| tally.health.fill(Duration::from_secs(2)), "p99");
        check(|tally| tally.peak_mib = 2000, "2000 MiB");
    }
}
