//! What became of the rows.

use std::fmt;

/// What became of the rows that were logged, at one moment.
///
/// Always: `logged = acked + pending + rejected + dropped`. Nothing is ever in two places, and
/// nothing in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows that `log` accepted.
    pub logged: u64,
    /// Rows that the backend has stored.
    pub acked: u64,
    /// Rows that are on their way.
    pub pending: u64,
    /// Rows that the backend refused for good. Each was handed to the
    /// [`on_reject`](crate::Builder::on_reject) callback.
    pub rejected: u64,
    /// Rows given up without the backend's word. No policy of this version does so: always 0.
    pub dropped: u64,
    /// Media files of those rows.
    pub media: MediaStats,
    /// Rows that earlier processes left in the spool: told apart, and in none of the numbers above.
    pub recovered: Recovered,
}

/// What became of the rows that earlier processes left in the spool for this table.
///
/// Always: `found = acked + pending + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Rows that were found so far.
    pub found: u64,
    /// Those that the backend has stored by now.
    pub acked: u64,
    /// Those that it refused for good, each handed to the callback.
    pub rejected: u64,
    /// Places in the spool that were damaged, and set aside.
    pub damaged: u64,
    /// Rows that are known to be lost with what was damaged.
    pub lost: u64,
}

impl Recovered {
    /// Returns how many are on their way.
    pub fn pending(&self) -> u64 {
        self.found - self.acked - self.rejected
    }
}

/// What became of the media files that the rows refer to, each counted once however often it was
/// logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaStats {
    /// Files that the backend has stored.
    pub uploaded: u64,
    /// Files that are on their way.
    pub pending: u64,
    /// Files that the backend refused for good; their cells show no picture.
    pub failed: u64,
}

impl Stats {
    /// Tells whether nothing that was logged is on its way any more.
    pub fn is_settled(&self) -> bool {
        self.pending == 0 && self.media.pending == 0
    }
}

impl fmt::Display for Stats {
    /// Writes the accounting in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logged, acked, pending, rejected, dropped, media, recovered } = self;
        write!(f, "{logged} logged, {acked} acked, {pending} pending, {rejected} rejected, ")?;
        write!(f, "{dropped} dropped")?;
        let MediaStats { uploaded, pending, failed } = media;
        if uploaded + pending + failed > 0 {
            write!(f, "; media: {uploaded} uploaded, {pending} pending, {failed} failed")?;
        }
        if *recovered != Recovered::default() {
            write!(f, "; recovered: {recovered}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, acked, rejected, damaged, lost } = self;
        write!(f, "{found} found, {acked} acked, {} pending, {rejected} rejected", self.pending())?;
        if damaged + lost > 0 {
            write!(f, ", {damaged} places damaged, {lost} rows lost with them")?;
        }
        Ok(())
    }
}
