//! The arguments of `log`: one row or many, in several forms.

use serde::Serialize;
use streamtable_schema::Row;
use streamtable_wire::{TakeRow, for_each_row};

/// The types that [`log`](crate::StreamTable::log) accepts as one row or many.
///
/// | you have | you write |
/// | --- | --- |
/// | a [`Row`] | `log(row! { "ms" => 7 })` |
/// | a value that serializes as a struct or a map | `log(&request)` |
/// | a slice, array or list of such values | `log(&requests)` |
/// | a `Vec` or array of rows or such values | `log(vec![row, row])` |
/// | an iterator over rows or such values | `log(requests.iter().filter(…))` |
///
/// A value passed by reference may serialize as a sequence, too: its elements are the rows. So
/// `&(1, "x")` is two rows, both refused, because a number and a string have no columns.
///
/// # Columns
///
/// A struct or a map is a row: a field or an entry is a column. The type of a column follows from how
/// its values serialize:
///
/// | in serde's terms | for example | column |
/// | --- | --- | --- |
/// | `bool`, integer, float, string, `char` | `7`, `0.5`, `"x"` | `bool`, `int`, `float`, `string` |
/// | an integer that does not fit 64 bits | `u64::MAX` | refused; log it as a string or a float |
/// | `f32` | `0.1_f32` | `float`, the same number: 0.10000000149011612 |
/// | none, unit, unit struct | `None`, `()` | null; makes the column optional |
/// | newtype struct, some | `Meters(7.5)`, `Some(7)` | as the inner value |
/// | sequence, tuple, array | `vec![1, 2]`, `(1, 2.5)` | `list<int>`, `list<float>` |
/// | struct, map | `Point { x: 1 }` | `struct{x: int}` |
/// | unit variant | `Level::Warn` | `string` |
/// | newtype, tuple or struct variant | `Shape::Circle(3)` | `struct{Circle: int}` |
/// | bytes | `serde_bytes::Bytes` | refused; use [`Media`](crate::Media) or a list |
/// | [`Timestamp`](crate::Timestamp) | `Timestamp::from_micros(0)` | `timestamp` |
/// | [`Media`](crate::Media) | `Media::html("<p>")` | `image`, `audio`, `video`, `html`, `markdown` |
/// | `SystemTime`, `Duration` | `SystemTime::now()` | `struct{secs_since_epoch, …}`, `struct{secs, nanos}` |
/// | times of `jiff`, `chrono` and `time`; `Uuid` | `Uuid::nil()` | `string` |
///
/// Values of all kinds unite in one column. A column of one kind is easier to query: give an enum with unit
/// variants *and* other variants `#[serde(tag = "kind")]`, or serialize it as a string. A tagged enum as a
/// whole row needs [`ColumnPolicy::Evolve`](crate::ColumnPolicy), because its variants have different
/// fields.
///
/// To log a `SystemTime` of a derived struct as a timestamp, write
/// `#[serde(with = "streamtable::timestamp")]` above the field.
///
/// `Kind` distinguishes the implementations and is always inferred. The trait cannot be implemented
/// outside this crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a row nor a collection of rows",
    note = "pass one serializable value by reference: log(&value)"
)]
pub trait IntoRows<Kind>: sealed::Sealed<Kind> {
    /// The iterator-like type that yields the rows.
    type Rows: Rows;

    /// Converts the value to rows.
    fn into_rows(self) -> Self::Rows;
}

/// Rows that are read one by one.
pub trait Rows {
    /// Whether there may be infinitely many rows, so that a refusal that applies to all of them
    /// must end the loop.
    #[doc(hidden)]
    const IS_LAZY: bool;

    /// Calls `take` for each remaining row. If `take` stops at a row, the next call starts with
    /// that row again.
    #[doc(hidden)]
    fn offer<T: TakeRow>(&mut self, take: &mut T) -> Result<(), T::Stop>;
}

/// Marker types that distinguish the implementations of [`IntoRows`].
pub mod kind {
    /// One row by value.
    #[derive(Debug)]
    pub enum Single {}
    /// A reference to a value that serializes as one row or several.
    #[derive(Debug)]
    pub enum ByRef {}
    /// A `Vec` or array.
    #[derive(Debug)]
    pub enum Many {}
    /// An iterator.
    #[derive(Debug)]
    pub enum Each {}
}

mod sealed {
    use super::{Row, Serialize, kind};

    pub trait Sealed<Kind> {}
    impl Sealed<kind::Single> for Row {}
    impl<T: Serialize + ?Sized> Sealed<kind::ByRef> for &T {}
    impl<T: Serialize> Sealed<kind::Many> for Vec<T> {}
    impl<T: Serialize, const N: usize> Sealed<kind::Many> for [T; N] {}
    impl<I: Iterator<Item: Serialize>> Sealed<kind::Each> for I {}
}

impl IntoRows<kind::Single> for Row {
    type Rows = Iter<std::option::IntoIter<Self>, false>;

    fn into_rows(self) -> Self::Rows {
        Iter::new(Some(self))
    }
}

impl<'a, T: Serialize + ?Sized> IntoRows<kind::ByRef> for &'a T {
    type Rows = ByRef<'a, T>;

    fn into_rows(self) -> ByRef<'a, T> {
        ByRef { rows: self, taken: 0 }
    }
}

impl<T: Serialize> IntoRows<kind::Many> for Vec<T> {
    type Rows = Iter<std::vec::IntoIter<T>, false>;

    fn into_rows(self) -> Self::Rows {
        Iter::new(self)
    }
}

impl<T: Serialize, const N: usize> IntoRows<kind::Many> for [T; N] {
    type Rows = Iter<std::array::IntoIter<T, N>, false>;

    fn into_rows(self) -> Self::Rows {
        Iter::new(self)
    }
}

impl<I: Iterator<Item: Serialize>> IntoRows<kind::Each> for I {
    type Rows = Iter<I, true>;

    fn into_rows(self) -> Self::Rows {
        Iter::new(self)
    }
}

/// The rows of an iterator.
#[derive(Debug)]
pub struct Iter<I: Iterator, const IS_LAZY: bool> {
    iter: I,
    /// The row at which `take` stopped.
    stopped_at: Option<I::Item>,
}

impl<I: Iterator, const IS_LAZY: bool> Iter<I, IS_LAZY> {
    fn new(rows: impl IntoIterator<IntoIter = I>) -> Self {
        Self { iter: rows.into_iter(), stopped_at: None }
    }
}

impl<I: Iterator<Item: Serialize>, const IS_LAZY: bool> Rows for Iter<I, IS_LAZY> {
    const IS_LAZY: bool = IS_LAZY;

    fn offer<T: TakeRow>(&mut self, take: &mut T) -> Result<(), T::Stop> {
        while let Some(row) = self.stopped_at.take().or_else(|| self.iter.next()) {
            if let Err(stop) = take.take(&row) {
                self.stopped_at = Some(row);
                return Err(stop);
            }
        }
        Ok(())
    }
}

/// A reference to a value that serializes as a row or a sequence of rows.
#[derive(Debug)]
pub struct ByRef<'a, T: ?Sized> {
    rows: &'a T,
    taken: usize,
}

impl<T: Serialize + ?Sized> Rows for ByRef<'_, T> {
    const IS_LAZY: bool = false;

    fn offer<R: TakeRow>(&mut self, take: &mut R) -> Result<(), R::Stop> {
        struct Rest<'a, R> {
            take: &'a mut R,
            skip: usize,
            taken: &'a mut usize,
        }

        impl<R: TakeRow> TakeRow for Rest<'_, R> {
            type Stop = R::Stop;

            fn take<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), R::Stop> {
                if self.skip > 0 {
                    self.skip -= 1;
                    return Ok(());
                }
                self.take.take(row)?;
                *self.taken += 1;
                Ok(())
            }
        }

        let skip = self.taken;
        for_each_row(self.rows, &mut Rest { take, skip, taken: &mut self.taken })
    }
}
