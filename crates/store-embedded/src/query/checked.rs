//! Reads Parquet files and verifies their checksums.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::embedded::{BLOCK, DataFile, Sums, block_sums};

/// How much of a file without block checksums is read at a time to compare it with its checksum.
const PIECE: u64 = 4 << 20;

/// Creates readers that never return a byte whose checksum is wrong.
///
/// Metadata is checked when it is read into the cache, blocks of rows each time they are read. A
/// file of an earlier version, which has only one checksum, is first read completely.
#[derive(Debug)]
pub(super) struct CheckedReaders {
    readers: CachedParquetFileReaderFactory,
    sums: Arc<Sums>,
}

impl CheckedReaders {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        cache: Arc<FileMetadataCache>,
        sums: Arc<Sums>,
    ) -> Self {
        Self { readers: CachedParquetFileReaderFactory::new(store, cache), sums }
    }
}

impl ParquetFileReaderFactory for CheckedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let name = file.object_meta.location.filename().unwrap_or_default();
        let data = DataFile::from_name(name, file.object_meta.size);
        let file_of =
            data.ok_or_else(|| DataFusionError::Internal(format!("no data file {name}")))?;
        let reader = self.readers.create_reader(partition, file, metadata_size_hint, metrics)?;
        let sums = Arc::clone(&self.sums);
        Ok(Box::new(CheckedReader { reader, file: file_of, sums, blocks: None }))
    }
}

struct CheckedReader {
    reader: Box<dyn AsyncFileReader + Send>,
    file: DataFile,
    sums: Arc<Sums>,
    /// The checksums of blocks, once the metadata was checked.
    blocks: Option<Arc<[u32]>>,
}

impl CheckedReader {
    async fn metadata(
        &mut self,
        options: Option<&ArrowReaderOptions>,
    ) -> Result<Arc<ParquetMetaData>, ParquetError> {
        let metadata = self.reader.get_metadata(options).await?;
        let blocks = match self.sums.checked(&self.file.name, &metadata) {
            Some(blocks) => blocks,
            None => {
                let blocks = self.check_metadata(&metadata).await?;
                self.sums.remember(&self.file.name, &metadata, blocks.clone());
                blocks.into()
            }
        };
        self.blocks = Some(blocks);
        Ok(metadata)
    }

    /// Verifies the metadata, and returns the block checksums; none for a file of an earlier version.
    async fn check_metadata(
        &mut self,
        metadata: &ParquetMetaData,
    ) -> Result<Vec<u32>, ParquetError> {
        let Some(tail) = self.file.tail() else {
            let mut crc = 0;
            for start in (0..self.file.bytes).step_by(PIECE as usize) {
                let end = (start + PIECE).min(self.file.bytes);
                let piece = self.reader.get_bytes(start..end).await?;
                crc = crc32c::crc32c_append(crc, &piece);
            }
            return if crc == self.file.crc { Ok(Vec::new()) } else { Err(self.damaged()) };
        };
        if tail.start > self.file.bytes {
            return Err(self.damaged());
        }
        let bytes = self.reader.get_bytes(tail.start..self.file.bytes).await?;
        let blocks = block_sums(metadata).unwrap_or_default();
        let is_complete = blocks.len() as u64 == tail.start.div_ceil(BLOCK);
        if crc32c::crc32c(&bytes) != tail.crc || !is_complete {
            return Err(self.damaged());
        }
        Ok(blocks)
    }

    async fn ranges(&mut self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, ParquetError> {
        let blocks = match &self.blocks {
            Some(blocks) => Arc::clone(blocks),
            None => {
                self.metadata(None).await?;
                self.blocks.clone().unwrap_or_default()
            }
        };
        let Some(tail) = self.file.tail() else {
            return self.reader.get_byte_ranges(ranges).await;
        };
        let sections = Sections { start_of_tail: tail.start, size: self.file.bytes };
        let wide = sections.widened(&ranges);
        let read = self.reader.get_byte_ranges(wide.clone()).await?;
        for (range, bytes) in wide.iter().zip(&read) {
            let length = range.end - range.start;
            if bytes.len() as u64 != length || !sections.is_whole(range, bytes, &blocks, tail.crc) {
                return Err(self.damaged());
            }
        }
        let part = |range: Range<u64>| {
            let place = wide.partition_point(|it| it.end < range.end);
            let (outer, bytes) = wide.get(place).zip(read.get(place))?;
            let start = range.start.checked_sub(outer.start)? as usize;
            let end = start + (range.end - range.start) as usize;
            (end <= bytes.len()).then(|| bytes.slice(start..end))
        };
        ranges.into_iter().map(|range| part(range).ok_or_else(|| self.damaged())).collect()
    }

    fn damaged(&self) -> ParquetError {
        ParquetError::General(format!("a checksum of {} is wrong", self.file.name))
    }

    /// Records the file as suspect on an error, so that it is checked completely.
    fn noted<T>(&self, result: Result<T, ParquetError>) -> Result<T, ParquetError> {
        result.inspect_err(|_| self.sums.suspect(&self.file.name))
    }
}

/// The parts of a file that each have a checksum: blocks of rows, then the metadata as one part.
struct Sections {
    start_of_tail: u64,
    size: u64,
}

impl Sections {
    /// Extends ranges to whole sections, and joins those that overlap or touch.
    fn widened(&self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        let widen = |range: &Range<u64>| {
            let start = range.start.min(self.start_of_tail);
            let start = if start == self.start_of_tail { start } else { start / BLOCK * BLOCK };
            let end = if range.end > self.start_of_tail {
                self.size
            } else {
                (range.end.div_ceil(BLOCK) * BLOCK).min(self.start_of_tail)
            };
            start..end.max(start)
        };
        let mut wide: Vec<Range<u64>> = ranges.iter().map(widen).collect();
        wide.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in wide {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }

    /// Returns whether the checksums of all sections of a range are right.
    fn is_whole(&self, range: &Range<u64>, bytes: &[u8], blocks: &[u32], tail: u32) -> bool {
        let rows = bytes.len().min(self.start_of_tail.saturating_sub(range.start) as usize);
        let (rows, metadata) = bytes.split_at(rows);
        let first = (range.start / BLOCK) as usize;
        let mut sections = rows.chunks(BLOCK as usize).enumerate();
        let is_whole = |(i, block): (usize, &[u8])| {
            blocks.get(first + i).is_some_and(|&sum| sum == crc32c::crc32c(block))
        };
        sections.all(is_whole) && (metadata.is_empty() || crc32c::crc32c(metadata) == tail)
    }
}

impl AsyncFileReader for CheckedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let read = self.ranges(vec![range]).await;
            let read = self.noted(read)?;
            read.into_iter().next().ok_or_else(|| self.damaged())
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let read = self.ranges(ranges).await;
            self.noted(read)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let read = self.metadata(options).await;
            self.noted(read)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Widened ranges cover everything that was requested, and a changed byte in them is
        /// detected.
        #[test]
        fn ranges_are_checked(
            rows in 0u64..4 * BLOCK,
            tail in 1u64..1000,
            asked in prop::collection::vec((any::<prop::sample::Index>(), 0u64..BLOCK), 1..5),
            changed: prop::sample::Index,
        ) {
            let size = rows + tail;
            let mut file: Vec<u8> = (0..size).map(|i| (i * i % 251) as u8).collect();
            let (data, metadata) = file.split_at(rows as usize);
            let blocks: Vec<u32> = data.chunks(BLOCK as usize).map(crc32c::crc32c).collect();
            let tail = crc32c::crc32c(metadata);
            let sections = Sections { start_of_tail: rows, size };
            let range = |(start, length): (prop::sample::Index, u64)| {
                let start = start.index(size as usize) as u64;
                start..(start + length).min(size)
            };
            let asked: Vec<Range<u64>> = asked.into_iter().map(range).collect();
            let wide = sections.widened(&asked);
            prop_assert!(wide.windows(2).all(|pair| pair[0].end < pair[1].start));
            for range in &asked {
                prop_assert!(wide.iter().any(|it| it.start <= range.start && range.end <= it.end));
            }
            let is_whole = |file: &[u8], range: &Range<u64>| {
                let bytes = &file[range.start as usize..range.end as usize];
                sections.is_whole(range, bytes, &blocks, tail)
            };
            prop_assert!(wide.iter().all(|range| is_whole(&file, range)));
            let changed = changed.index(size as usize);
            file[changed] ^= 1;
            for range in &wide {
                prop_assert_eq!(is_whole(&file, range), !range.contains(&(changed as u64)));
            }
        }
    }
}
