//! Every kind of file in a store's folder, damaged in every way: the store starts, damage stays
//! within its table, no cell is wrong, and the damage is reported.
//!
//! `STREAMTABLE_DAMAGE_PAIRS` sets the number of pairs of damages to try.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use streamtable_schema::TablePath;
use streamtable_store::{
    Append as _, Batch, Health, Query as _, Read as _, ResultTypes, SqlQuery, Store as _,
};
use streamtable_store_embedded::EmbeddedStore;

use crate::support::{Folder, batch};

const TABLES: [&str; 3] = ["me/shop/a", "me/shop/b", "you/other/c"];

/// How many rows each table has: the first ones flushed, the last ones in the log.
const FLUSHED: u64 = 3000;
const LOGGED: u64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Log,
    LogMark,
    State,
    Parquet,
    DeltaLog,
}

const KINDS: [Kind; 5] = [Kind::Log, Kind::LogMark, Kind::State, Kind::Parquet, Kind::DeltaLog];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Missing,
    Empty,
    Cut,
    Flipped,
    Swapped,
    Older,
    /// A symbolic link to itself is in its place: the system cannot read it.
    Unreadable,
}

const DAMAGES: [Damage; 7] = [
    Damage::Missing,
    Damage::Empty,
    Damage::Cut,
    Damage::Flipped,
    Damage::Swapped,
    Damage::Older,
    Damage::Unreadable,
];

/// Pseudo-random numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A file to damage, below the store's folder.
#[derive(Clone, Debug)]
struct Target {
    kind: Kind,
    path: PathBuf,
    /// The only table whose data it holds; `None` for files of the whole store.
    table: Option<&'static str>,
}

/// A copy of a folder after a kill, and one from some time before.
struct Original {
    now: BTreeMap<PathBuf, Vec<u8>>,
    before: BTreeMap<PathBuf, Vec<u8>>,
    targets: Vec<Target>,
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "lock" {
                let below = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(below, fs::read(path).unwrap());
            }
        }
    }
    found
}

async fn append(store: &EmbeddedStore, table: &str, lines: std::ops::Range<u64>) {
    let texts = lines.clone().map(|n| format!(r#"{{"n":{n},"text":"{table} {n}"}}"#)).collect();
    let batch = Batch { table: table.parse().unwrap(), ..batch("w", lines.start, texts) };
    store.append(batch).await.unwrap();
}

impl Original {
    async fn make() -> Self {
        let folder = Folder::new();
        let mut before = BTreeMap::new();
        for part in 0..3 {
            if part == 2 {
                before = contents(folder.path());
            }
            let store = folder.open().await;
            for table in TABLES {
                append(&store, table, part * FLUSHED / 3..(part + 1) * FLUSHED / 3).await;
            }
            store.flush().await.unwrap();
        }
        for table in TABLES {
            // Each start creates a new log file.
            append(&folder.open().await, table, FLUSHED..FLUSHED + LOGGED).await;
        }
        let now = contents(folder.path());
        let targets = now.keys().filter_map(|path| target(path)).collect();
        Self { now, before, targets }
    }

    fn of(&self, kind: Kind) -> Vec<&Target> {
        self.targets.iter().filter(|target| target.kind == kind).collect()
    }

    fn copy(&self) -> Folder {
        let folder = Folder::new();
        for (path, bytes) in &self.now {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    /// Damages a file; returns the tables that may lose rows, or `None` if the damage is not possible.
    fn damage(
        &self,
        folder: &Path,
        target: &Target,
        damage: Damage,
        dice: &mut Dice,
    ) -> Option<BTreeSet<&'static str>> {
        let path = folder.join(&target.path);
        let mut bytes = fs::read(&path).unwrap_or_default();
        let mut hurt: BTreeSet<_> = target.table.into_iter().collect();
        match damage {
            Damage::Missing => fs::remove_file(&path).ok()?,
            Damage::Empty => fs::write(&path, "").unwrap(),
            Damage::Cut => {
                bytes.truncate(bytes.len() / 4 + dice.roll(bytes.len() / 2 + 1));
                fs::write(&path, bytes).unwrap();
            }
            Damage::Flipped => {
                let at = dice.roll(bytes.len().max(1));
                *bytes.get_mut(at)? ^= 1 << dice.roll(8);
                fs::write(&path, bytes).unwrap();
            }
            Damage::Swapped => {
                let others = self.of(target.kind);
                let others: Vec<_> =
                    others.into_iter().filter(|it| it.path != target.path).collect();
                let other = others[dice.roll(others.len())];
                hurt.extend(other.table);
                let other = folder.join(&other.path);
                let theirs = fs::read(&other).ok()?;
                fs::write(&path, theirs).unwrap();
                fs::write(other, bytes).unwrap();
            }
            Damage::Older => {
                let older = self.before.get(&target.path)?;
                if *older == bytes {
                    return None;
                }
                fs::write(&path, older).unwrap();
            }
            Damage::Unreadable => {
                fs::remove_file(&path).ok()?;
                std::os::unix::fs::symlink(&path, &path).unwrap();
            }
        }
        Some(hurt)
    }
}

fn target(path: &Path) -> Option<Target> {
    let text = path.to_str().unwrap();
    let table = TABLES.into_iter().find(|table| text.starts_with(&format!("tables/{table}/")));
    let kind = if text.starts_with("log/mark") {
        Kind::LogMark
    } else if text.starts_with("log/") {
        Kind::Log
    } else if text.contains("_streamtable/state") {
        Kind::State
    } else if text.contains("_delta_log/") && text.ends_with(".json") {
        Kind::DeltaLog
    } else if text.ends_with(".parquet") && !text.contains("_delta_log/") {
        Kind::Parquet
    } else {
        return None;
    };
    Some(Target { kind, path: path.to_owned(), table })
}

/// Returns the lines of a table, read in pages and by SQL. Every cell must be right.
async fn lines(store: &EmbeddedStore, table: &str) -> BTreeSet<u64> {
    let path: TablePath = table.parse().unwrap();
    let (mut lines, mut from) = (BTreeSet::new(), 0);
    loop {
        let page = store.read(&path, from, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.position + 1;
        for row in page {
            let n = row.line;
            assert_eq!(row.row.get("n").unwrap(), &streamtable_schema::Value::from(n));
            let text = streamtable_schema::Value::from(format!("{table} {n}"));
            assert_eq!(row.row.get("text").unwrap(), &text);
            assert!(lines.insert(n), "line {n} of {table} is there twice");
        }
    }
    let [entity, project, name] = [path.entity(), path.project(), path.table()];
    let query = SqlQuery {
        sql: format!(
            "select count(*), count(distinct _line), \
             coalesce(sum(case when n = _line and text = '{table} ' || _line then 1 else 0 end), 0) \
             from {entity}.{project}.{name}"
        ),
        home: None,
        owner: None,
        entities: None,
        timeout: std::time::Duration::from_secs(60),
        positions: false,
        types: ResultTypes::Flat,
    };
    match store.query(query).await {
        Ok(rows) => {
            use arrow::array::AsArray as _;
            let batches: Vec<_> = rows.batches.try_collect().await.unwrap();
            for column in batches[0].columns() {
                let count = column.as_primitive::<arrow::datatypes::Int64Type>().value(0);
                assert_eq!(count as usize, lines.len(), "SQL counts differently in {table}");
            }
        }
        Err(error) => assert!(lines.is_empty(), "{table} cannot be queried: {error}"),
    }
    lines
}

/// Which rows were served, and whether anything was reported.
struct Outcome {
    lost: usize,
    is_reported: bool,
    health: Health,
}

/// Opens a damaged folder, reads all tables before and after the files are checked, flushes, and
/// opens it again.
async fn examine(folder: &Folder, hurt: &BTreeSet<&'static str>, case: &str) -> Outcome {
    let mut lost = 0;
    let mut is_reported = false;
    let mut health = Health::default();
    for round in 0..2 {
        let store = folder.open().await;
        if round == 0 {
            lost = count_lost(&store, hurt, case).await;
        }
        store.verify().await.unwrap();
        let after = count_lost(&store, hurt, case).await;
        assert!(after >= lost || round > 0, "{case}: rows came back");
        lost = lost.max(after);
        let recovery = store.recovery();
        is_reported |= !store.health().await.is_ok() || recovery.torn > 0;
        if round == 0 {
            health = store.health().await;
        }
        store.flush().await.unwrap_or_else(|error| panic!("{case}: {error}"));
        for table in TABLES {
            append(&store, table, 10_000..10_010).await;
        }
        store.close().await.unwrap();
        drop(store);
        if round == 0 {
            // The repaired folder needs no further repair.
            let store = folder.open().await;
            let again = store.verify().await.unwrap();
            assert_eq!(again, Vec::<String>::new(), "{case}: damage is still there");
            store.close().await.unwrap();
            drop(store);
        }
    }
    Outcome { lost, is_reported, health }
}

async fn count_lost(store: &EmbeddedStore, hurt: &BTreeSet<&'static str>, case: &str) -> usize {
    let mut lost = 0;
    for table in TABLES {
        let there = lines(store, table).await;
        let missing = (0..FLUSHED + LOGGED).filter(|line| !there.contains(line)).count();
        assert!(missing == 0 || hurt.contains(table), "{case}: {table} lost {missing} rows");
        lost += missing;
    }
    lost
}

/// Adds all tables for log files, which hold rows of any table.
fn widened(mut hurt: BTreeSet<&'static str>, kind: Kind) -> BTreeSet<&'static str> {
    if matches!(kind, Kind::Log) {
        hurt.extend(TABLES);
    }
    hurt
}

/// An older copy of the log's newest file looks like a write that was never acked; any other damage
/// must be reported.
fn must_report(kind: Kind, damage: Damage, outcome: &Outcome) -> bool {
    outcome.lost > 0 && !(kind == Kind::Log && damage == Damage::Older)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_file_damaged_in_each_way() {
    let original = Original::make().await;
    let mut dice = Dice(1);
    let mut table = String::new();
    for kind in KINDS {
        for damage in DAMAGES {
            let mut outcomes = BTreeSet::new();
            for _ in 0..3 {
                let targets = original.of(kind);
                let target = targets[dice.roll(targets.len())];
                let case = format!("{damage:?} {}", target.path.display());
                let folder = original.copy();
                let hurt = original.damage(folder.path(), target, damage, &mut dice);
                let Some(hurt) = hurt else { continue };
                let outcome = examine(&folder, &widened(hurt, kind), &case).await;
                let must = must_report(kind, damage, &outcome);
                assert!(!must || outcome.is_reported, "{case}: nothing was reported");
                if matches!(kind, Kind::State | Kind::LogMark | Kind::DeltaLog) {
                    assert_eq!(outcome.lost, 0, "{case}");
                }
                let kinds: BTreeSet<_> =
                    outcome.health.problems().map(|(_, it)| it.kind.as_str()).collect();
                let rows = if outcome.lost > 0 { "its rows are lost" } else { "no row is lost" };
                let kinds: Vec<_> = kinds.into_iter().collect();
                outcomes.insert(format!("{rows}; {}", kinds.join(", ")));
            }
            let outcomes: Vec<_> = outcomes.into_iter().collect();
            table += &format!("| {kind:?} | {damage:?} | {} |\n", outcomes.join(" / "));
        }
    }
    tell(&table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_of_damages() {
    let pairs = std::env::var("STREAMTABLE_DAMAGE_PAIRS").ok();
    let pairs = pairs.map_or(20, |it| it.parse().unwrap());
    let original = Original::make().await;
    let mut dice = Dice(2);
    for _ in 0..pairs {
        let folder = original.copy();
        let (mut hurt, mut case) = (BTreeSet::new(), String::new());
        for _ in 0..2 {
            let target = &original.targets[dice.roll(original.targets.len())];
            let damage = DAMAGES[dice.roll(DAMAGES.len())];
            if let Some(more) = original.damage(folder.path(), target, damage, &mut dice) {
                hurt.extend(widened(more, target.kind));
                case += &format!("{damage:?} {}; ", target.path.display());
            }
        }
        let outcome = examine(&folder, &hurt, &case).await;
        let is_old = case.contains("Older log");
        assert!(outcome.lost == 0 || outcome.is_reported || is_old, "{case}: nothing was reported");
    }
}

#[expect(clippy::print_stdout, reason = "the table is for the documentation")]
fn tell(table: &str) {
    println!("| file | damage | outcome |\n| --- | --- | --- |\n{table}");
}
