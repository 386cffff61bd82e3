//! The rows in a frame of the log.

use bytes::Bytes;
use streamtable_log::HEADER;
use streamtable_schema::{TablePath, Timestamp};
use streamtable_store::OnDuplicate;
use streamtable_wire::binary::is_binary;

/// Rows of one writer that a table took, in the order of their positions.
///
/// A frame records decisions: duplicates and rejected rows were filtered out before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) table: TablePath,
    pub(crate) writer: String,
    pub(crate) on_duplicate: OnDuplicate,
    pub(crate) received_at: Timestamp,
    /// The position of the first row; the others follow without gaps.
    pub(crate) first_position: u64,
    /// Each row's line number, and the line.
    pub(crate) rows: Vec<(u64, Bytes)>,
}

impl Frame {
    /// Encodes the frame, with room for the header at the start.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let text: usize = self.rows.iter().map(|(_, line)| line.len() + 4).sum();
        let mut out = Vec::with_capacity(HEADER + 256 + text);
        out.resize(HEADER, 0);
        for part in [self.table.entity(), self.table.project(), self.table.table(), &self.writer] {
            out.extend_from_slice(&(part.len() as u32).to_le_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out.push(match self.on_duplicate {
            OnDuplicate::Ignore => 0,
            OnDuplicate::Replace => 1,
        });
        out.extend_from_slice(&self.received_at.as_micros().to_le_bytes());
        out.extend_from_slice(&self.first_position.to_le_bytes());
        let runs = runs(&self.rows);
        out.extend_from_slice(&(runs.len() as u32).to_le_bytes());
        for (start, count) in runs {
            out.extend_from_slice(&start.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
        for (_, line) in &self.rows {
            out.extend_from_slice(&(line.len() as u32).to_le_bytes());
        }
        for (_, line) in &self.rows {
            out.extend_from_slice(line);
        }
        out
    }

    /// Decodes a payload whose checksum was right. It may still be of another version or forged, so
    /// nothing in it is trusted.
    pub(crate) fn decode(payload: &Bytes) -> Option<Self> {
        let mut input = Input { bytes: payload, at: 0 };
        let [entity, project, table, writer] =
            [input.text()?, input.text()?, input.text()?, input.text()?];
        let on_duplicate = match input.take(1)?[0] {
            0 => OnDuplicate::Ignore,
            1 => OnDuplicate::Replace,
            _ => return None,
        };
        let received_at = Timestamp::from_micros(i64::from_le_bytes(input.array()?));
        let first_position = input.u64()?;
        let run_count = input.u32()? as usize;
        let mut numbers = Vec::new();
        for _ in 0..run_count {
            let (start, count) = (input.u64()?, u64::from(input.u32()?));
            // Each row takes at least four bytes, so a larger count is invalid.
            let left = (payload.len() - input.at) as u64 / 4;
            if count > left.saturating_sub(numbers.len() as u64) {
                return None;
            }
            numbers.extend(start..start.checked_add(count)?);
        }
        let lengths = numbers.iter().map(|_| input.u32()).collect::<Option<Vec<_>>>()?;
        let mut rows = Vec::with_capacity(numbers.len());
        for (number, length) in numbers.into_iter().zip(lengths) {
            let start = input.at;
            let line = input.take(length as usize)?;
            if !is_binary(line) {
                std::str::from_utf8(line).ok()?;
            }
            rows.push((number, payload.slice(start..input.at)));
        }
        let table = TablePath::new(entity, project, table).ok()?;
        let whole = input.at == payload.len();
        whole.then(|| Self {
            table,
            writer: writer.to_owned(),
            on_duplicate,
            received_at,
            first_position,
            rows,
        })
    }
}

/// Groups consecutive line numbers into first number and count.
fn runs(rows: &[(u64, Bytes)]) -> Vec<(u64, u32)> {
    let mut runs: Vec<(u64, u32)> = Vec::new();
    for (number, _) in rows {
        match runs.last_mut() {
            Some((start, count)) if *start + u64::from(*count) == *number => *count += 1,
            _ => runs.push((*number, 1)),
        }
    }
    runs
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()? as usize;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use streamtable_log::{open, seal};

    use super::*;

    fn frame() -> impl Strategy<Value = Frame> {
        let text = "[a-z{}\"é]{0,20}".prop_map(String::into_bytes);
        let binary = prop::collection::vec(any::<u8>(), 0..20);
        let line = prop_oneof![text, binary.prop_map(|bytes| [&[1], &bytes[..]].concat())];
        let rows = prop::collection::vec((0u64..50, line), 0..20);
        ("[a-z]{1,8}", any::<bool>(), any::<i64>(), any::<u64>(), rows).prop_map(
            |(writer, once, at, first_position, rows)| Frame {
                table: TablePath::new("me", "a project", "t.1").unwrap(),
                writer,
                on_duplicate: if once { OnDuplicate::Ignore } else { OnDuplicate::Replace },
                received_at: Timestamp::from_micros(at),
                first_position,
                rows: rows.into_iter().map(|(n, line)| (n, line.into())).collect(),
            },
        )
    }

    proptest! {
        /// Encoded frames decode to the same value.
        #[test]
        fn round_trip(frame in frame(), sequence: u64, behind in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = frame.encode();
            seal(&mut bytes, sequence);
            let whole = bytes.len();
            bytes.extend(behind);
            let (read, payload, length) = open(&bytes.into()).unwrap();
            prop_assert_eq!((read, length), (sequence, whole));
            prop_assert_eq!(Frame::decode(&payload), Some(frame));
        }

        /// A flipped bit is detected.
        #[test]
        fn damage_is_found(frame in frame(), sequence: u64, at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = frame.encode();
            seal(&mut bytes, sequence);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(open(&bytes.into()), None);
        }

        /// Decoding any payload ends, and takes no more memory than the payload has.
        #[test]
        fn any_payload(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(&bytes.clone().into());
            let _ = open(&bytes.into());
        }
    }
}
