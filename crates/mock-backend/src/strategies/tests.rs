use std::time::Duration;

use proptest::prelude::*;
use streamtable_schema::{
    ColumnPolicy, Media, MediaError, Schema, SchemaError, StoredFile, TableName, Timestamp, Type,
};
use streamtable_wire::{HistoryLine, Logged, RowSink, write_row};

use super::*;
use crate::{Fault, FaultPlan};

struct NoBytes;

impl RowSink for NoBytes {
    fn cell(&mut self, _: &str, _: &Type) -> Result<(), SchemaError> {
        Ok(())
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        panic!("{media:?} has no file yet")
    }
}

proptest! {
    #[test]
    fn values_are_of_their_type((ty, value) in types().prop_flat_map(|ty| (Just(ty.clone()), value_of(&ty)))) {
        prop_assert!(ty.accepts(&value), "{ty} does not take {value:?}");
    }

    /// A client that waits as long as it is asked is done before it gives up, even in real time.
    #[test]
    fn passing_faults_take_less_than_a_second(fault in passing_fault(true)) {
        let (Fault::Delay(delay) | Fault::Status { retry_after: Some(delay), .. }) = fault else {
            return Ok(());
        };
        prop_assert!(delay < Duration::from_secs(1), "{fault}");
    }

    #[test]
    fn rows_fit_one_table(rows in rows(1..6)) {
        let mut schema = Schema::new(ColumnPolicy::Strict);
        for row in &rows {
            schema.admit(row)?;
        }
    }

    #[test]
    fn rows_round_trip_over_the_wire(row in row()) {
        let mut line = Vec::new();
        let logged = Logged { writer: "w", at: Timestamp::from_millis(0) };
        write_row(&row, logged, &mut line, &mut NoBytes)?;
        let mut read = HistoryLine::parse(std::str::from_utf8(&line)?)?.row;
        read = read.into_iter().filter(|(name, _)| name != "timestamp").collect();
        prop_assert_eq!(read, row);
    }

    #[test]
    fn misfits_are_refused_for_their_column(case in misfit()) {
        let mut schema = Schema::new(ColumnPolicy::Strict);
        for row in &case.rows {
            schema.admit(row)?;
        }
        let error = schema.admit(&case.row).unwrap_err();
        prop_assert_eq!(error.column(), Some(&*case.column));
        let is_as_told = match case.mutation {
            Mutation::Missing => matches!(error, SchemaError::MissingColumn { .. }),
            Mutation::Extra => matches!(error, SchemaError::ExtraColumn { .. }),
            Mutation::Duplicate => matches!(error, SchemaError::DuplicateColumn { .. }),
        };
        prop_assert!(is_as_told, "{:?} gives {error}", case.mutation);
    }

    #[test]
    fn valid_names_parse(name in table_name(), path in table_path()) {
        prop_assert!(name.parse::<TableName>().is_ok(), "{name}");
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn invalid_names_are_refused(name in bad_table_name()) {
        prop_assert!(name.parse::<TableName>().is_err(), "{name}");
    }

    #[test]
    fn plans_round_trip_as_text(plan in fault_plan(prop_oneof![passing_fault(true), fatal_fault()], 20, 8)) {
        prop_assert_eq!(plan.to_string().parse::<FaultPlan>(), Ok(plan));
    }

    #[test]
    fn sessions_end_once(ops in ops(12)) {
        prop_assert_eq!(ops.iter().position(|op| *op == Op::Finish), Some(ops.len() - 1));
    }

    #[test]
    fn images_are_images(image in image()) {
        prop_assert_eq!(image.format(), "png");
    }
}
