//! Accounting of rows and files, and the state of their delivery.

use std::time::Duration;

use super::Core;
use crate::session::Session;
use crate::{Recovered, Stats, StopReason};

/// How much has left the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    rows: u64,
    files: u64,
}

impl Core {
    pub(crate) fn stats(&self) -> Stats {
        let session = &self.session;
        Stats {
            logged: session.line_count(),
            acked: session.acked(),
            pending: session.line_count() - session.settled(),
            rejected: session.rejected(),
            dropped: 0,
            refused: self.refused,
            media: self.media.stats(),
            recovered: self.recovered,
        }
    }

    /// Returns a number that grows with everything that is settled.
    pub(crate) fn progress(&self) -> u64 {
        let Recovered { acked, rejected, .. } = self.recovered;
        self.session.settled() + self.media.session().settled() + acked + rejected
    }

    pub(super) fn delivered(&self) -> Delivered {
        Delivered { rows: self.session.settled(), files: self.media.session().settled() }
    }

    /// Returns why rows or files are not delivered any more.
    pub(crate) fn stop_reason(&self) -> Option<&StopReason> {
        self.session.stop_reason().or_else(|| self.media.session().stop_reason())
    }

    /// Returns why delivery has stopped, if everything pending is affected. Rows are still delivered
    /// if only files are stopped, and files if only rows are.
    pub(crate) fn stuck_reason(&self) -> Option<&StopReason> {
        let sessions = [&self.session, self.media.session()].into_iter();
        let waiting = sessions.filter(|session| session.settled() < session.line_count());
        let mut reasons = waiting.map(Session::stop_reason);
        let first = reasons.next()??;
        reasons.all(|reason| reason.is_some()).then_some(first)
    }

    /// Returns the longest delay that the backend asked for since it last stored something.
    pub(crate) fn asked(&self) -> Duration {
        self.session.asked().max(self.media.session().asked())
    }

    /// Returns the most recent error, if something is still pending.
    pub(crate) fn last_error(&self) -> Option<String> {
        let errors = [self.session.last_error(), self.media.session().last_error()];
        errors.into_iter().flatten().next().map(str::to_owned)
    }
}
