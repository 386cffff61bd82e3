//! A small client that the cases use to talk to the backend.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use streamtable_schema::{
    Media, MediaError, Row, SchemaError, StoredFile, TablePath, Timestamp, Type,
};
use streamtable_transport::{Anonymous, AnyTransport, ApiKey, Transport, TransportExt};
use streamtable_wire::graphql::{
    self, ArtifactFileNode, CommitArtifact, CreateArtifactFiles, CreateManifest, CreateTable,
    FindTable, FindTableAnswer, Operation, ReadRows, WhoAmI,
};
use streamtable_wire::{
    ASYNC_HEADER, FileStreamAnswer, GRAPHQL_PATH, HistoryKeys, HistoryLine, Logged, REQUEST_HEADER,
    RowSink, SentPost, SentUpload, StreamTableArtifact, file_stream_path, history_body, write_row,
};

use super::compare::check_rows;
use super::{Check, Target, ensure};

/// Maximum number of rows in one response.
const ALL: u64 = 10_000;

/// A request header.
pub(super) type Header<'a> = (&'a str, &'a str);

pub(super) struct Client {
    target: Target,
    pub(super) table: TablePath,
}

impl Client {
    /// Creates a client for a case, with a table that does not exist yet.
    pub(super) async fn new(target: &Target, case: &str) -> Check<Self> {
        let project = format!("{}-{case}", target.prefix);
        let table = TablePath::new("unknown", &project, "table").map_err(|e| e.to_string())?;
        let mut client = Self { target: target.clone(), table };
        let viewer = client.ask(&WhoAmI {}).await?.viewer;
        let entity = viewer.and_then(|viewer| viewer.default_entity);
        let entity = entity.ok_or("the key's owner has no default entity")?.name;
        client.table = TablePath::new(&entity, &project, "table").map_err(|e| e.to_string())?;
        Ok(client)
    }

    /// Returns a client for another table of the same owner.
    pub(super) fn of_table(&self, project: &str, table: &str) -> Check<Self> {
        let table = TablePath::new(self.table.entity(), project, table);
        Ok(Self { target: self.target.clone(), table: table.map_err(|e| e.to_string())? })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.target.prefix
    }

    /// Sends a request unchanged, with `key` or without one.
    pub(super) async fn send(
        &self,
        key: Option<&ApiKey>,
        request: Request<Bytes>,
    ) -> Check<Response<Bytes>> {
        let what = format!("{} {}", request.method(), request.uri().path());
        let transport: AnyTransport = self.target.transport.clone();
        let answer = match key {
            Some(key) => {
                let origin = self.target.base_url.parse();
                let origin = origin.map_err(|error| format!("the base URL: {error}"))?;
                transport.with_auth(origin, key).send(request).await
            }
            None => transport.send(request).await,
        };
        answer.map_err(|error| format!("{what}: {error}"))
    }

    pub(super) fn key(&self) -> Option<&ApiKey> {
        Some(&self.target.key)
    }

    /// Returns the URL that serves a file of the table (notes §9).
    pub(super) fn file_url(&self, path: &str) -> String {
        let stream = file_stream_path(&self.table);
        let run = stream.trim_end_matches("file_stream");
        format!("{}{run}{path}", self.target.base_url)
    }

    /// Creates a request with a JSON body.
    pub(super) fn json_request(
        &self,
        path: &str,
        headers: &[Header<'_>],
        body: impl Into<Bytes>,
    ) -> Check<Request<Bytes>> {
        let uri = format!("{}{path}", self.target.base_url);
        let mut request = Request::post(uri).header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.into()).map_err(|error| error.to_string())
    }

    /// Executes an operation, which must succeed.
    pub(super) async fn ask<O: Operation + Sync>(&self, operation: &O) -> Check<O::Answer> {
        let body = graphql::request_body(operation);
        let request = self.json_request(GRAPHQL_PATH, &[], body)?;
        let answer = self.send(self.key(), request).await?;
        let status = answer.status();
        ensure!(status == StatusCode::OK, "{} is answered {status}", O::NAME);
        graphql::acked_answer::<O, _>(&answer).map_err(|error| format!("{}: {error}", O::NAME))
    }

    /// Returns the backend's information about the table.
    pub(super) async fn find(&self) -> Check<FindTableAnswer> {
        self.ask(&FindTable::new(&self.table, &StreamTableArtifact::new(&self.table))).await
    }

    /// Returns the table's columns and the number of its last row.
    pub(super) async fn history_keys(&self) -> Check<HistoryKeys> {
        let found = self.find().await?;
        let run = found.project.and_then(|project| project.run).ok_or("the run is not there")?;
        run.history_keys.ok_or_else(|| "historyKeys is null".to_owned())
    }

    /// Creates the table, with all steps that a new one needs (notes §4).
    pub(super) async fn open(&self) -> Check {
        let content = StreamTableArtifact::new(&self.table);
        let created = self.ask(&CreateTable::new(&self.table, &content)).await?;
        let run = created.upsert_bucket.as_ref().and_then(|upserted| upserted.bucket.as_ref());
        let name = run.map(|run| run.name.as_str());
        ensure!(name == Some(self.table.table()), "upsertBucket answers the name {name:?}");
        let artifact = created.artifact().ok_or("createArtifact answers no artifact")?;
        if artifact.is_committed() {
            return Ok(());
        }

        let manifest = self.ask(&CreateManifest::new(&self.table, artifact, None)).await?;
        let manifest = manifest.manifest().ok_or("createArtifactManifest answers none")?;
        let announce = CreateArtifactFiles::new(&artifact.id, &manifest.id, &content);
        let files = self.ask(&announce).await?.create_artifact_files;
        let files = files.ok_or("createArtifactFiles answers null")?.files.edges;
        ensure!(files.len() == 2, "{} files for two", files.len());
        let mut birth_id = String::new();
        for (edge, file) in files.into_iter().zip(&content.files) {
            let ArtifactFileNode { display_name, artifact, upload_url, upload_headers } = edge.node;
            let name = display_name.as_deref();
            ensure!(name == Some(file.path), "{name:?} in the place of {:?}", file.path);
            birth_id = artifact.ok_or("a file without its artifact")?.id;
            if let Some(url) = upload_url {
                self.put(&url, upload_headers.as_deref(), &file.bytes).await?;
            }
        }

        let (bytes, digest) = content.manifest(&birth_id);
        let manifest = self.ask(&CreateManifest::new(&self.table, artifact, Some(&digest))).await?;
        let manifest = manifest.manifest().ok_or("createArtifactManifest answers none")?;
        let file = manifest.file.as_ref().ok_or("the manifest's file is null")?;
        let url = file.upload_url.as_deref().ok_or("the manifest's uploadUrl is null")?;
        self.put(url, file.upload_headers.as_deref(), &bytes).await?;
        self.ask(&CommitArtifact { artifact: artifact.id.clone() }).await?;
        Ok(())
    }

    /// Uploads bytes to the URL from the backend, without a key.
    pub(super) async fn put(
        &self,
        url: &str,
        upload_headers: Option<&[String]>,
        bytes: &[u8],
    ) -> Check {
        let request = upload_request(url, upload_headers, bytes)?;
        let answer = self.send(None, request).await?;
        let status = answer.status();
        ensure!(status.is_success(), "an upload is answered {status}");
        let acked = SentUpload { bytes, must_state: false }.ack(&answer);
        acked.map_err(|error| format!("an upload is {error}"))
    }

    /// Posts a body to the table's file stream.
    pub(super) async fn post_bytes(
        &self,
        headers: &[Header<'_>],
        body: impl Into<Bytes> + Send,
    ) -> Check<Response<Bytes>> {
        let path = file_stream_path(&self.table);
        let request = self.json_request(&path, headers, body)?;
        self.send(self.key(), request).await
    }

    /// Posts rows, which must be acknowledged: lines of the history file, starting at number
    /// `offset`.
    pub(super) async fn post<L: AsRef<str> + Sync>(
        &self,
        headers: &[Header<'_>],
        offset: u64,
        lines: &[L],
    ) -> Check<FileStreamAnswer> {
        let body = history_body(offset, lines.iter().map(|line| line.as_ref().as_bytes()));
        let request = format!("post-{offset}");
        let own = [(ASYNC_HEADER, "true"), (REQUEST_HEADER, request.as_str())];
        let answer = self.post_bytes(&[headers, &own].concat(), body).await?;
        let status = answer.status();
        ensure!(status == StatusCode::OK, "rows are answered {status}");
        let end = offset + lines.len() as u64;
        let sent = SentPost { rows: Some(offset..end), request: &request, must_state: false };
        let answer = sent.ack(&answer).map_err(|error| format!("rows are {error}"))?;
        let acked = answer.acked.unwrap_or(end);
        ensure!(acked == end, "rows up to {end} are acknowledged up to {acked}");
        Ok(answer)
    }

    /// Reads rows: those from number `min` to before `max`, at most `limit`.
    pub(super) async fn read(&self, min: u64, max: u64, limit: u64) -> Check<Vec<Row>> {
        let answer = self.ask(&ReadRows::new(&self.table, min, max, limit)).await?;
        let run = answer.project.and_then(|project| project.run).ok_or("the run is not there")?;
        let lines = run.history.iter().map(|line| HistoryLine::parse(line));
        let rows = lines.map(|line| line.map(|line| line.row));
        rows.collect::<Result<_, _>>().map_err(|error| format!("a row cannot be read: {error}"))
    }

    /// Checks that the table has exactly these rows, in this order.
    pub(super) async fn expect<L: AsRef<str> + Sync>(&self, lines: &[L]) -> Check {
        let sent = lines.iter().map(|line| HistoryLine::parse(line.as_ref()).map(|line| line.row));
        let sent: Vec<Row> = sent.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        check_rows(&sent, &self.read(0, ALL, ALL).await?)?;
        let last_step = self.history_keys().await?.last_step;
        let expected = lines.len() as i64 - 1;
        ensure!(
            last_step == expected,
            "{} rows are stored, but historyKeys.lastStep is {last_step} instead of {expected}",
            lines.len()
        );
        Ok(())
    }
}

/// Creates the request that uploads bytes to a URL from the backend.
pub(super) fn upload_request(
    url: &str,
    upload_headers: Option<&[String]>,
    bytes: &[u8],
) -> Check<Request<Bytes>> {
    let mut request = Request::builder().method(Method::PUT).uri(url).extension(Anonymous);
    for header in upload_headers.unwrap_or_default() {
        let (name, value) = header.split_once(':').ok_or("an uploadHeader without a colon")?;
        request = request.header(name.trim(), value.trim());
    }
    let body = Bytes::copy_from_slice(bytes);
    request.body(body).map_err(|error| format!("the uploadUrl {url:?}: {error}"))
}

/// Writes a row as a line of `writer`.
pub(super) fn line(writer: &str, row: &Row) -> Check<String> {
    struct Anything;

    impl RowSink for Anything {
        fn cell(&mut self, _: &str, _: &Type) -> Result<(), SchemaError> {
            Ok(())
        }

        fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
            Err(MediaError::BadFormat { format: media.format().to_owned() })
        }
    }

    let logged = Logged { writer, at: Timestamp::from_millis(1_704_164_645_678) };
    let mut out = Vec::new();
    write_row(row, logged, &mut out, &mut Anything).map_err(|error| error.to_string())?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// Writes `count` small rows as lines of `writer`.
pub(super) fn lines(writer: &str, count: usize) -> Check<Vec<String>> {
    let row = |i| Row::new().with("i", i as i64).with("by", writer);
    (0..count).map(|i| line(writer, &row(i))).collect()
}
