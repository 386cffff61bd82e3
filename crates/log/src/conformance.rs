//! A conformance suite for implementations of [`Log`].
//!
//! ```
//! use streamtable_log::{FolderLog, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let folder = tempfile::tempdir()?;
//! let open = |name: String| {
//!     let folder = folder.path().join(name);
//!     async move { FolderLog::open(folder, 1 << 20).map_err(|error| error.to_string()) }
//! };
//! assert_eq!(conformance::run_all(open).await, Vec::<String>::new());
//! # Ok(())
//! # }
//! ```

#![expect(clippy::future_not_send, reason = "the cases run in one task, whatever opens a log")]

use bytes::Bytes;
use futures_util::future::join_all;

use crate::{Action, Appended, Decision, FIRST, Fold, FrameId, Log, LogError, Replica, Restore};

/// The result of a case: success, or a sentence that describes the failure.
type Check<T = ()> = Result<T, String>;

/// Runs all cases, each in a log of its own name that `open` opens, or creates if it does not exist.
/// Returns the failures, each with the name of its case in front.
pub async fn run_all<L: Log, O: Future<Output = Result<L, String>>>(
    open: impl Fn(String) -> O,
) -> Vec<String> {
    let mut failures = Vec::new();
    macro_rules! cases {
        ($($case:ident)*) => {$(
            let failed = $case(&|| open(stringify!($case).replace('_', "-"))).await.err();
            failures.extend(failed.map(|what| format!("{}: {what}", stringify!($case))));
        )*};
    }
    cases! {
        a_new_log_is_empty
        frames_come_back_in_order
        any_bytes_come_back
        a_number_is_used_once
        one_of_many_gets_a_number
        frames_survive_a_restart
        trimmed_frames_are_gone
        the_base_never_moves_back
        a_log_can_be_trimmed_to_its_end
        nothing_is_appended_below_the_base
        replicas_agree
    }
    failures
}

fn failed(error: LogError) -> String {
    error.to_string()
}

fn equal<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Check {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

async fn append(log: &dyn Log, at: u64, frame: impl Into<Bytes>) -> Check<Appended> {
    log.append(at, FrameId::random(), frame.into()).await.map_err(failed)
}

fn frame(number: u64) -> Bytes {
    format!("frame {number}").into()
}

/// Appends frames that [`frame`] returns.
async fn fill(log: &dyn Log, numbers: std::ops::Range<u64>) -> Check {
    for number in numbers {
        equal(&append(log, number, frame(number)).await?, &Appended::Durable)?;
    }
    Ok(())
}

/// Reads all frames from a number on.
async fn read(log: &dyn Log, from: u64) -> Check<Vec<Bytes>> {
    let mut frames = Vec::new();
    loop {
        let read = log.read(from + frames.len() as u64).await.map_err(failed)?;
        if read.is_empty() {
            return Ok(frames);
        }
        for frame in read {
            frames.push(frame.ok_or("a frame is damaged")?);
        }
    }
}

async fn check_frames(log: &dyn Log, numbers: std::ops::Range<u64>) -> Check {
    let from = numbers.start;
    equal(&read(log, from).await?, &numbers.map(frame).collect())
}

async fn a_new_log_is_empty<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    equal(&log.base().await.map_err(failed)?, &FIRST)?;
    check_frames(&log, FIRST..FIRST).await
}

async fn frames_come_back_in_order<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    fill(&log, 1..20).await?;
    check_frames(&log, 1..20).await?;
    check_frames(&log, 13..20).await?;
    check_frames(&log, 20..20).await
}

async fn any_bytes_come_back<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    let mut frames = vec![Bytes::new(), Bytes::from_static(b"\0"), Bytes::from_static(b"STf1STo1")];
    frames.push((0..1 << 20).map(|i: u32| (i % 251) as u8).collect());
    for (number, frame) in (FIRST..).zip(&frames) {
        equal(&append(&log, number, frame.clone()).await?, &Appended::Durable)?;
    }
    equal(&(read(&log, FIRST).await? == frames), &true)
}

async fn a_number_is_used_once<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    fill(&log, 1..4).await?;
    for number in 1..4 {
        equal(&append(&log, number, "other").await?, &Appended::Lost)?;
    }
    // The same content is not the same frame.
    equal(&append(&log, 2, frame(2)).await?, &Appended::Lost)?;
    check_frames(&log, 1..4).await
}

async fn one_of_many_gets_a_number<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    for number in 1..6 {
        let racing = (0..8).map(|i| append(&log, number, format!("{number} by {i}")));
        let verdicts = join_all(racing).await.into_iter().collect::<Check<Vec<_>>>()?;
        let durable: Vec<_> =
            (0..8).filter(|&i: &usize| verdicts[i] == Appended::Durable).collect();
        equal(&durable.len(), &1)?;
        let expected = vec![Bytes::from(format!("{number} by {}", durable[0]))];
        equal(&read(&log, number).await?, &expected)?;
    }
    Ok(())
}

async fn frames_survive_a_restart<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let mut end = FIRST;
    for count in [0, 1, 0, 3, 7] {
        let log = open().await?;
        check_frames(&log, FIRST..end).await?;
        fill(&log, end..end + count).await?;
        end += count;
    }
    check_frames(&open().await?, FIRST..end).await
}

/// Checks a log whose frames below a number were trimmed. It may have kept some of them.
async fn check_trimmed(log: &dyn Log, below: u64, end: u64) -> Check {
    let base = log.base().await.map_err(failed)?;
    if base > below {
        return Err(format!("the base is {base}, above {below}"));
    }
    check_frames(log, base..end).await?;
    if base > FIRST {
        let expected = Err(LogError::Trimmed { number: base - 1, base });
        equal(&log.read(base - 1).await, &expected)?;
    }
    Ok(())
}

async fn trimmed_frames_are_gone<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    fill(&log, 1..10).await?;
    log.trim(6).await.map_err(failed)?;
    check_trimmed(&log, 6, 10).await?;
    drop(log);
    let log = open().await?;
    check_trimmed(&log, 6, 10).await?;
    fill(&log, 10..12).await?;
    check_trimmed(&log, 6, 12).await
}

async fn the_base_never_moves_back<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    fill(&log, 1..10).await?;
    let mut last = FIRST;
    for below in [1, 5, 3, 5, 1, 9] {
        log.trim(below).await.map_err(failed)?;
        let base = log.base().await.map_err(failed)?;
        equal(&(base >= last), &true)?;
        last = base;
    }
    check_trimmed(&log, 9, 10).await
}

async fn a_log_can_be_trimmed_to_its_end<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    for end in [4, 7] {
        let log = open().await?;
        fill(&log, end - 3..end).await?;
        log.trim(end).await.map_err(failed)?;
        check_trimmed(&log, end, end).await?;
        drop(log);
        check_trimmed(&open().await?, end, end).await?;
    }
    let log = open().await?;
    fill(&log, 7..9).await?;
    check_trimmed(&log, 7, 9).await
}

async fn nothing_is_appended_below_the_base<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    fill(&log, 1..6).await?;
    log.trim(6).await.map_err(failed)?;
    for number in 1..6 {
        match log.append(number, FrameId::random(), "other".into()).await {
            Ok(Appended::Lost) | Err(LogError::Trimmed { .. }) => {}
            other => return Err(format!("{other:?} below the base")),
        }
    }
    check_trimmed(&log, 6, 6).await
}

/// Numbers that were appended, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Numbers(Vec<u8>);

impl Fold for Numbers {
    type Request = u8;
    type Answer = ();

    fn apply(&mut self, _: u64, frame: &Bytes) {
        self.0.extend_from_slice(frame);
    }

    fn skip(&mut self, _: u64) {}

    fn decide(&self, number: &u8) -> Decision<()> {
        if self.0.contains(number) {
            return Decision::Known(());
        }
        Decision::Append(vec![*number].into(), ())
    }
}

/// There is no flushed state.
struct NoStates;

#[async_trait::async_trait]
impl Restore<Numbers> for NoStates {
    async fn restore(&self, base: u64) -> Result<(Numbers, u64), LogError> {
        Err(LogError::Damaged { reason: format!("the log starts at {base}") })
    }
}

/// Replicas that append the same numbers at the same time store each once, in the same order.
async fn replicas_agree<L: Log>(open: &impl AsyncFn() -> Check<L>) -> Check {
    let log = open().await?;
    let write = async |first: u8| {
        let mut replica = Replica::new(Numbers::default(), FIRST);
        for i in 0..10 {
            replica.request((first + 3 * i) % 10);
        }
        while replica.run(&log, &NoStates).await?.is_some() {}
        Ok(replica)
    };
    let replicas = join_all([0, 1, 2].map(write)).await;
    let replicas = replicas.into_iter().collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut folds = Vec::new();
    for mut replica in replicas {
        replica.follow();
        replica.run(&log, &NoStates).await.map_err(failed)?;
        equal(&replica.action(), &Action::Wait)?;
        folds.push(replica.fold().clone());
    }
    equal(&folds[1], &folds[0])?;
    equal(&folds[2], &folds[0])?;
    let mut sorted = folds[0].0.clone();
    sorted.sort_unstable();
    equal(&sorted, &(0..10).collect())
}
