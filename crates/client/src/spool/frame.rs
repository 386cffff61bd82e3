//! What a segment of the journal is made of: a header, then frames, one a line.
//!
//! ```text
//! segment = "STSPOOL\n" version:u32 length:u32 crc:u32 header:JSON frame* zero*
//! frame   = length+1:u32 crc:u32 line:u64 text
//! ```
//!
//! Numbers are little-endian. The CRC-32C of a frame covers all but itself, and begins with the
//! one of the writer's id, so that no other writer's frame passes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::seeded_bug::{Bug, is_seeded};

/// The version that this code writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"STSPOOL\n";
const PREFIX_BYTES: usize = MAGIC.len() + 12;

/// A header is a few hundred bytes; what says it is longer is damaged.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// What a frame takes beside its text.
pub(crate) const FRAME_OVERHEAD: usize = 16;

/// No line is as long, on any wire.
pub(crate) const MAX_TEXT_BYTES: usize = 16 << 20;

/// What a segment says of itself and its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) writer: String,
    pub(crate) server: String,
    /// Entity, project and table.
    pub(crate) table: String,
    /// What the server should do with new columns: `strict` or `evolve`.
    pub(crate) columns: String,
    /// The number on the wire of the writer's first line.
    pub(crate) base: u64,
    /// The number of the segment's first line, counted from the writer's first.
    pub(crate) line: u64,
    /// When the journal was begun, in microseconds since 1970.
    pub(crate) created: i64,
    /// The process that began it.
    pub(crate) process: u32,
}

/// Why a segment's header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// A later version of this code wrote it.
    Newer(u32),
    Damaged,
}

impl Header {
    /// What the checksums of the writer's frames begin with.
    pub(crate) fn salt(&self) -> u32 {
        crc32c::crc32c(self.writer.as_bytes())
    }

    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let length = json.len() as u32;
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&header_crc(VERSION, &json).to_le_bytes());
        bytes.extend_from_slice(&json);
    }

    /// Reads a segment's header, and tells how long it is.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize), NoHeader> {
        let prefix = bytes.get(..PREFIX_BYTES).ok_or(NoHeader::Damaged)?;
        if prefix[..8] != MAGIC {
            return Err(NoHeader::Damaged);
        }
        let (version, length, crc) = (u32_at(prefix, 8), u32_at(prefix, 12), u32_at(prefix, 16));
        if version > VERSION {
            return Err(NoHeader::Newer(version));
        }
        let length = length as usize;
        if length > MAX_HEADER_BYTES {
            return Err(NoHeader::Damaged);
        }
        let end = PREFIX_BYTES + length;
        let json = bytes.get(PREFIX_BYTES..end).ok_or(NoHeader::Damaged)?;
        if header_crc(version, json) != crc {
            return Err(NoHeader::Damaged);
        }
        let header = serde_json::from_slice(json).map_err(|_| NoHeader::Damaged)?;
        Ok((header, end))
    }
}

fn header_crc(version: u32, json: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&version.to_le_bytes()), json)
}

/// Writes a line's frame behind others.
pub(crate) fn write_frame(bytes: &mut Vec<u8>, salt: u32, line: u64, text: &[u8]) {
    let mut head = [0; FRAME_OVERHEAD];
    head[..4].copy_from_slice(&(text.len() as u32 + 1).to_le_bytes());
    head[8..].copy_from_slice(&line.to_le_bytes());
    let crc = frame_crc(salt, &head, text);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(text);
}

/// Returns how many of these frames, which are whole, have no more than `max_bytes` together, and
/// how many they have: of one frame at least.
pub(crate) fn frames_within(bytes: &[u8], max_bytes: usize) -> (u64, usize) {
    let (mut count, mut end) = (0, 0);
    while let Some(next) = extent(bytes, end)
        && (next <= max_bytes || count == 0)
    {
        (count, end) = (count + 1, next);
    }
    (count, end)
}

fn frame_crc(salt: u32, head: &[u8], text: &[u8]) -> u32 {
    let mut covered = [0; 12];
    covered[..4].copy_from_slice(&head[..4]);
    covered[4..].copy_from_slice(&head[8..FRAME_OVERHEAD]);
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &covered), text)
}

/// A frame that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) line: u64,
    pub(crate) text: Range<usize>,
}

/// What lies in a segment behind its header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Whole frames, their line numbers growing.
    pub(crate) frames: Vec<Frame>,
    /// Bytes that were once frames, and are not any more.
    pub(crate) damaged: Vec<Range<usize>>,
    /// Bytes at the end that never became a whole frame.
    pub(crate) torn: Range<usize>,
}

/// Finds the frames among bytes of any kind, from `start` on.
///
/// Takes time in proportion to the bytes, whatever they hold.
pub(crate) fn scan(bytes: &[u8], start: usize, salt: u32) -> Scan {
    let mut reader = Reader { bytes, salt, budget: bytes.len().saturating_mul(4) + (32 << 20) };
    let mut scan = Scan { torn: bytes.len()..bytes.len(), ..Scan::default() };
    let mut at = start.min(bytes.len());
    let written = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |i| i + 1);
    loop {
        if let Some((frame, end)) = reader.frame(at) {
            let is_new = scan.frames.last().is_none_or(|last| last.line < frame.line);
            if is_new {
                scan.frames.push(frame);
            }
            at = end;
            continue;
        }
        if written <= at {
            break;
        }
        match reader.next_frame(at) {
            Some(next) => {
                scan.damaged.push(at..next);
                at = next;
            }
            // A frame that was written to its end has lost its bytes later; one that was not
            // never counted.
            None if extent(bytes, at).is_some_and(|end| end <= written) => {
                scan.damaged.push(at..written);
                break;
            }
            None => {
                scan.torn = at..written;
                break;
            }
        }
    }
    scan
}

/// Where a frame would end, if it is one.
fn extent(bytes: &[u8], at: usize) -> Option<usize> {
    let head = bytes.get(at..at + FRAME_OVERHEAD)?;
    let length = (u32_at(head, 0) as usize).checked_sub(1)?;
    let end = at + FRAME_OVERHEAD + length;
    (length <= MAX_TEXT_BYTES && end <= bytes.len()).then_some(end)
}

struct Reader<'a> {
    bytes: &'a [u8],
    salt: u32,
    /// So many bytes may still be hashed in search of a frame.
    budget: usize,
}

impl Reader<'_> {
    fn frame(&self, at: usize) -> Option<(Frame, usize)> {
        let end = extent(self.bytes, at)?;
        let (head, text) = (&self.bytes[at..at + FRAME_OVERHEAD], at + FRAME_OVERHEAD..end);
        let crc = frame_crc(self.salt, head, &self.bytes[text.clone()]);
        if crc != u32_at(head, 4) && !is_seeded(Bug::SkippedCrc) {
            return None;
        }
        let mut line = [0; 8];
        line.copy_from_slice(&head[8..]);
        Some((Frame { line: u64::from_le_bytes(line), text }, end))
    }

    /// Finds the next whole frame behind a place where there is none.
    fn next_frame(&mut self, at: usize) -> Option<usize> {
        // A length that is there may be what is damaged, so every place is tried. Text looks like
        // no length, so that few need to be hashed.
        for next in at + 1..self.bytes.len().saturating_sub(FRAME_OVERHEAD - 1) {
            let Some(end) = extent(self.bytes, next) else { continue };
            self.budget = self.budget.checked_sub(end - next)?;
            if self.frame(next).is_some() {
                return Some(next);
            }
        }
        None
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            writer: "w".to_owned(),
            server: "http://h".to_owned(),
            table: "e/p/t".to_owned(),
            columns: "strict".to_owned(),
            base: 7,
            line: 0,
            created: 0,
            process: 1,
        }
    }

    fn segment(texts: &[&[u8]]) -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        header().write(&mut bytes);
        let start = bytes.len();
        for (line, text) in (0..).zip(texts) {
            write_frame(&mut bytes, header().salt(), line, text);
        }
        (bytes, start)
    }

    fn lines(scan: &Scan) -> Vec<u64> {
        scan.frames.iter().map(|frame| frame.line).collect()
    }

    const TEXTS: &[&[u8]] = &[b"{\"a\":1}", b"", b"{\"a\":333}", b"{}"];

    #[test]
    fn a_header_comes_back() {
        let (mut bytes, start) = segment(&[]);
        assert_eq!(Header::read(&bytes), Ok((header(), start)));
        bytes[8] = 9;
        assert_eq!(Header::read(&bytes), Err(NoHeader::Newer(9)));
        bytes[8] = 1;
        bytes[30] ^= 1;
        assert_eq!(Header::read(&bytes), Err(NoHeader::Damaged));
        assert_eq!(Header::read(b""), Err(NoHeader::Damaged));
    }

    #[test]
    fn zeros_behind_the_frames_are_room() {
        let (mut bytes, start) = segment(TEXTS);
        bytes.resize(bytes.len() + 1000, 0);
        let scan = scan(&bytes, start, header().salt());
        assert_eq!(lines(&scan), [0, 1, 2, 3]);
        assert_eq!(&bytes[scan.frames[2].text.clone()], TEXTS[2]);
        assert!(scan.damaged.is_empty() && scan.torn.is_empty(), "{scan:?}");
    }

    /// Cuts the file anywhere: what is whole stays, the rest is a torn tail.
    #[test]
    fn a_torn_tail_is_cut() {
        let (whole, start) = segment(TEXTS);
        for len in start..whole.len() {
            for room in [0, 100] {
                let mut bytes = whole[..len].to_vec();
                bytes.resize(len + room, 0);
                let scan = scan(&bytes, start, header().salt());
                let expected: Vec<u64> = (0..scan.frames.len() as u64).collect();
                assert_eq!(lines(&scan), expected);
                assert!(scan.damaged.is_empty(), "{len}: {scan:?}");
                assert!(scan.torn.is_empty() || scan.torn.end <= len);
            }
        }
    }

    /// Flips any bit: the frame that it is in is set aside, no other.
    #[test]
    fn a_damaged_frame_costs_no_other() {
        let (whole, start) = segment(TEXTS);
        let salt = header().salt();
        let all = scan(&whole, start, salt);
        for at in start..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let hit = all.frames.iter().position(|frame| at < frame.text.end).unwrap();
                let scan = scan(&bytes, start, salt);
                let mut expected = vec![0, 1, 2, 3];
                expected.remove(hit);
                assert_eq!(lines(&scan), expected, "byte {at}, bit {bit}");
                let told = scan.damaged.len() == 1 || hit == 3 && !scan.torn.is_empty();
                assert!(told, "byte {at}, bit {bit}: {scan:?}");
            }
        }
    }

    #[test]
    fn another_writers_frames_do_not_pass() {
        let (bytes, start) = segment(TEXTS);
        assert_eq!(scan(&bytes, start, 1).frames, []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = Header::read(&bytes);
            let scan = scan(&bytes, 0, 0);
            prop_assert!(scan.frames.len() <= bytes.len() / FRAME_OVERHEAD);
        }

        /// Whole frames among rubbish are found, in order; all bytes have a place.
        #[test]
        fn frames_among_rubbish_are_found(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40).prop_map(Ok),
                    prop::collection::vec(any::<u8>(), 1..40).prop_map(Err),
                ],
                0..20,
            ),
        ) {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for (line, part) in (0..).zip(&parts) {
                match part {
                    Ok(text) => {
                        expected.push(line);
                        write_frame(&mut bytes, 5, line, text);
                    }
                    Err(rubbish) => bytes.extend_from_slice(rubbish),
                }
            }
            let scan = scan(&bytes, 0, 5);
            prop_assert_eq!(lines(&scan), expected);
        }

        #[test]
        fn hostile_lengths_cost_little(seed in any::<u32>()) {
            // Every place looks like the head of a long frame.
            let bytes: Vec<u8> = (0..100_000u32)
                .flat_map(|i| (40_000 + i.wrapping_mul(seed) % 3).to_le_bytes())
                .collect();
            let scan = scan(&bytes, 0, 0);
            prop_assert!(scan.frames.is_empty());
        }
    }
}
