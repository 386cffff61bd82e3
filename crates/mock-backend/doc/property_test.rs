use proptest::collection::vec;
use proptest::prelude::*;
use streamtable::{Refusal, Row, StreamTable, Value, row};
use streamtable_mock_backend::{FaultPlan, MockBackend, strategies};

/// Logs rows to a server with these faults, and checks that each is stored once, in order.
fn check(rows: &[Row], faults: FaultPlan) -> Result<(), TestCaseError> {
    // In paused time, a delay takes no time: the clock jumps to the next timer.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build()?.block_on(async {
        let mock = MockBackend::with_faults(faults)?;
        let table = StreamTable::builder("me/shop/requests")
            .transport(mock.clone())
            .base_url(mock.base_url())
            .api_key("any-key")
            .no_spool()
            .print_url(false)
            .open()
            .await?;
        for (n, row) in rows.iter().enumerate() {
            table.log(row.clone().with("row number", n)).await?;
        }
        let stats = table.finish().await?;
        prop_assert_eq!(stats.acked, rows.len() as u64);

        let stored = mock.rows(table.path());
        let numbers: Vec<_> = stored.iter().filter_map(|line| line.row.get("row number")).collect();
        let expected: Vec<Value> = (0..rows.len()).map(Value::from).collect();
        prop_assert_eq!(numbers, expected.iter().collect::<Vec<_>>());
        prop_assert_eq!(mock.violations(), Vec::<String>::new());
        Ok(())
    })
}

proptest! {
    // A failed case is reduced to a small one, which takes more steps than the default allows.
    #![proptest_config(ProptestConfig { max_shrink_iters: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_stored_once_and_in_order(
        rows in strategies::rows(1..10),
        faults in strategies::fault_plan(strategies::passing_fault(false), 10, 4),
    ) {
        check(&rows, faults)?;
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused_alone(
        case in strategies::misfit(),
        later in vec(0..100_i64, 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            let mock = MockBackend::default();
            let builder = StreamTable::builder("me/shop/requests").transport(mock.clone());
            let builder = builder.base_url(mock.base_url()).api_key("any-key").no_spool();
            let table = builder.print_url(false).open().await?;
            table.log(&case.rows).await?;
            let error = table.log(&case.row).await.unwrap_err();
            let Refusal::Schema(reason) = &error.refused[0].reason else { panic!("{error}") };
            prop_assert_eq!(reason.column(), Some(&*case.column));
            for _ in &later {
                table.log(&case.rows[0]).await?;
            }
            prop_assert_eq!(table.finish().await?.acked, (case.rows.len() + later.len()) as u64);
            Ok(())
        })?;
    }
}

/// A failed case prints its rows and its plan: copy them to replay it.
#[test]
fn a_lost_answer_again() {
    let plan = "file_stream#0 lose-answer(interrupted)".parse().unwrap();
    check(&[row! { "a" => Value::Null }], plan).unwrap();
}
