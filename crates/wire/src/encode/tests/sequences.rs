//! Sequences that yield rows one by one.

use streamtable_schema::{Value, row};

use super::*;
use crate::{TakeRow, for_each_row};

/// Collects row by row, as a client does.
struct Rows {
    lines: Vec<Result<String, String>>,
    stop_after: usize,
}

impl TakeRow for Rows {
    type Stop = &'static str;

    fn take<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), &'static str> {
        if self.lines.len() == self.stop_after {
            return Err("enough");
        }
        let line = write(&mut Schema::new(ColumnPolicy::Evolve), row);
        let cells = line.map(|line| line.split(r#""_client_id""#).next().unwrap().to_owned());
        self.lines.push(cells.map_err(|error| error.to_string()));
        Ok(())
    }
}

#[test]
fn sequences() {
    #[track_caller]
    fn check<T: Serialize + ?Sized>(rows: &T, expected: &[Result<&str, &str>]) {
        let mut taken = Rows { lines: Vec::new(), stop_after: 9 };
        for_each_row(rows, &mut taken).unwrap();
        let lines: Vec<_> = taken.lines.iter().map(|l| l.as_deref().map_err(|e| &**e)).collect();
        assert_eq!(lines, expected);
    }
    let (a, b) = (row! { "a" => 1 }, row! { "b" => 2 });
    let both: [Result<&str, &str>; 2] = [Ok(r#"{"a":1,"#), Ok(r#"{"b":2,"#)];
    check(&a, &both[..1]);
    check(&vec![a.clone(), b.clone()], &both);
    check(&(&a, &b), &both);
    check(&Some(Newtype([&a, &b])), &both);
    check(&serde_json::json!([{ "a": 1 }, { "b": 2 }]), &both);
    check(&Vec::<Row>::new(), &[]);
    check(&raw(r#"{"a":1}"#), &both[..1]);

    let not_a_row = |found| format!("a row is a struct or a map of columns, not {found}");
    let int = not_a_row("int");
    check(&7, &[Err(&int)]);
    check(&vec![Value::from(7), a.clone().into()], &[Err(&int), both[0]]);
    check(&None::<Vec<Row>>, &[Err(&not_a_row("null"))]);
    check(&Pair(1, "x"), &[Err(&not_a_row("list<int | string>"))]);
    check(&Timestamp::from_micros(7), &[Err(&not_a_row("timestamp"))]);
    check(&Broken, &[Err(r#"column "": cannot be serialized: the lock is poisoned"#)]);

    let mut taken = Rows { lines: Vec::new(), stop_after: 1 };
    assert_eq!(for_each_row(&[&a, &b], &mut taken), Err("enough"));
    assert_eq!(taken.lines.len(), 1);
    assert_eq!(for_each_row(&a, &mut taken), Err("enough"));
}
