//! Tests of the journal alone: a queue on a disk that fails and processes that are killed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use streamtable_schema::row;

use super::disk::{Disk, How, Machine};
use super::frame::Header;
use super::journal::SpoolJournal;
use super::maintenance::Maintenance;
use super::orphan::{Identity, Loaded, Lookup, Merge, OrphanSpool, identify};
use super::sim_disk::{SimMachine, Trouble};
use super::{SpoolConfig, SyncPolicy, layout, list};
use crate::journal::{Journal, JournalError};
use crate::shared::now;
use crate::{FlushFailure, StreamTable};

fn table_dir() -> PathBuf {
    "/spool/table".into()
}

fn header() -> Header {
    Header {
        writer: "w".to_owned(),
        server: "s".to_owned(),
        table: "e/p/t".to_owned(),
        columns: "strict".to_owned(),
        base: 0,
        line: 0,
        created: 0,
        process: 0,
    }
}

fn create(disk: Arc<dyn Disk>, config: &SpoolConfig, memory: u64) -> SpoolJournal {
    SpoolJournal::create(disk, table_dir(), header(), config, memory).unwrap()
}

/// Returns the unsettled lines that a later process finds.
fn left(machine: &SimMachine) -> Vec<Vec<u8>> {
    let (lines, missing) = found(machine);
    assert_eq!(missing, 0);
    lines
}

/// Returns the unsettled lines that a later process finds, and how many are missing.
fn found(machine: &SimMachine) -> (Vec<Vec<u8>>, u64) {
    machine.kill();
    let disk = machine.process();
    let Lookup::Orphan(orphan) = OrphanSpool::open(&disk, &table_dir(), "w").unwrap() else {
        panic!("found no orphaned spool");
    };
    let watermark = orphan.acked.watermark();
    let mut merge = Merge::new(&*disk, &orphan.dir, &orphan.segments, watermark).unwrap();
    let (mut lines, mut missing) = (Vec::new(), 0);
    for (i, &number) in orphan.segments.iter().enumerate() {
        let path = orphan.segment_path(number);
        let loaded = Loaded::read(&*disk, &path, orphan.header.salt()).unwrap();
        for (first, block) in merge.take(i, &loaded) {
            missing += first - merge.next;
            merge.next = first + block.len() as u64;
            lines.extend(block.lines().map(<[u8]>::to_vec));
        }
    }
    assert!(!merge.is_carrying());
    (lines, missing + merge.missing_at_end())
}

fn run_tasks(journal: &mut SpoolJournal, at: Instant) {
    while let Maintenance::Now(task) = journal.maintenance(at) {
        let _ = journal.finish_task(task.run());
    }
}

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Commit,
    Read { ahead: u64, max_lines: usize, max_bytes: usize },
    Trim(u64),
    Chores,
    Fail(u64, bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => prop_oneof![9 => 0usize..300, 1 => 10_000usize..300_000].prop_map(Op::Append),
        3 => Just(Op::Commit),
        3 => (0u64..40, 0usize..50, 0usize..400_000).prop_map(|(ahead, max_lines, max_bytes)| {
            Op::Read { ahead, max_lines, max_bytes }
        }),
        2 => (0u64..20).prop_map(Op::Trim),
        1 => Just(Op::Chores),
        1 => (0u64..5, any::<bool>()).prop_map(|(call, short)| Op::Fail(call, short)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The spool is a queue of lines, however much memory it has. A killed process leaves the lines
    /// that were committed and not settled.
    #[test]
    fn behaves_as_a_queue(
        ops in prop::collection::vec(op(), 0..80),
        memory in prop_oneof![Just(0u64), 0..1_000_000u64],
    ) {
        let machine = SimMachine::default();
        let config = SpoolConfig {
            segment_bytes: 8 << 10,
            sync: SyncPolicy::Interval(Duration::ZERO),
            ..SpoolConfig::default()
        };
        let mut journal = create(machine.process(), &config, memory);
        let (mut model, mut first, mut committed) = (VecDeque::<Vec<u8>>::new(), 0u64, 0u64);
        let later = Instant::now() + Duration::from_secs(3600);
        for (n, op) in ops.into_iter().enumerate() {
            let end = first + model.len() as u64;
            match op {
                Op::Append(len) => {
                    let line = vec![n as u8 | 0x80; len];
                    match journal.append(&line) {
                        Ok(()) => model.push_back(line),
                        // Lines that the disk does not accept must fit into memory.
                        Err(JournalError::Full { .. }) => {}
                        Err(error) => return Err(TestCaseError::fail(error.to_string())),
                    }
                }
                Op::Commit if journal.commit().is_ok() => committed = end,
                Op::Commit => {}
                Op::Read { ahead, max_lines, max_bytes } if first + ahead < end => {
                    machine.heal();
                    let _ = journal.commit();
                    let lines = journal.read(first + ahead, max_lines, max_bytes);
                    let lines = lines.map_err(|e| TestCaseError::fail(e.to_string()))?;
                    let expected = model.iter().skip(ahead as usize).take(lines.len());
                    prop_assert!(!lines.is_empty() && lines.len() <= max_lines.max(1));
                    prop_assert!(lines.len() == 1 || lines.bytes() <= max_bytes);
                    prop_assert!(lines.iter().eq(expected.map(Vec::as_slice)));
                }
                Op::Read { .. } => {}
                Op::Trim(count) => {
                    let count = count.min(model.len() as u64);
                    if journal.trim(first + count).is_ok() {
                        first += count;
                        model.drain(..count as usize);
                    }
                }
                Op::Chores => run_tasks(&mut journal, later),
                Op::Fail(call, false) => machine.fail(call, Trouble::Io),
                Op::Fail(call, true) => machine.fail(call, Trouble::Short),
            }
        }
        machine.heal();
        let left = left(&machine);
        let expected: Vec<_> = model.into_iter().collect();
        // Committed lines must be found; uncommitted ones may be.
        prop_assert!(left.len() as u64 >= committed.saturating_sub(first), "{}", left.len());
        prop_assert!(left.len() <= expected.len());
        prop_assert_eq!(&left[..], &expected[..left.len()]);
    }
}

/// Segments with settled lines are removed; the folder is removed with the last one.
#[test]
fn settled_segments_are_removed() {
    let machine = SimMachine::default();
    let config =
        SpoolConfig { segment_bytes: 4 << 10, sync: SyncPolicy::Never, ..SpoolConfig::default() };
    let mut journal = create(machine.process(), &config, 0);
    for n in 0..1000 {
        journal.append(format!("{{\"n\":{n}}}").as_bytes()).unwrap();
        journal.commit().unwrap();
    }
    let segments = || {
        let is_segment = |path: &Path| path.extension().is_some_and(|e| e == "seg");
        machine.files().iter().filter(|(path, _)| is_segment(path)).count()
    };
    let all = segments();
    journal.trim(500).unwrap();
    run_tasks(&mut journal, Instant::now());
    assert!(segments() <= all / 2 + 1, "{} of {all}", segments());
    journal.trim(1000).unwrap();
    run_tasks(&mut journal, Instant::now());
    assert_eq!(segments(), 1);
    journal.close(true).unwrap();
    assert_eq!(machine.files(), []);
}

/// If a task finishes late or never, a later process still finds no settled line.
#[test]
fn a_late_job_leaves_no_settled_lines() {
    let machine = SimMachine::default();
    let config = SpoolConfig { segment_bytes: 4 << 10, ..SpoolConfig::default() };
    let mut journal = create(machine.process(), &config, 0);
    for n in 0..300 {
        journal.append(format!("{{\"n\":{n}}}").as_bytes()).unwrap();
        journal.commit().unwrap();
    }
    journal.trim(300).unwrap();
    let Maintenance::Now(task) = journal.maintenance(Instant::now()) else {
        panic!("no task is due")
    };
    journal.close(true).unwrap();
    assert_eq!(machine.files(), []);
    let _ = task.run();
    assert_eq!(machine.files(), []);
}

#[test]
fn the_size_limit_holds_and_delivered_rows_free_space() {
    let machine = SimMachine::default();
    let config = SpoolConfig { max_bytes: 20_000, ..SpoolConfig::default() };
    let mut journal = create(machine.process(), &config, 1 << 20);
    let too_long = journal.append(&[b'x'; 20_000]);
    assert!(matches!(too_long, Err(JournalError::TooLong { .. })), "{too_long:?}");
    let (mut end, mut settled) = (0, 0);
    for _ in 0..20 {
        let error = loop {
            match journal.append(&[b'x'; 100]) {
                Ok(()) => end += 1,
                Err(error) => break error,
            }
            journal.commit().unwrap();
        };
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        let used: usize = machine.files().iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(used <= 20_000 + 2 * 5_000, "{used}");
        assert!(end - settled >= 80, "{settled}..{end}");
        settled = end;
        journal.trim(settled).unwrap();
        run_tasks(&mut journal, Instant::now());
    }
}

/// A file whose sync failed gets no more lines, and its unsynced lines are rewritten to another
/// file.
#[test]
fn lines_are_rewritten_after_a_failed_sync() {
    let machine = SimMachine::default();
    let config = SpoolConfig { sync: SyncPolicy::Always, ..SpoolConfig::default() };
    let mut journal = create(machine.process(), &config, 1 << 20);
    journal.append(b"{\"n\":0}").unwrap();
    journal.commit().unwrap();
    // Fails the sync of the segment, which follows the write and the sync of the watermark.
    machine.fail(2, Trouble::Io);
    journal.append(b"{\"n\":1}").unwrap();
    journal.commit().unwrap();
    assert_eq!(machine.failed(), 1);
    // No unsynced data survives.
    machine.cut_power(|_| 0);
    assert_eq!(left(&machine), [b"{\"n\":0}".to_vec(), b"{\"n\":1}".to_vec()]);
}

/// Rewritten lines are found, whatever a power failure leaves of the first copy.
#[test]
fn either_of_two_copies_is_recovered() {
    for eighths in 0..=8 {
        let machine = SimMachine::default();
        let config = SpoolConfig { sync: SyncPolicy::Always, ..SpoolConfig::default() };
        let mut journal = create(machine.process(), &config, 1 << 20);
        let lines: Vec<Vec<u8>> = (0..20).map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect();
        lines.iter().for_each(|line| journal.append(line).unwrap());
        // Fails the sync of the watermark, which follows the write.
        machine.fail(1, Trouble::Io);
        journal.commit().unwrap();
        assert_eq!(machine.failed(), 1);
        // Each file survives up to some position, with a hole before it.
        machine.cut_power(|sides| if sides <= 3 { 0 } else { sides * eighths / 8 });
        assert_eq!(left(&machine), lines, "{eighths}");
    }
}

/// Media files are durable before any row, so the header that identifies their writer must be, too.
#[test]
fn media_files_are_recovered_after_a_power_failure() {
    let machine = SimMachine::default();
    let journal = create(machine.process(), &SpoolConfig::default(), 1 << 20);
    let picture = crate::MediaFile { path: "media/a.png".into(), bytes: "picture".into() };
    journal.media().put(&picture).unwrap();
    machine.cut_power(|_| 1);
    let disk = machine.process();
    let Lookup::Orphan(orphan) = OrphanSpool::open(&disk, &table_dir(), "w").unwrap() else {
        panic!("found no orphaned spool");
    };
    assert_eq!(orphan.media.names().unwrap().len(), 1);
}

/// If every sync fails, the disk is not filled with copies, and the journal recovers when syncs
/// work again.
#[test]
fn failing_syncs_do_not_fill_the_disk() {
    for sync in [SyncPolicy::Always, SyncPolicy::Interval(Duration::ZERO)] {
        let machine = SimMachine::default();
        let config = SpoolConfig { sync, max_bytes: 4 << 20, ..SpoolConfig::default() };
        let mut journal = create(machine.process(), &config, 0);
        machine.set_fails_syncs(true);
        let mut at = Instant::now();
        for _ in 0..500 {
            journal.append(b"{\"n\":0}").unwrap();
            assert_eq!(journal.commit().is_err(), sync == SyncPolicy::Always);
            run_tasks(&mut journal, at);
            at += Duration::from_secs(3600);
        }
        let bytes: usize = machine.files().iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes < 6 << 20, "{bytes}");
        machine.set_fails_syncs(false);
        journal.trim(500).unwrap();
        run_tasks(&mut journal, at);
        journal.append(b"{\"n\":1}").unwrap();
        journal.commit().unwrap();
        run_tasks(&mut journal, at + Duration::from_secs(3600));
        machine.cut_power(|_| 0);
        // The watermark may be lost, so some of the earlier lines may be found again or count as missing.
        assert_eq!(found(&machine).0.last(), Some(&b"{\"n\":1}".to_vec()));
    }
}

#[test]
fn a_spool_is_locked_by_one_process() {
    let machine = SimMachine::default();
    let journal = create(machine.process(), &SpoolConfig::default(), 1 << 20);
    let open = || OrphanSpool::open(&machine.process(), &table_dir(), "w").unwrap();
    assert!(matches!(open(), Lookup::Busy));
    drop(journal);
    let orphan = open();
    assert!(matches!(orphan, Lookup::Orphan(_)));
    assert!(matches!(open(), Lookup::Busy));
    drop(orphan);
    machine.kill();
    assert!(matches!(open(), Lookup::Orphan(_)));
}

/// Rows that waited in memory while the disk was full are written to segments of normal size.
#[test]
fn rows_that_waited_for_space_fit_normal_segments() {
    let machine = SimMachine::default();
    let config = SpoolConfig { segment_bytes: 1 << 20, ..SpoolConfig::default() };
    let mut journal = create(machine.process(), &config, 256 << 20);
    machine.set_full(true);
    let lines: Vec<Vec<u8>> = (0..200_000).map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect();
    for line in &lines {
        journal.append(line).unwrap();
    }
    journal.commit().unwrap_err();
    machine.set_full(false);
    journal.commit().unwrap();
    let longest = machine.files().iter().map(|(_, bytes)| bytes.len()).max();
    assert!(longest <= Some(1 << 20), "{longest:?}");
    assert!(left(&machine) == lines);
}

/// After the disk was full for a while, it accepts rows again, even if memory is at its limit and
/// the server is still unreachable.
#[test]
fn a_disk_that_was_full_accepts_rows_again() {
    let machine = SimMachine::default();
    let mut journal = create(machine.process(), &SpoolConfig::default(), 1 << 20);
    let line = [b'x'; 1000];
    let log = |journal: &mut SpoolJournal| journal.append(&line).and_then(|()| journal.commit());
    for _ in 0..5_000 {
        log(&mut journal).unwrap();
    }
    machine.set_full(true);
    let refused = (0..5_000).find_map(|_| match log(&mut journal) {
        Err(error @ JournalError::Full { .. }) => Some(error),
        _ => None,
    });
    assert!(refused.is_some());
    machine.set_full(false);
    for _ in 0..5_000 {
        log(&mut journal).unwrap();
    }
    assert!(left(&machine).len() >= 10_000);
}

/// If there is no space for a full segment, a short one is created.
#[test]
fn the_remaining_space_of_a_disk_is_used() {
    let machine = SimMachine::default();
    let mut journal = create(machine.process(), &SpoolConfig::default(), 1 << 20);
    machine.set_room(1 << 20);
    let line = [b'x'; 1000];
    let taken =
        (0..5_000).take_while(|_| journal.append(&line).and_then(|()| journal.commit()).is_ok());
    let taken = taken.count();
    // The first segment existed before, and the others are as short.
    assert!((1_200..1_300).contains(&taken), "{taken} rows of a kilobyte");
    assert!(left(&machine).len() >= taken);
}

/// After a fork, both processes share files and lock, so only the original process may write.
#[test]
fn a_forked_process_writes_nothing() {
    let machine = SimMachine::default();
    let mut journal = create(machine.process(), &SpoolConfig::default(), 1 << 20);
    journal.append(b"{}").unwrap();
    journal.fork();
    let before = machine.files();
    for refused in [journal.commit(), journal.sync_now()] {
        assert!(matches!(refused, Err(JournalError::Io { .. })), "{refused:?}");
    }
    let _ = journal.append(b"{}");
    journal.close(true).unwrap();
    assert_eq!(machine.files(), before);
}

/// Inspecting the folder holds locks for a moment, and prevents no process from creating a spool.
#[test]
fn inspection_does_not_block_new_spools() {
    let dir = tempfile::tempdir().unwrap();
    let table_dir = dir.path().join("server/e/p/t");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let disk: Arc<dyn Disk> = Arc::new(Machine);
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                list(dir.path()).unwrap();
                for writer in super::recover::writers_of(&*disk, &table_dir).unwrap() {
                    // An error is fine: the folder may be created or removed at the same time.
                    let _ = OrphanSpool::open(&disk, &table_dir, &writer);
                }
            }
        });
        for n in 0..300 {
            let header = Header { writer: format!("w{n}"), ..header() };
            let config = SpoolConfig { sync: SyncPolicy::Never, ..SpoolConfig::default() };
            let journal =
                SpoolJournal::create(Arc::new(Machine), table_dir.clone(), header, &config, 0);
            let mut journal = journal.unwrap();
            journal.append(b"{}").unwrap();
            journal.commit().unwrap();
            journal.close(true).unwrap();
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens to the bytes of a spool, only lines that were written to it are read, in
    /// order.
    #[test]
    fn damaged_files_yield_only_written_lines(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..20),
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(),
                prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 1..100)),
            0..6,
        ),
    ) {
        let machine = SimMachine::default();
        let config = SpoolConfig { segment_bytes: 4 << 10, ..SpoolConfig::default() };
        let mut journal = create(machine.process(), &config, 1 << 20);
        for text in &texts {
            journal.append(text).unwrap();
            journal.commit().unwrap();
        }
        let picture = crate::MediaFile { path: "media/a.png".into(), bytes: "picture".into() };
        journal.media().put(&picture).unwrap();
        journal.trim(1).unwrap();
        machine.kill();
        let disk = machine.process();
        let files = machine.files();
        for (file, at, bytes) in damage {
            let (path, old) = file.get(&files);
            if !old.is_empty() {
                let file = disk.open(path, How::Write).unwrap();
                file.write_all_at(&bytes, at.index(old.len()) as u64).unwrap();
            }
        }
        if let Lookup::Orphan(orphan) = OrphanSpool::open(&disk, &table_dir(), "w").unwrap() {
            let watermark = orphan.acked.watermark();
            let mut merge = Merge::new(&*disk, &orphan.dir, &orphan.segments, watermark).unwrap();
            for (i, &number) in orphan.segments.iter().enumerate() {
                let path = orphan.dir.join(layout::segment_name(number));
                let loaded = Loaded::read(&*disk, &path, orphan.header.salt()).unwrap();
                for (first, block) in merge.take(i, &loaded) {
                    prop_assert!(first >= merge.next);
                    let written = &texts[first as usize..first as usize + block.len()];
                    prop_assert!(block.lines().eq(written.iter().map(Vec::as_slice)));
                    merge.next = first + block.len() as u64;
                }
            }
            prop_assert!(!merge.is_carrying());
            for name in orphan.media.names().unwrap() {
                if let Some(file) = orphan.media.read(&name).unwrap() {
                    prop_assert_eq!(&file.bytes, &picture.bytes);
                }
            }
        }
    }
}

/// Damage of one file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Remove,
    /// Zeros from this share of the file on, in hundredths.
    Cut(usize),
    FlipHeader,
}

proptest! {
    /// Every line that was on disk is found or reported as missing.
    #[test]
    fn lines_of_lost_segments_are_missed(
        count in 1_u64..200,
        settled in 0_u64..200,
        sync in prop_oneof![
            Just(SyncPolicy::Never),
            Just(SyncPolicy::Always),
            Just(SyncPolicy::Interval(Duration::from_secs(1)))
        ],
        damage in prop::collection::vec(
            (
                any::<prop::sample::Index>(),
                prop_oneof![
                    Just(Damage::Remove),
                    (0..100_usize).prop_map(Damage::Cut),
                    Just(Damage::FlipHeader)
                ],
            ),
            0..3,
        ),
    ) {
        let machine = SimMachine::default();
        let config = SpoolConfig { segment_bytes: 4 << 10, sync, ..SpoolConfig::default() };
        let mut journal = create(machine.process(), &config, 1 << 20);
        let line = |i: u64| format!("line {i} {}", "x".repeat(i as usize % 300)).into_bytes();
        for i in 0..count {
            journal.append(&line(i)).unwrap();
            journal.commit().unwrap();
        }
        let settled = settled.min(count - 1);
        journal.trim(settled).unwrap();
        run_tasks(&mut journal, now());
        journal.close(false).unwrap();
        machine.kill();
        let disk = machine.process();
        let dir = table_dir().join("w");
        for (index, damage) in damage {
            let segments: Vec<_> = machine
                .files()
                .into_iter()
                .filter(|(path, _)| path.extension().is_some_and(|it| it == "seg"))
                .collect();
            let Some(segments) = Some(segments).filter(|it| !it.is_empty()) else { break };
            let (path, bytes) = index.get(&segments);
            match damage {
                Damage::Remove => disk.remove_file(path).unwrap(),
                Damage::Cut(share) => {
                    let at = bytes.len() * share / 100;
                    let zeros = vec![0; bytes.len() - at];
                    disk.open(path, How::Write).unwrap().write_all_at(&zeros, at as u64).unwrap();
                }
                Damage::FlipHeader => {
                    let flipped = [bytes[9] ^ 4];
                    disk.open(path, How::Write).unwrap().write_all_at(&flipped, 9).unwrap();
                }
            }
        }
        let segments: Vec<u64> =
            disk.list(&dir).unwrap().iter().filter_map(|name| layout::segment_number(name)).collect();
        let identity = identify(&*disk, &dir, &segments).unwrap();
        prop_assert!(!matches!(identity, Identity::Empty));
        if matches!(identity, Identity::Known(..)) {
            let (lines, missing) = found(&machine);
            prop_assert_eq!(lines.len() as u64 + missing, count - settled);
            let mut written = (settled..count).map(line);
            for found in lines {
                prop_assert!(written.any(|line| line == found));
            }
        }
    }
}

/// Offline, no server has the rows, so `finish` reports rows that would be lost. The program may
/// free disk space and call `finish` again.
#[tokio::test]
async fn finish_offline_reports_rows_that_are_not_on_disk() {
    let machine = SimMachine::default();
    let builder = StreamTable::builder("e/p/t").base_url("http://mock.invalid").print_url(false);
    let builder =
        builder.offline(SpoolConfig { dir: Some("/spool".into()), ..SpoolConfig::default() });
    let table = builder.disk(machine.process()).open().await.unwrap();
    machine.set_full(true);
    let refused = table.log(row! { "n" => 1 }).await.unwrap_err();
    assert!(refused.at_risk.is_some() && refused.refused.is_empty(), "{refused:?}");
    let error = table.finish().await.unwrap_err();
    assert!(matches!(error.reason, FlushFailure::Spool { .. }), "{error}");
    assert_eq!(error.stats.pending, 1);
    machine.set_full(false);
    assert_eq!(table.finish().await.unwrap().pending, 1);
    let files = machine.files();
    let has_row = |(_, bytes): &(PathBuf, Vec<u8>)| bytes.windows(6).any(|it| it == b"\"n\":1,");
    assert!(files.iter().any(has_row), "the row is not on disk");
}
