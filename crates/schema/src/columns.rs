//! Rust types whose columns are known before any value exists.

use std::any::type_name;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::{Media, MediaKind, Timestamp, Type, Value};

/// A type whose values are rows with the same columns.
///
/// Derive it for a struct with named fields (feature `derive`); it then has a type in a cell
/// ([`ColumnType`]), too. Serde's attributes that change what is serialized are respected: `rename`,
/// `rename_all`, `flatten`, `skip`, `tag`, `transparent` and others.
///
/// ```
/// use serde::Serialize;
/// use streamtable_schema::{ColumnPolicy, Columns, Schema};
///
/// #[derive(Serialize, Columns)]
/// #[columns(crate = "streamtable_schema")] // not needed with `use streamtable::Columns`
/// struct Request {
///     path: String,
///     #[serde(rename = "ms")]
///     latency: f64,
///     user: Option<u64>,
///     tags: Vec<String>,
///     outcome: Outcome,
/// }
///
/// #[derive(Serialize, Columns)]
/// #[columns(crate = "streamtable_schema")]
/// #[serde(rename_all = "snake_case")]
/// enum Outcome {
///     Served,
///     NotFound,
/// }
///
/// let mut schema = Schema::new(ColumnPolicy::Strict);
/// schema.admit_columns(Request::columns())?;
/// assert_eq!(
///     schema.to_string(),
///     "path: string, ms: float, user: int?, tags: list<string>, outcome: string",
/// );
/// # Ok::<(), streamtable_schema::SchemaError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the columns of `{Self}` are not known at compile time",
    note = "for a struct with named fields: #[derive(serde::Serialize, Columns)]",
    note = "rows of other types are logged through an untyped `StreamTable`"
)]
pub trait Columns: Serialize + ColumnType {
    /// Returns the names and types of the columns, in the order in which a row has them.
    fn columns() -> Vec<(String, Type)>;
}

/// A type whose values have a type in a cell that is known at compile time.
///
/// It is implemented for the types of the standard library, and derived together with [`Columns`]
/// for structs and enums:
///
/// | Rust type | in a cell |
/// | --- | --- |
/// | `bool`; integers; `f32`, `f64` | `bool`; `int`; `float` |
/// | `String`, `&str`, `char`, paths, addresses | `string` |
/// | [`Timestamp`]; any time with `#[serde(with = "streamtable::timestamp")]` | `timestamp` |
/// | [`Media`] | any kind of media |
/// | `Option<T>` | `T` or null |
/// | `Vec<T>`, arrays, sets, tuples | `list<T>` |
/// | maps | a struct, whose fields come with the rows |
/// | struct; tuple struct; newtype | `struct{…}`; `list<…>`; as the inner type |
/// | enum of unit variants | `string` |
/// | enum whose variants have fields | `struct{Variant: …}`, one optional field per variant |
/// | enum with `#[serde(tag = "kind")]` | `struct{kind: string, …}`, with the fields of all variants |
/// | [`Value`] | known from the rows only |
/// | times of `chrono` and `jiff`; `Uuid` (with their features) | `string` |
///
/// A type that serializes like another one is declared at its field: `#[columns(as = String)]`.
#[diagnostic::on_unimplemented(
    message = "the type of a column of `{Self}` is not known at compile time",
    note = "for your own struct or enum: #[derive(serde::Serialize, Columns)]",
    note = "for a type that serializes like another one, above the field: #[columns(as = String)]",
    note = "for a `SystemTime`, above the field: #[serde(with = \"streamtable::timestamp\")]"
)]
pub trait ColumnType {
    /// Returns the type of the values in a cell.
    fn column_type() -> Type;
}

/// Returns the type of a struct or enum. Inside itself, it is unknown until rows arrive.
#[doc(hidden)]
pub fn guard<T: ?Sized>(column_type: impl FnOnce() -> Type) -> Type {
    thread_local! {
        static OUTER: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }
    let name = type_name::<T>();
    if OUTER.with_borrow(|outer| outer.contains(&name)) {
        return Type::Unknown;
    }
    OUTER.with_borrow_mut(|outer| outer.push(name));
    let ty = column_type();
    OUTER.with_borrow_mut(Vec::pop);
    ty
}

/// Returns the type of values that are of any of these types.
#[doc(hidden)]
pub fn any_of(types: impl IntoIterator<Item = Type>) -> Type {
    types.into_iter().fold(Type::Unknown, |all, ty| all.unite(&ty))
}

macro_rules! column_types {
    ($($type:expr => $($rust:ty),+;)*) => {$($(
        impl ColumnType for $rust {
            fn column_type() -> Type {
                $type
            }
        }
    )+)*};
}

column_types! {
    Type::Null => ();
    Type::Bool => bool;
    Type::Int => i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize;
    Type::Int => NonZero<i8>, NonZero<i16>, NonZero<i32>, NonZero<i64>, NonZero<isize>;
    Type::Int => NonZero<u8>, NonZero<u16>, NonZero<u32>, NonZero<u64>, NonZero<usize>;
    Type::Float => f32, f64;
    Type::String => str, String, char, Path, PathBuf;
    Type::String => IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6;
    Type::Timestamp => Timestamp;
    Type::fields([("secs", Type::Int), ("nanos", Type::Int)]) => Duration;
    any_of(MediaKind::ALL.map(Type::Media)) => Media;
    // Disappears in the union with the type of the first value.
    Type::Unknown => Value;
}

#[cfg(feature = "uuid")]
column_types! {
    Type::String => uuid::Uuid;
}

#[cfg(feature = "jiff-02")]
column_types! {
    Type::String => jiff::Timestamp, jiff::Zoned, jiff::civil::Date, jiff::civil::DateTime;
}

#[cfg(feature = "chrono")]
column_types! {
    Type::String => chrono::NaiveDate, chrono::NaiveDateTime, chrono::NaiveTime;
}

#[cfg(feature = "chrono")]
impl<Tz: chrono::TimeZone> ColumnType for chrono::DateTime<Tz> {
    fn column_type() -> Type {
        Type::String
    }
}

macro_rules! as_inner {
    ($($rust:ty),*) => {$(
        impl<T: ColumnType + ?Sized> ColumnType for $rust {
            fn column_type() -> Type {
                T::column_type()
            }
        }
    )*};
}
as_inner!(&T, &mut T, Box<T>, Arc<T>, Rc<T>);

impl<T: ColumnType + ToOwned + ?Sized> ColumnType for Cow<'_, T> {
    fn column_type() -> Type {
        T::column_type()
    }
}

impl<T: ?Sized> ColumnType for PhantomData<T> {
    fn column_type() -> Type {
        Type::Null
    }
}

impl<T: ColumnType> ColumnType for Option<T> {
    fn column_type() -> Type {
        any_of([Type::Null, T::column_type()])
    }
}

macro_rules! lists {
    ($($rust:ty),*) => {$(
        impl<T: ColumnType> ColumnType for $rust {
            fn column_type() -> Type {
                Type::list(T::column_type())
            }
        }
    )*};
}
lists!([T], Vec<T>, VecDeque<T>, BTreeSet<T>);

impl<T: ColumnType, const N: usize> ColumnType for [T; N] {
    fn column_type() -> Type {
        Type::list(T::column_type())
    }
}

impl<T: ColumnType, S> ColumnType for HashSet<T, S> {
    fn column_type() -> Type {
        Type::list(T::column_type())
    }
}

impl<K, V: ColumnType> ColumnType for BTreeMap<K, V> {
    fn column_type() -> Type {
        Type::fields([] as [(&str, Type); 0])
    }
}

impl<K, V: ColumnType, S> ColumnType for HashMap<K, V, S> {
    fn column_type() -> Type {
        Type::fields([] as [(&str, Type); 0])
    }
}

macro_rules! tuples {
    ($(($($item:ident)+))*) => {$(
        impl<$($item: ColumnType),+> ColumnType for ($($item,)+) {
            fn column_type() -> Type {
                Type::list(any_of([$($item::column_type()),+]))
            }
        }
    )*};
}
tuples!((A)(A B)(A B C)(A B C D)(A B C D E)(A B C D E F)(A B C D E F G)(A B C D E F G H));

impl<T: Columns + ?Sized> Columns for &T {
    fn columns() -> Vec<(String, Type)> {
        T::columns()
    }
}

impl<T: Columns + ?Sized> Columns for Box<T> {
    fn columns() -> Vec<(String, Type)> {
        T::columns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: ColumnType + ?Sized>(expected: &str) {
        assert_eq!(T::column_type().to_string(), expected, "{}", type_name::<T>());
    }

    #[test]
    fn types_of_the_standard_library() {
        check::<u64>("int");
        check::<&str>("string");
        check::<Option<Box<f32>>>("float?");
        check::<Option<Option<Vec<Option<char>>>>>("list<string?>?");
        check::<(u8, f64)>("list<float>");
        check::<[(u8, &str); 2]>("list<list<int | string>>");
        check::<HashMap<String, u8>>("struct{}");
        check::<Media>("image | audio | video | html | markdown");
        check::<Value>("unknown");
        check::<Option<Value>>("null");
    }

    /// The serialized form of a value has the declared type.
    #[test]
    fn values_are_of_their_column_type() {
        #[track_caller]
        fn check<T: ColumnType + Serialize>(value: T) {
            let row = crate::Row::from_serialize(&BTreeMap::from([("a", &value)])).unwrap();
            let (declared, found) = (T::column_type(), Type::of(&row["a"]));
            assert!(declared.includes(&found), "{}: {declared}, {found}", type_name::<T>());
        }
        check(());
        check(true);
        check(i8::MIN);
        check(NonZero::<u16>::MIN);
        check(0.1_f32);
        check('x');
        check(PathBuf::from("/tmp"));
        check(IpAddr::V4(Ipv4Addr::LOCALHOST));
        check(SocketAddr::from(([127, 0, 0, 1], 80)));
        check(Duration::from_millis(7));
        check(Timestamp::from_micros(7));
        check(Media::markdown("# x"));
        check(Some(7));
        check(None::<u8>);
        check(BTreeSet::from(["a"]));
        check((7, "x", None::<bool>));
        check([[1, 2], [3, 4]]);
        check(Cow::Borrowed("x"));
        check(PhantomData::<u8>);
    }
}
