//! The subset of HTTP/1.1 for complete requests and responses.

use std::io::{self, Read, Write};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};

/// Maximum size of a request's head.
const MAX_HEAD: usize = 64 << 10;

/// Maximum number of headers of a request.
const MAX_HEADERS: usize = 100;

/// A request and its connection options.
pub(super) struct Incoming {
    /// The server's URL from the client's view, taken from `Host`.
    pub(super) base: String,
    pub(super) request: Request<Bytes>,
    pub(super) keep_alive: bool,
}

/// Reads one request; returns `None` if the client has closed the connection.
///
/// Of a body larger than `max_body`, one byte more than the limit is kept. An invalid request fails
/// with [`io::ErrorKind::InvalidData`].
pub(super) fn read(
    stream: &mut (impl Read + Write),
    buffer: &mut Vec<u8>,
    max_body: usize,
) -> io::Result<Option<Incoming>> {
    let mut head = loop {
        if let Some(head) = parse_head(buffer)? {
            break head;
        }
        if buffer.len() > MAX_HEAD {
            return Err(invalid("the request's head is too long"));
        }
        if fill(stream, buffer)? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(closed()) };
        }
    };
    let headers = head.headers();
    if token(headers, &EXPECT) == "100-continue" {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Body { stream, buffer, bytes: Vec::new(), limit: max_body.saturating_add(1) };
    match (headers.get(CONTENT_LENGTH), token(headers, &TRANSFER_ENCODING).as_str()) {
        (None, "") => {}
        (Some(length), "") => {
            let length = length.to_str().ok().and_then(|length| length.parse().ok());
            body.take(length.ok_or_else(|| invalid("the content length is not a number"))?)?;
        }
        (None, "chunked") => body.take_chunks()?,
        _ => return Err(invalid("the body's length is given in a way that is not understood")),
    }
    let bytes = Bytes::from(body.bytes);

    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| invalid("there is no Host"))?;
    let base = format!("http://{host}");
    let keep_alive = head.version() == Version::HTTP_11 && token(headers, &CONNECTION) != "close";
    if head.uri().scheme().is_none() {
        let uri = format!("{base}{}", head.uri()).parse();
        *head.uri_mut() = uri.map_err(|_| invalid("the request's target is not a path"))?;
    }
    Ok(Some(Incoming { base, request: head.map(|()| bytes), keep_alive }))
}

/// Writes the head of a response.
pub(super) fn head(answer: &Response<Bytes>, keep_alive: bool) -> Vec<u8> {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or("");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    let length = HeaderValue::from(answer.body().len());
    let connection = HeaderValue::from_static(if keep_alive { "keep-alive" } else { "close" });
    let own = [(&CONTENT_LENGTH, &length), (&CONNECTION, &connection)];
    for (name, value) in answer.headers().iter().chain(own) {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Removes the head of a request from the front of `buffer`, if it is complete.
fn parse_head(buffer: &mut Vec<u8>) -> io::Result<Option<Request<()>>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let not_http = |error: &dyn std::fmt::Display| invalid(&format!("this is no HTTP: {error}"));
    let length = match parsed.parse(buffer).map_err(|error| not_http(&error))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut request = Request::builder()
        .method(parsed.method.unwrap_or_default())
        .uri(parsed.path.unwrap_or_default())
        .version(version)
        .body(())
        .map_err(|error| not_http(&error))?;
    for header in parsed.headers.iter() {
        let name = HeaderName::try_from(header.name).map_err(|error| not_http(&error))?;
        let value = HeaderValue::from_bytes(header.value).map_err(|error| not_http(&error))?;
        request.headers_mut().append(name, value);
    }
    buffer.drain(..length);
    Ok(Some(request))
}

/// A body that is being read.
struct Body<'a, S> {
    stream: &'a mut S,
    buffer: &'a mut Vec<u8>,
    bytes: Vec<u8>,
    limit: usize,
}

impl<S: Read> Body<'_, S> {
    /// Consumes the next bytes and keeps those within the limit.
    fn take(&mut self, mut length: u64) -> io::Result<()> {
        while length > 0 {
            if self.buffer.is_empty() && fill(self.stream, self.buffer)? == 0 {
                return Err(closed());
            }
            let now = usize::try_from(length).unwrap_or(usize::MAX).min(self.buffer.len());
            let kept = now.min(self.limit - self.bytes.len());
            self.bytes.extend_from_slice(&self.buffer[..kept]);
            self.buffer.drain(..now);
            length -= now as u64;
        }
        Ok(())
    }

    fn take_chunks(&mut self) -> io::Result<()> {
        loop {
            let (start, length) = loop {
                let size = httparse::parse_chunk_size(self.buffer);
                match size.map_err(|_| invalid("a chunk's length is not a number"))? {
                    httparse::Status::Complete(size) => break size,
                    httparse::Status::Partial if fill(self.stream, self.buffer)? == 0 => {
                        return Err(closed());
                    }
                    httparse::Status::Partial => {}
                }
            };
            self.buffer.drain(..start);
            self.take(length)?;
            // Trailers are not supported, so the last chunk ends the body.
            while self.buffer.len() < 2 {
                if fill(self.stream, self.buffer)? == 0 {
                    return Err(closed());
                }
            }
            if !self.buffer.starts_with(b"\r\n") {
                return Err(invalid("a chunk does not end where it should"));
            }
            self.buffer.drain(..2);
            if length == 0 {
                return Ok(());
            }
        }
    }
}

fn fill(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 16 << 10];
    let length = stream.read(&mut chunk)?;
    buffer.extend_from_slice(&chunk[..length]);
    Ok(length)
}

/// Returns a header as lower-case text; empty if it is missing.
fn token(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim().to_ascii_lowercase()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended in the middle of a request")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Parses the requests in a text: for each the target, the body, and whether more may follow.
    fn read_all(text: &str) -> Result<Vec<(String, String, bool)>, String> {
        let mut stream = Cursor::new(text.as_bytes().to_vec());
        // The response must not be appended to the input.
        let end = text.len() as u64;
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        loop {
            let mut duplex = Duplex(&mut stream, end);
            match read(&mut duplex, &mut buffer, 10) {
                Ok(None) => return Ok(found),
                Ok(Some(Incoming { request, keep_alive, .. })) => {
                    let body = String::from_utf8(request.body().to_vec()).unwrap();
                    found.push((request.uri().to_string(), body, keep_alive));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    struct Duplex<'a>(&'a mut Cursor<Vec<u8>>, u64);

    impl Read for Duplex<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            // One byte at a time, so that a read may end at every position.
            let length = if self.1 < 1000 { 1 } else { out.len() };
            if self.0.position() >= self.1 { Ok(0) } else { self.0.read(&mut out[..length]) }
        }
    }

    impl Write for Duplex<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, bool)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(uri, body, more)| (uri.to_string(), body.to_string(), *more))
            .collect();
        assert_eq!(read_all(text), Ok(expected));
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        let error = read_all(text).unwrap_err();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn requests() {
        check("", &[]);
        check("GET /a?b HTTP/1.1\r\nHost: h:1\r\n\r\n", &[("http://h:1/a?b", "", true)]);
        check(
            "PUT /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc\
             GET /b HTTP/1.1\r\nhost: h\r\nconnection: Close\r\n\r\n",
            &[("http://h/a", "abc", true), ("http://h/b", "", false)],
        );
        check("GET / HTTP/1.0\r\nhost: h\r\n\r\n", &[("http://h/", "", false)]);
        check("GET http://h/p HTTP/1.1\r\nhost: h\r\n\r\n", &[("http://h/p", "", true)]);
        check(
            "POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n\
             transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            &[("http://h/", "abcde", true)],
        );
        check(
            "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 13\r\n\r\n0123456789abc",
            &[("http://h/", "0123456789a", true)],
        );
    }

    #[test]
    fn no_requests() {
        refuses("GET / HTTP/1.1\r\nhost: h\r\n", "ended in the middle");
        refuses("GET / HTTP/1.1\r\n\r\n", "no Host");
        refuses("\x01\r\n\r\n", "no HTTP");
        refuses("GET / HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n", "not a number");
        refuses("GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nab", "ended in the middle");
        let both = "content-length: 1\r\ntransfer-encoding: chunked";
        refuses(&format!("GET / HTTP/1.1\r\nhost: h\r\n{both}\r\n\r\n"), "not understood");
        let chunked = "GET / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
        refuses(&format!("{chunked}z\r\n"), "not a number");
        refuses(&format!("{chunked}1\r\nab\r\n"), "does not end");
        refuses(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(MAX_HEAD)), "too long");
    }
}
