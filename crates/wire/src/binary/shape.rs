//! The shape of a row: the names and kinds of its cells.

use std::collections::HashSet;

use streamtable_schema::{MAX_DEPTH, TIMESTAMP_COLUMN};

use super::BinaryError;
use super::input::Input;
use crate::RESERVED_COLUMNS;

/// The bytes that name the kinds of values.
pub(super) mod tag {
    pub(in super::super) const NULL: u8 = 0;
    pub(in super::super) const BOOL: u8 = 1;
    pub(in super::super) const INT: u8 = 2;
    pub(in super::super) const FLOAT: u8 = 3;
    pub(in super::super) const TEXT: u8 = 4;
    pub(in super::super) const TIME: u8 = 5;
    pub(in super::super) const MEDIA: u8 = 6;
    /// A list whose elements have the same kind, which follows.
    pub(in super::super) const LIST: u8 = 7;
    /// A list of which each element names its kind.
    pub(in super::super) const MIXED: u8 = 8;
    pub(in super::super) const STRUCT: u8 = 9;
    /// An integer of 128 bits.
    pub(in super::super) const WIDE: u8 = 10;
}

/// The parts of a row besides its cells.
pub(super) mod flag {
    pub(in super::super) const LOGGED_AT: u8 = 1;
    /// A last cell `timestamp`, which follows from the time of logging, is left out.
    pub(in super::super) const ADDED_TIME: u8 = 2;
    pub(in super::super) const STEP: u8 = 4;
    pub(in super::super) const RUNTIME: u8 = 8;
    pub(in super::super) const ALL: u8 = LOGGED_AT | ADDED_TIME | STEP | RUNTIME;
}

/// How many bytes the kind of a list's elements may take for each byte of their values. If it is longer,
/// the elements name their kinds, so that a few bytes do not become many long names.
pub(super) const MAX_REPETITION: usize = 16;

/// The kind of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Time,
    Media,
    List {
        element: Box<Self>,
        /// The number of bytes of the element's kind.
        length: usize,
    },
    Mixed,
    Struct(Vec<(String, Self)>),
    Wide,
}

impl Kind {
    /// Reads a kind with at most `room` nested levels.
    pub(super) fn read(input: &mut Input<'_>, room: usize) -> Result<Self, BinaryError> {
        let inner = || room.checked_sub(1).ok_or(BinaryError::TooDeep);
        Ok(match input.byte()? {
            tag::NULL => Self::Null,
            tag::BOOL => Self::Bool,
            tag::INT => Self::Int,
            tag::FLOAT => Self::Float,
            tag::TEXT => Self::Text,
            tag::TIME => Self::Time,
            tag::MEDIA => Self::Media,
            tag::LIST => {
                let before = input.len();
                let element = Box::new(Self::read(input, inner()?)?);
                // Elements without bytes could be any number.
                if !element.has_bytes() {
                    return Err(BinaryError::Repetition);
                }
                Self::List { element, length: before - input.len() }
            }
            tag::MIXED => {
                inner()?;
                Self::Mixed
            }
            tag::STRUCT => Self::Struct(read_fields(input, inner()?)?),
            tag::WIDE => Self::Wide,
            number => return Err(BinaryError::Unknown { number }),
        })
    }

    /// Returns whether each value of this kind has at least one byte.
    fn has_bytes(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Struct(fields) => fields.iter().any(|(_, kind)| kind.has_bytes()),
            _ => true,
        }
    }
}

fn read_fields(input: &mut Input<'_>, room: usize) -> Result<Vec<(String, Kind)>, BinaryError> {
    let count = input.count()?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let name = input.text()?.to_owned();
        fields.push((name, Kind::read(input, room)?));
    }
    let mut seen = HashSet::with_capacity(fields.len());
    match fields.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => Err(BinaryError::Duplicate { name: name.clone() }),
        None => Ok(fields),
    }
}

/// The names and kinds of a row's cells, and what else the row has.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) flags: u8,
    pub(super) columns: Vec<(String, Kind)>,
}

impl Shape {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BinaryError> {
        let mut input = Input::new(bytes);
        let flags = input.byte()?;
        let needs = flag::LOGGED_AT | flag::ADDED_TIME;
        if flags & !flag::ALL != 0 || flags & needs == flag::ADDED_TIME {
            return Err(BinaryError::Unknown { number: flags });
        }
        let columns = read_fields(&mut input, MAX_DEPTH)?;
        input.end()?;
        let is_added = |name: &str| flags & flag::ADDED_TIME != 0 && name == TIMESTAMP_COLUMN;
        for (name, _) in &columns {
            if RESERVED_COLUMNS.contains(&&**name) {
                return Err(BinaryError::Reserved { name: name.clone() });
            }
            if is_added(name) {
                return Err(BinaryError::Duplicate { name: name.clone() });
            }
        }
        Ok(Self { flags, columns })
    }
}
