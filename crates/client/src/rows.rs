//! What `log` takes: one row or many, in whatever form.

use serde::Serialize;
use streamtable_schema::Row;
use streamtable_wire::{TakeRow, for_each_row};

/// Whatever [`log`](crate::StreamTable::log) takes as one row or many.
///
/// | you have | you write |
/// | --- | --- |
/// | a [`Row`] | `log(row! { "ms" => 7 })` |
/// | a value that serializes as a struct or a map | `log(&request)` |
/// | a slice, array or list of such values | `log(&requests)` |
/// | a `Vec` or array of rows or such values | `log(vec![row, row])` |
/// | an iterator over rows or such values | `log(requests.iter().filter(…))` |
///
/// `Kind` only keeps these apart; it is always inferred. The trait is not meant to be implemented
/// elsewhere.
pub trait IntoRows<Kind>: sealed::Sealed<Kind> {
    /// The rows, ready to be taken one by one.
    type Rows: Rows;

    /// Makes rows of the value.
    fn into_rows(self) -> Self::Rows;
}

/// Rows that are taken one by one.
pub trait Rows {
    /// Whether there may be no end of them, so that a refusal that holds for all of them should
    /// end them.
    #[doc(hidden)]
    const IS_LAZY: bool;

    /// Offers each row that is not taken yet; one at which `take` stops is offered again the next
    /// time.
    #[doc(hidden)]
    fn offer<T: TakeRow>(&mut self, take: &mut T) -> Result<(), T::Stop>;
}

/// What keeps the forms of [`IntoRows`] apart.
pub mod kind {
    /// One row by value.
    #[derive(Debug)]
    pub enum Single {}
    /// A reference to what serializes as a row or as several.
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

/// Rows of an iterator.
#[derive(Debug)]
pub struct Iter<I: Iterator, const IS_LAZY: bool> {
    iter: I,
    /// A row that was offered but not taken.
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

/// What a reference serializes as: a row, or a sequence of rows.
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
