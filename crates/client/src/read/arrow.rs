//! The result of a query as record batches of Arrow.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::{ArrowError, SchemaRef};
use futures_util::stream::{self, Stream, StreamExt};
use streamtable_transport::Body;

use super::server::Server;
use super::{Items, Query, ReadError};

/// The content type of a response.
const ARROW_TYPE: &str = "application/vnd.apache.arrow.stream";

/// Maximum size of a record batch in bytes.
const MAX_BATCH_BYTES: usize = 256 << 20;

impl Query {
    /// Sends the query, and returns its result as record batches of Arrow, as they are found.
    ///
    /// They are of the crate [`arrow_array`] in version 59, which
    /// [`read::arrow_array`](super::arrow_array) exports.
    ///
    /// ```no_run
    /// use streamtable::read::Reader;
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let reader = Reader::from_env()?;
    ///     let sql = "select path, ms from me.shop.requests";
    ///     let mut batches = reader.query(sql).batches().await?;
    ///     println!("{}", batches.schema());
    ///     while let Some(batch) = batches.next().await {
    ///         println!("{} rows", batch?.num_rows());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn batches(self) -> Result<Batches, ReadError> {
        let (server, body) = self.send(ARROW_TYPE).await?;
        let (decoder, chunk) = (StreamDecoder::new(), Buffer::default());
        let mut answer = Answer { server, body, decoder, chunk, waiting: 0 };
        let first = answer.next().await?;
        let Some(schema) = answer.decoder.schema() else {
            return Err(answer.server.not_an_answer("it has no schema"));
        };
        let rest = stream::try_unfold(answer, |mut answer| async {
            Ok(answer.next().await?.map(|batch| (batch, answer)))
        });
        let first = stream::iter(first.map(Ok));
        Ok(Batches { schema, source: Box::pin(first.chain(rest)) })
    }

    /// Sends the query, waits, and returns an iterator over its record batches, for programs without
    /// an async runtime.
    pub fn batches_blocking(self) -> Result<Items<Batches>, ReadError> {
        Items::open(self.server.clone(), self.batches())
    }
}

/// The result of a query as record batches.
///
/// It is a [`Stream`]; without a crate for streams, call [`next`](Self::next) in a loop. At most one
/// batch is in memory. After an error there are no more batches.
pub struct Batches {
    schema: SchemaRef,
    source: Pin<Box<dyn Stream<Item = Result<RecordBatch, ReadError>> + Send>>,
}

impl Batches {
    /// Returns the columns, also of a result without rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the next batch, or `None` if there are no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, ReadError>> {
        StreamExt::next(self).await
    }

    /// Returns all batches, or the first error.
    pub async fn all(mut self) -> Result<Vec<RecordBatch>, ReadError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The source ends after an error.
        self.source.poll_next_unpin(context)
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// A response that is being read.
struct Answer {
    server: Server,
    body: Box<dyn Body>,
    decoder: StreamDecoder,
    /// Bytes that are not decoded yet.
    chunk: Buffer,
    /// Bytes received since the last batch.
    waiting: usize,
}

impl Answer {
    async fn next(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        loop {
            if let Some(batch) =
                self.decoder.decode(&mut self.chunk).map_err(|e| self.damaged(e))?
            {
                self.waiting = 0;
                return Ok(Some(batch));
            }
            let Some(chunk) = self.body.chunk().await? else {
                return self.decoder.finish().map(|()| None).map_err(|error| self.damaged(error));
            };
            self.waiting += chunk.len();
            if self.waiting > MAX_BATCH_BYTES {
                return Err(self.server.not_an_answer("a record batch is too long"));
            }
            self.chunk = chunk.into();
        }
    }

    fn damaged(&self, error: ArrowError) -> ReadError {
        self.server.not_an_answer(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};
    use arrow_ipc::writer::StreamWriter;
    use arrow_schema::{DataType, Field, Schema};
    use async_trait::async_trait;
    use bytes::Bytes;
    use http::header::{ACCEPT, CONTENT_TYPE};
    use http::{Request, Response};
    use streamtable_transport::{Transport, TransportError};

    use super::*;
    use crate::Settings;
    use crate::read::Reader;

    /// Answers every request with these bytes, in short chunks.
    #[derive(Debug)]
    struct Canned {
        body: Bytes,
        chunk_bytes: usize,
    }

    #[derive(Debug)]
    struct Chunks(Bytes, usize);

    #[async_trait]
    impl Body for Chunks {
        async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
            let chunk = self.0.split_to(self.1.min(self.0.len()));
            Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
        }
    }

    #[async_trait]
    impl Transport for Canned {
        async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
            panic!("a result is streamed")
        }

        async fn send_streaming(
            &self,
            request: Request<Bytes>,
        ) -> Result<Response<Box<dyn Body>>, TransportError> {
            assert_eq!(request.headers()[ACCEPT], ARROW_TYPE);
            let body: Box<dyn Body> = Box::new(Chunks(self.body.clone(), self.chunk_bytes));
            let response = Response::builder().header(CONTENT_TYPE, ARROW_TYPE);
            Ok(response.body(body).unwrap())
        }
    }

    fn query(body: &[u8], chunk_bytes: usize) -> Query {
        let settings = Settings {
            base_url: "http://mock.invalid".to_owned(),
            api_key: Some("local-key".parse().unwrap()),
            ..Settings::default()
        };
        let canned = Canned { body: Bytes::copy_from_slice(body), chunk_bytes };
        Reader::new(canned, settings).unwrap().query("select 1")
    }

    fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
        let fields = [("n", DataType::Int64), ("text", DataType::Utf8)];
        let fields = fields.map(|(name, ty)| Field::new(name, ty, true));
        let texts: StringArray = numbers.clone().map(|n| Some(format!("row {n}"))).collect();
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let numbers: Int64Array = numbers.collect();
        RecordBatch::try_new(schema, vec![Arc::new(numbers), Arc::new(texts)]).unwrap()
    }

    fn encoded(batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch(0..0).schema()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.into_inner().unwrap()
    }

    #[tokio::test]
    async fn a_result_is_read_in_chunks_of_any_size() {
        let sent = [batch(0..10), batch(10..11), batch(11..200)];
        let bytes = encoded(&sent);
        for chunk_bytes in [1, 7, 64, bytes.len()] {
            let read = query(&bytes, chunk_bytes).batches().await.unwrap().all().await;
            assert_eq!(read.unwrap(), sent);
        }
        let blocking = query(&bytes, 100).batches_blocking().unwrap();
        assert_eq!(blocking.collect::<Result<Vec<_>, _>>().unwrap(), sent);
    }

    #[tokio::test]
    async fn a_result_without_rows_has_columns() {
        let mut batches = query(&encoded(&[]), 100).batches().await.unwrap();
        assert_eq!(*batches.schema(), batch(0..0).schema());
        assert!(batches.next().await.is_none());
    }

    /// A cut result is an error and not a short result.
    #[tokio::test]
    async fn a_damaged_result_is_an_error() {
        let bytes = encoded(&[batch(0..1000)]);
        for (body, said) in [
            (&bytes[..0], "it has no schema"),
            (&bytes[..bytes.len() / 2], "Unexpected End of Stream"),
            (b"{\"a\":1}\n{\"a\":2}", ""),
        ] {
            let read = async { query(body, 100).batches().await?.all().await };
            let error = read.await.unwrap_err();
            assert!(matches!(error, ReadError::Answer { .. }), "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
