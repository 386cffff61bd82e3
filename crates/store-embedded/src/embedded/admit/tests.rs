//! Laws of admission that need no store: memory stays in proportion, and rows are read back
//! unchanged.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use streamtable_schema::{Value, row};
use streamtable_wire::binary::write_line;

use super::*;
use crate::columns::read_rows;
use crate::memtable::conform;

/// The maximum number of bytes of arrays for each byte of the lines that they are built from.
const BYTES_PER_LINE_BYTE: usize = 200;

/// The additional number of bytes that a post of any length may take.
const BYTES_PER_POST: usize = 64 << 10;

/// A line: its writer and its columns.
type Shape = (u8, Vec<u16>);

/// Rows of few columns out of many, or of many.
fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let columns = prop_oneof![
        3 => vec(0u16..2000, 0..4),
        2 => vec(0u16..2000, 30..60),
        1 => (0u16..1500).prop_map(|first| (first..first + 500).collect()),
        2 => Just(vec![0, 1, 2]),
    ];
    vec((0u8..4, columns), 1..60)
}

fn line(index: usize, (writer, columns): &Shape) -> String {
    let mut cells = BTreeMap::new();
    for &column in columns {
        let value = match column % 5 {
            0 => format!("{index}"),
            1 => format!("{index}.5"),
            2 => "\"\"".to_owned(),
            3 => format!("\"a text that is not short {index}\""),
            _ => format!("[{index}]"),
        };
        cells.insert(format!("c{column}"), value);
    }
    let cells: Vec<String> =
        cells.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let separator = if cells.is_empty() { "" } else { "," };
    format!("{{{}{separator}\"_client_id\":\"a writer of some length {writer}\"}}", cells.join(","))
}

fn batch(lines: &[String], first_line: u32) -> Batch {
    Batch {
        table: "me/shop/requests".parse().unwrap(),
        writer: "w".to_owned(),
        first_line: first_line.into(),
        lines: lines.iter().cloned().map(Into::into).collect(),
        on_duplicate: OnDuplicate::Ignore,
        columns: ColumnPolicy::Evolve,
        received_at: Timestamp::from_millis(0),
    }
}

/// Admits a batch like a store, and publishes it.
fn append(state: &mut TableState, batch: Batch, memory: &Arc<Memory>) -> u64 {
    let parsed = parse(&batch.lines);
    let mut waiting = Waiting::new(batch, parsed);
    let mut stored = 0;
    while !waiting.is_empty() {
        let plan = state.plan(&mut waiting).unwrap();
        let expected = plan.array_bytes();
        let admitted = plan.build(memory).unwrap();
        let actual: usize =
            admitted.group.batches.iter().map(|(it, _)| it.batch.get_array_memory_size()).sum();
        assert!(actual <= 2 * expected, "{actual} bytes where {expected} were expected");
        stored += admitted.group.rows();
        state.commit(admitted.columns, &admitted.group);
        state.publish(admitted.group);
    }
    stored
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However columns and writers are mixed, in one post or in many, arrays stay in proportion to
    /// the lines, and all rows are read back unchanged.
    #[test]
    fn memory_is_in_proportion_to_lines(posts in vec(shapes(), 1..4), wide: bool) {
        let memory = Arc::new(Memory::default());
        let mut state = TableState::default();
        let (mut lines, mut bytes_in, mut count) = (Vec::new(), 0, 0);
        if wide {
            let all = (0u16..2000).collect();
            lines.push(vec![line(0, &(0, all))]);
        }
        lines.extend(posts.iter().map(|post| {
            post.iter().enumerate().map(|(i, shape)| line(i, shape)).collect::<Vec<_>>()
        }));
        for post in &lines {
            let stored = append(&mut state, batch(post, count), &memory);
            prop_assert_eq!(stored, post.len() as u64);
            count += post.len() as u32;
            bytes_in += post.iter().map(String::len).sum::<usize>() * BYTES_PER_LINE_BYTE + BYTES_PER_POST;
            prop_assert!(memory.bytes() <= bytes_in, "{} bytes of arrays", memory.bytes());
        }
        let all: Vec<String> = lines.concat();
        let batches = state.memtable.batches();
        let rows: Vec<_> = batches.iter().flat_map(|it| read_rows(&state.columns, it)).collect();
        prop_assert_eq!(rows.len(), all.len());
        for (i, (row, line)) in rows.iter().zip(&all).enumerate() {
            let mut expected = HistoryLine::parse(line).unwrap();
            prop_assert_eq!(Some(&row.writer), expected.writer.as_ref());
            prop_assert_eq!((row.position, row.line), (i as u64, i as u64));
            let cells = |row: streamtable_schema::Row| row.into_iter().collect::<BTreeMap<_, _>>();
            let expected = cells(std::mem::take(&mut expected.row));
            prop_assert_eq!(cells(row.row.clone()), expected);
        }
        // With all columns of the table, the batches have the same content.
        let schema = state.columns.arrow_schema();
        let whole = batches.iter().map(|it| conform(it, &schema).unwrap());
        let again: Vec<_> = whole.flat_map(|it| read_rows(&state.columns, &it)).collect();
        prop_assert_eq!(again, rows);
        drop(state);
        prop_assert_eq!(memory.bytes(), 0);
    }
}

#[test]
fn many_small_posts_make_few_batches() {
    let memory = Arc::new(Memory::default());
    let mut state = TableState::default();
    for n in 0..3000 {
        let line = line(n, &((n % 4) as u8, vec![0, 1 + (n % 3) as u16, 7]));
        append(&mut state, batch(&[line], n as u32), &memory);
    }
    assert!(state.memtable.batches().len() <= 20, "{} batches", state.memtable.batches().len());
}

#[test]
fn a_batch_of_large_arrays_is_admitted_in_parts() {
    let memory = Arc::new(Memory::default());
    let mut state = TableState::default();
    let columns = |n: u16| (0..100).map(|i| (n * 37 + i * 17) % 2000).collect();
    let lines: Vec<String> = (0..900).map(|n| line(n, &(0, columns(n as u16)))).collect();
    let batch = batch(&lines, 0);
    let mut waiting = Waiting::new(batch.clone(), parse(&batch.lines));
    let plan = state.plan(&mut waiting).unwrap();
    assert!(!waiting.is_empty());
    assert!((MAX_PART_BYTES..2 * MAX_PART_BYTES).contains(&plan.array_bytes()));
    assert_eq!(append(&mut state, batch, &memory), 900);
}

/// Readers cannot show them, and one would make queries of the whole table fail.
#[test]
fn instants_outside_of_the_years_1_to_9999_are_refused() {
    let at = Timestamp::from_micros(i64::MAX);
    let cell = || Value::from(at);
    for (row, logged_at, column) in [
        (row! { "at" => cell() }, None, Some("at")),
        (row! { "a" => 1, "all" => vec![cell()] }, None, Some("all")),
        (row! { "o" => row! { "at" => cell() } }, None, Some("o")),
        (row! { "a" => 1 }, Some(at), Some("timestamp")),
        (row! { "at" => Timestamp::from_micros(0) }, Some(Timestamp::from_micros(0)), None),
    ] {
        let line = HistoryLine { row, logged_at, ..HistoryLine::default() };
        let mut binary = Vec::new();
        write_line(&line, &mut binary).unwrap();
        let found = parse(&[binary.into()]).pop().unwrap().map(|_| ()).err();
        let expected = column.map(|column| {
            format!("column {column:?}: an instant is outside of the years 1 to 9999")
        });
        assert_eq!(found, expected);
    }
}
