//! The time of a row, and the column `timestamp`.
//!
//! The time of a row is a fixed column ([`fixed::TIME`](super::fixed::TIME)). What rows say about it is
//! kept in a column `timestamp` of instants, which W&B clients read, and which is no column for
//! [`ColumnPolicy::Strict`](streamtable_schema::ColumnPolicy::Strict) and in SQL. A value of another kind
//! makes it the *user's column*: from that row on, its cells are what rows have, and times that clients
//! add to rows are no cells of it.

use streamtable_schema::{TIMESTAMP_COLUMN, Timestamp, Type, Value, is_row_time, row_time_of_text};
use streamtable_wire::{HistoryLine, is_added_time};

use super::{Column, Columns, FirstSeen, Kind};

impl Columns {
    /// Returns the user's column `timestamp`, if the table has one.
    pub(crate) fn user_timestamp(&self) -> Option<&Column> {
        let column = &self.columns[self.find(TIMESTAMP_COLUMN, 0)?];
        (!column.is_row_time()).then_some(column)
    }

    /// Returns when a row was logged: its own `timestamp`, else the client's time, else the time of
    /// arrival. Changes the row's cell to what the table keeps of it.
    pub(crate) fn row_time(
        &self,
        line: &mut HistoryLine,
        position: u64,
        received_at: Timestamp,
    ) -> Timestamp {
        let otherwise = line.logged_at.unwrap_or(received_at);
        let Some(cell) = line.row.get_mut(TIMESTAMP_COLUMN) else { return otherwise };
        let is_text = matches!(cell, Value::String(_));
        let time = match cell {
            Value::Timestamp(at) => Some(*at),
            Value::String(text) => row_time_of_text(text),
            _ => None,
        };
        let Some(at) = time else { return otherwise };
        let is_added = line.logged_at.is_some_and(|logged_at| is_added_time(at, logged_at));
        match (is_text, self.is_users_timestamp(position)) {
            (true, false) => *cell = Value::Timestamp(at),
            (false, true) if is_added => drop(line.row.remove(TIMESTAMP_COLUMN)),
            _ => {}
        }
        at
    }

    /// Returns whether `timestamp` was the user's column before the row at a position.
    fn is_users_timestamp(&self, position: u64) -> bool {
        let since = self.user_timestamp().map(Column::users_since);
        since.is_some_and(|since| since < position)
    }

    /// Returns the type of a column that gets a new type with a row. If that makes it the user's column
    /// `timestamp` of a table that has rows, the column also holds the times of those.
    pub(super) fn with_earlier_times(&mut self, column: usize, ty: Type, seen: FirstSeen) -> Type {
        let own = &self.columns[column];
        if !own.is_row_time() || is_row_time(&own.name, &ty) || seen.position == 0 {
            return ty;
        }
        if own.slots.is_empty() {
            self.add_slot(column, Kind::Time, None);
        }
        ty.unite(&Type::Timestamp)
    }
}

impl Column {
    /// Returns whether the column holds the times of rows.
    pub(crate) fn is_row_time(&self) -> bool {
        is_row_time(&self.name, &self.ty) && self.slots.iter().all(|slot| slot.kind == Kind::Time)
    }

    /// Returns the position of the first row with a value that is no instant, of a column `timestamp`.
    /// The cells of earlier rows are the rows' times.
    pub(crate) fn users_since(&self) -> u64 {
        let first = self.history.iter().find(|seen| !is_row_time(&self.name, &seen.ty));
        first.map_or(0, |seen| seen.position)
    }
}
