//! The operations of a schedule, and the generator that chooses them.

use std::time::Duration;

use streamtable_mock_backend::{Fault, Loss, NoAck, RequestKind};

use crate::spool::sim_disk::Trouble;

/// One year in milliseconds.
const YEAR: i64 = 365 * 86_400_000;

/// An operation of a schedule.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Logs this number of rows in one call. Every third row may be invalid.
    Log { rows: u64, with_bad: bool },
    /// Waits.
    Sleep(Duration),
    /// Flushes with this timeout.
    Flush(Duration),
    /// Injects a fault into the next request of a kind.
    Fail(RequestKind, Fault),
    /// The API key is rejected for a while.
    LoseKey(Duration),
    /// Moves the system clock by this number of milliseconds, forwards or backwards.
    JumpClock(i64),
    /// Another program opens the same table.
    Reopen,
    /// All programs are killed, and one is started.
    Kill,
    /// The power fails, and one program is started.
    CutPower,
    /// A call to the disk fails, after this number of other calls.
    FailDisk(u64, Trouble),
    /// The disk is full for a while, during which rows are logged.
    FillDisk { rows: u64, time: Duration },
}

/// A deterministic random generator (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(super) fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.roll(most))
    }

    fn fault(&mut self) -> Fault {
        match self.roll(16) {
            12..=14 => self.no_ack(),
            15 => Fault::PartialAck,
            0 => Fault::Unreachable,
            1 => Fault::LoseRequest(Loss::Interrupted),
            2 => Fault::LoseRequest(Loss::Timeout),
            3 => Fault::LoseAnswer(Loss::Interrupted),
            4 => Fault::LoseAnswer(Loss::Timeout),
            5 => Fault::Delay(self.millis(90_000)),
            6 => Fault::Duplicate,
            7 => Fault::Late,
            8 => Fault::HtmlErrorPage,
            9 => Fault::CutBody,
            10 => Fault::retry_after(503, self.millis(10_000)),
            // Only these statuses are transient: they say nothing about the rows.
            _ => Fault::status([408, 413, 429, 500, 502, 503, 504][self.roll(7) as usize]),
        }
    }

    fn no_ack(&mut self) -> Fault {
        Fault::NoAck(NoAck::ALL[self.roll(NoAck::ALL.len() as u64) as usize])
    }

    /// Something that goes wrong with a request: of any kind, if it is a false acknowledgement.
    fn failure(&mut self) -> Op {
        match self.roll(6) {
            0 => Op::Fail(RequestKind::Upload, self.no_ack()),
            1 => Op::Fail(RequestKind::Graphql, self.no_ack()),
            _ => Op::Fail(RequestKind::FileStream, self.fault()),
        }
    }

    fn trouble(&mut self) -> Trouble {
        [Trouble::NoSpace, Trouble::Io, Trouble::Short][self.roll(3) as usize]
    }

    pub(super) fn op(&mut self, has_disk: bool) -> Op {
        match self.roll(if has_disk { 24 } else { 17 }) {
            0..=5 => Op::Log { rows: 1 + self.roll(12), with_bad: self.roll(4) == 0 },
            6..=7 => Op::Sleep(self.millis(2_000)),
            8..=9 => Op::Flush(self.millis(20_000)),
            10..=13 => self.failure(),
            14 => Op::LoseKey(self.millis(5_000)),
            15 => Op::Reopen,
            16 => Op::JumpClock(self.roll(2 * YEAR as u64) as i64 - YEAR),
            17..=18 => Op::Kill,
            19 => Op::CutPower,
            20..=22 => Op::FailDisk(self.roll(12), self.trouble()),
            _ => Op::FillDisk { rows: 1 + self.roll(12), time: self.millis(2_000) },
        }
    }
}
