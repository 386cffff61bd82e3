//! Uploading media files.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use streamtable_transport::{Anonymous, AttemptTimeout, Origin, Transport};
use streamtable_wire::graphql::CreateRunFiles;
use streamtable_wire::{FileStreamRequest, SentUpload};

use super::answer::{self, Responder};
use super::{SHORT_TIMEOUT, WandbBackend};
use crate::{AppendError, Appended, StopReason, Upload};

/// Number of concurrent uploads per request.
const PARALLEL: usize = 8;

/// A header from a server's response.
type Header = (HeaderName, HeaderValue);

impl WandbBackend {
    /// Announces the files in one request, uploads each to its URL, and reports the rejected ones.
    pub(super) async fn upload_files(&self, upload: Upload) -> Result<Appended, AppendError> {
        let Upload { table, files, timeout } = upload;
        let paths = files.iter().map(|file| file.path.to_string()).collect();
        let answer = self.post_graphql(&CreateRunFiles::new(&table, paths), timeout).await?;
        let Some(addresses) = answer.create_run_files else {
            return Err(AppendError::Refused { message: "the server accepts no files".to_owned() });
        };
        let headers = header_pairs(addresses.upload_headers.as_deref().unwrap_or_default());

        let by_name = |path: &str| addresses.files.iter().find(|file| file.name == path);
        let puts: Vec<_> = (0..)
            .zip(&files)
            .map(|(i, file)| {
                let address = by_name(&file.path).map(|found| found.upload_url.clone());
                self.put_file(i, address, &headers, file.bytes.clone(), timeout)
            })
            .collect();
        let mut puts = futures_util::stream::iter(puts).buffer_unordered(PARALLEL);
        let (mut stored, mut rejected) = (Vec::new(), Vec::new());
        while let Some((i, result)) = puts.next().await {
            match result {
                Ok(()) => stored.push(files[i].path.to_string()),
                Err(error @ (AppendError::Refused { .. } | AppendError::TooLarge)) => {
                    rejected.push((i as u64, error.to_string()));
                }
                // Stored files stay stored, and storing them again changes nothing.
                Err(other) => return Err(other),
            }
        }
        drop(puts);
        if !stored.is_empty() {
            stored.sort();
            let report = FileStreamRequest { uploaded: stored, ..FileStreamRequest::default() };
            let columns = streamtable_schema::ColumnPolicy::Evolve;
            let report = report.to_bytes();
            self.post_file_stream(&table, report, None, SHORT_TIMEOUT, columns).await?;
        }
        Ok(Appended { rejected, ..Appended::default() })
    }

    /// Uploads one file to the URL that the server returned for it.
    async fn put_file(
        &self,
        index: usize,
        address: Option<Option<String>>,
        headers: &[Header],
        bytes: Bytes,
        timeout: Duration,
    ) -> (usize, Result<(), AppendError>) {
        // An invalid response must not make the client drop the file.
        let unusable = |message: &str| {
            Err(AppendError::Transient { message: message.to_owned(), retry_after: None })
        };
        let result = match address {
            None => unusable("the server's response does not contain the file"),
            // The server already has the file.
            Some(None) => Ok(()),
            Some(Some(url)) => match url.parse() {
                Ok(uri) => self.put(uri, headers, bytes, timeout).await,
                Err(_) => unusable("the server's URL for the file is invalid"),
            },
        };
        (index, result)
    }

    /// Uploads bytes to a URL from the server. The URL itself grants the permission.
    pub(super) async fn put(
        &self,
        uri: Uri,
        headers: &[Header],
        bytes: Bytes,
        timeout: Duration,
    ) -> Result<(), AppendError> {
        let origin = Origin::try_from(&uri).map_err(|error| AppendError::Transient {
            message: format!("the server's URL for the file cannot be used: {error}"),
            retry_after: None,
        })?;
        // A URL with another origin belongs to an object store, whose responses differ.
        let known = self.responder();
        let must_state = origin == self.origin && known.must_state;
        let host = origin.authority();
        let from = Responder { host: &host, must_state, ..known };
        let mut request = Request::new(bytes.clone());
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = uri;
        request.headers_mut().extend(headers.iter().cloned());
        request.extensions_mut().insert(Anonymous);
        request.extensions_mut().insert(AttemptTimeout(timeout));
        match answer::check(self.transport.send(request).await, from, bytes.len()) {
            Ok(response) => {
                answer::acked(SentUpload { bytes: &bytes, must_state }.ack(&response), from)
            }
            // The next attempt gets a new URL if this one has expired.
            Err(AppendError::Stopped(
                StopReason::Unauthorized { message }
                | StopReason::Forbidden { message }
                | StopReason::NotFound { message },
            )) => Err(AppendError::Transient { message, retry_after: None }),
            Err(other) => Err(other),
        }
    }
}

/// Parses headers of the form `Name:Value`; invalid ones are skipped.
pub(super) fn header_pairs(headers: &[String]) -> Vec<Header> {
    let pair = |text: &String| {
        let (name, value) = text.split_once(':')?;
        Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
    };
    headers.iter().filter_map(pair).collect()
}
