//! Accounting of rows.

use std::fmt;

/// Accounting of the logged rows at one moment.
///
/// Invariant: `logged = acked + pending + rejected + dropped`. Every row is counted in exactly one
/// of the four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Rows that `log` accepted.
    pub logged: u64,
    /// Rows that the backend has stored.
    pub acked: u64,
    /// Rows that wait for delivery or for a response.
    pub pending: u64,
    /// Rows that the backend rejected permanently. Each was passed to the
    /// [`on_reject`](crate::Builder::on_reject) callback.
    pub rejected: u64,
    /// Rows given up without a response from the backend. No current policy does that: always 0.
    pub dropped: u64,
    /// Rows that `log` refused and returned to the caller, with the reason. They are not included in
    /// `logged`.
    pub refused: u64,
    /// Media files of those rows.
    pub media: MediaStats,
    /// Rows that earlier processes left in the spool. They are not included in the numbers above.
    pub recovered: Recovered,
}

/// Accounting of the rows that earlier processes left in the spool for this table.
///
/// Invariant: `found = acked + pending + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Rows found so far.
    pub found: u64,
    /// Rows that the backend has stored.
    pub acked: u64,
    /// Rows that the backend rejected permanently, each passed to the callback.
    pub rejected: u64,
    /// Damaged places in the spool, which were moved aside.
    pub damaged: u64,
    /// Rows known to be lost in damaged places.
    pub lost: u64,
}

impl Recovered {
    /// Returns the number of rows that still wait for delivery.
    pub fn pending(&self) -> u64 {
        self.found - self.acked - self.rejected
    }
}

/// Accounting of the media files that the rows refer to. A file that was logged several times
/// counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaStats {
    /// Files that the backend has stored.
    pub uploaded: u64,
    /// Files that wait for upload.
    pub pending: u64,
    /// Files that the backend rejected permanently. Their cells show no image.
    pub failed: u64,
}

impl Stats {
    /// Returns whether nothing is pending any more.
    pub fn is_settled(&self) -> bool {
        self.pending == 0 && self.media.pending == 0
    }
}

impl fmt::Display for Stats {
    /// Writes the accounting in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logged, acked, pending, rejected, dropped, refused, media, recovered } = self;
        write!(f, "{logged} logged, {acked} acked, {pending} pending, {rejected} rejected, ")?;
        write!(f, "{dropped} dropped")?;
        if *refused > 0 {
            write!(f, "; {refused} refused")?;
        }
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
