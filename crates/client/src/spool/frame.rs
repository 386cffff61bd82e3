//! The format of a segment: a header, then one frame per line.
//!
//! ```text
//! segment = "STSPOOL\n" version:u32 length:u32 crc:u32 header:JSON frame* zero*
//! frame   = length+1:u32 crc:u32 line:u64 text
//! ```
//!
//! Numbers are little-endian. The CRC-32C of a frame covers everything but itself and is seeded
//! with the CRC of the writer's id, so that frames of other writers are not accepted.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::seeded_bug::{Bug, is_seeded};

/// The version that this code writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"STSPOOL\n";
const PREFIX_BYTES: usize = MAGIC.len() + 12;

/// Headers have a few hundred bytes. A larger length means damage.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Size of a frame without its text.
pub(crate) const FRAME_OVERHEAD: usize = 16;

/// Maximum size of a line. Every wire format has a lower limit.
pub(crate) const MAX_TEXT_BYTES: usize = 16 << 20;

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) writer: String,
    pub(crate) server: String,
    /// Entity, project and table.
    pub(crate) table: String,
    /// The server's policy for new columns: `strict` or `evolve`.
    pub(crate) columns: String,
    /// The wire number of the writer's first line.
    pub(crate) base: u64,
    /// The number of the segment's first line, counted from the writer's first.
    pub(crate) line: u64,
    /// When the journal was created, in microseconds since 1970.
    pub(crate) created: i64,
    /// The process that created the journal.
    pub(crate) process: u32,
}

/// Why a segment's header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// A newer version of this library wrote it.
    Newer(u32),
    Damaged,
}

impl Header {
    /// Returns the seed of the frames' checksums.
    pub(crate) fn salt(&self) -> u32 {
        salt_of(&self.writer)
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

    /// Reads a segment's header and returns it with its length.
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

/// Appends the frame of a line.
pub(crate) fn write_frame(bytes: &mut Vec<u8>, salt: u32, line: u64, text: &[u8]) {
    let mut head = [0; FRAME_OVERHEAD];
    head[..4].copy_from_slice(&(text.len() as u32 + 1).to_le_bytes());
    head[8..].copy_from_slice(&line.to_le_bytes());
    let crc = frame_crc(salt, &head, text);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(text);
}

/// Returns how many of these intact frames fit into `max_bytes`, at least one, and their total
/// size.
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

/// An intact frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) line: u64,
    pub(crate) text: Range<usize>,
}

/// The content of a segment after its header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Intact frames, with ascending line numbers.
    pub(crate) frames: Vec<Frame>,
    /// Damaged bytes that used to be frames.
    pub(crate) damaged: Vec<Range<usize>>,
    /// Bytes at the end that belong to an incomplete write.
    pub(crate) torn: Range<usize>,
}

/// Finds the frames in arbitrary bytes, starting at `start`.
///
/// The time is proportional to the number of bytes, whatever they contain.
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
            // The frame was written completely, so its bytes were damaged later. An incomplete
            // frame was never committed.
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

/// Returns the end of the frame at `at`, if there may be one.
fn extent(bytes: &[u8], at: usize) -> Option<usize> {
    let head = bytes.get(at..at + FRAME_OVERHEAD)?;
    let length = (u32_at(head, 0) as usize).checked_sub(1)?;
    let end = at + FRAME_OVERHEAD + length;
    (length <= MAX_TEXT_BYTES && end <= bytes.len()).then_some(end)
}

struct Reader<'a> {
    bytes: &'a [u8],
    salt: u32,
    /// Number of bytes that may still be hashed while searching for a frame.
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

    /// Returns the next intact frame after a position without one.
    fn next_frame(&mut self, at: usize) -> Option<usize> {
        // The damaged part may be a length, so every position is tried. Text rarely looks like a
        // valid length, so few positions need to be hashed.
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

/// Returns the seed of the checksums of a writer's frames.
pub(crate) fn salt_of(writer: &str) -> u32 {
    crc32c::crc32c(writer.as_bytes())
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
    fn headers_round_trip() {
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
    fn zeros_after_the_frames_are_free_space() {
        let (mut bytes, start) = segment(TEXTS);
        bytes.resize(bytes.len() + 1000, 0);
        let scan = scan(&bytes, start, header().salt());
        assert_eq!(lines(&scan), [0, 1, 2, 3]);
        assert_eq!(&bytes[scan.frames[2].text.clone()], TEXTS[2]);
        assert!(scan.damaged.is_empty() && scan.torn.is_empty(), "{scan:?}");
    }

    /// Truncates the file at every position: complete frames are found, the rest is a torn tail.
    #[test]
    fn a_torn_tail_is_recognised() {
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

    /// Flips every bit: only the frame that contains it is reported as damaged.
    #[test]
    fn damage_affects_one_frame_only() {
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
                let is_reported = scan.damaged.len() == 1 || hit == 3 && !scan.torn.is_empty();
                assert!(is_reported, "byte {at}, bit {bit}: {scan:?}");
            }
        }
    }

    #[test]
    fn frames_of_other_writers_are_rejected() {
        let (bytes, start) = segment(TEXTS);
        assert_eq!(scan(&bytes, start, 1).frames, []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn arbitrary_bytes_can_be_scanned(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = Header::read(&bytes);
            let scan = scan(&bytes, 0, 0);
            prop_assert!(scan.frames.len() <= bytes.len() / FRAME_OVERHEAD);
        }

        /// Intact frames among garbage are found in order, and every byte is accounted for.
        #[test]
        fn frames_among_garbage_are_found(
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
        fn scanning_hostile_lengths_takes_linear_time(seed in any::<u32>()) {
            // Every position looks like the head of a long frame.
            let bytes: Vec<u8> = (0..100_000u32)
                .flat_map(|i| (40_000 + i.wrapping_mul(seed) % 3).to_le_bytes())
                .collect();
            let scan = scan(&bytes, 0, 0);
            prop_assert!(scan.frames.is_empty());
        }
    }
}
