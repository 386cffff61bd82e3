use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use http::{Method, Request};
use streamtable_transport::{GzipBody, Transport as _};
use streamtable_transport_hyper::HyperConfig;

use crate::script::{Server, Step};
use crate::{get, post, run, send, transport};

fn pack(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn unpack(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// Checks what a caller receives for a response with this body.
#[track_caller]
fn check_answer(encoding: &str, body: &[u8], expected: &str) {
    let header = format!("content-encoding: {encoding}");
    let answer = Step::answer("200 OK", &[&header], body);
    let found = run(async {
        let server = Server::start(vec![vec![answer]]).await;
        let config = HyperConfig { max_response_bytes: 100_000, ..HyperConfig::default() };
        let answer = send(&transport(config), get(server.url())).await;
        answer.replace(&server.address.to_string(), "HOST")
    });
    assert_eq!(found, expected);
}

#[test]
fn responses_are_decompressed() {
    check_answer("gzip", &pack(b"rows"), "200 rows");
    check_answer("X-GZIP", &pack(b"rows"), "200 rows");
    check_answer("gzip", &[pack(b"ro"), pack(b"ws")].concat(), "200 rows");
    check_answer("gzip", b"", "200");
    check_answer("identity", b"rows", "200 rows");
    check_answer("gzip", &pack(&[b'x'; 100_000]), &format!("200 {}", "x".repeat(100_000)));
}

#[test]
fn a_gzip_bomb_is_refused() {
    let bomb = pack(&vec![0; 50_000_000]);
    assert!(bomb.len() < 100_000);
    check_answer("gzip", &bomb, "the response is longer than 100000 bytes");
    check_answer("gzip", &pack(&[0; 100_001]), "the response is longer than 100000 bytes");
}

#[test]
fn damaged_gzip_is_an_error() {
    let whole = pack(b"rows");
    let lost = "lost the connection to HOST before the response was complete: damaged gzip: ";
    check_answer("gzip", b"rows, not packed", &format!("{lost}invalid gzip header"));
    check_answer("gzip", &whole[..12], &format!("{lost}incomplete deflate stream"));
    let mut flipped = whole.clone();
    flipped[whole.len() - 5] ^= 1;
    check_answer(
        "gzip",
        &flipped,
        &format!("{lost}corrupt gzip stream does not have a matching checksum"),
    );
}

#[tokio::test]
async fn a_requested_encoding_is_not_decompressed() {
    let packed = pack(b"rows");
    let gzip = Step::answer("200 OK", &["content-encoding: gzip"], &packed);
    let server = Server::start(vec![vec![gzip.clone(), gzip]]).await;
    let transport = transport(HyperConfig::default());

    let mut request = get(server.url());
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
    let answer = transport.send(request).await.unwrap();
    assert_eq!(
        (&answer.body()[..], &answer.headers()[CONTENT_ENCODING]),
        (&packed[..], &HeaderValue::from_static("gzip"))
    );

    let answer = transport.send(get(server.url())).await.unwrap();
    assert!(!answer.headers().contains_key("content-length"));
    assert!(!answer.headers().contains_key(CONTENT_ENCODING));
}

#[tokio::test]
async fn a_head_response_has_body_headers_but_no_body() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\ncontent-encoding: gzip\r\n\r\n";
    let server = Server::start(vec![vec![Step::raw(head)]]).await;
    let request = Request::builder().method(Method::HEAD).uri(server.url()).body(Bytes::new());
    let answer = transport(HyperConfig::default()).send(request.unwrap()).await.unwrap();
    assert_eq!(
        (&answer.headers()["content-length"], answer.body().len()),
        (&HeaderValue::from_static("99"), 0)
    );
}

/// Checks whether a body of `length` bytes is compressed for this request and these headers.
#[track_caller]
fn check_request(length: usize, allowed: bool, encoding: Option<&str>, packed: bool) {
    let body = "row ".repeat(length / 4);
    let arrived = run(async {
        let server = Server::start(vec![vec![Step::ok("")]]).await;
        let mut request = post(server.url(), body.clone());
        if let Some(encoding) = encoding {
            request.headers_mut().insert(CONTENT_ENCODING, encoding.parse().unwrap());
        }
        if allowed {
            request.extensions_mut().insert(GzipBody);
        }
        // Some callers set it; it must not survive compression.
        request.headers_mut().insert("content-length", length.into());
        assert_eq!(send(&transport(HyperConfig::default()), request).await, "200");
        server.arrived().remove(0)
    });
    assert_eq!(arrived.head.contains("content-encoding: gzip\r\n"), packed, "{}", arrived.head);
    if packed {
        assert!(arrived.body.len() < length / 10);
        assert_eq!(unpack(&arrived.body), body);
    } else {
        assert_eq!(arrived.body, body.as_bytes());
    }
}

#[test]
fn requests_are_compressed_if_allowed() {
    check_request(4096, true, None, true);
    check_request(1024, true, None, true);
    check_request(1020, true, None, false);
    check_request(4096, false, None, false);
    check_request(4096, true, Some("br"), false);
    check_request(0, true, None, false);
}
