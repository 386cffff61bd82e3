//! Uploads and downloads.

use streamtable_schema::MediaKind;
use streamtable_wire::graphql::CreateRunFiles;
use streamtable_wire::media_file;

use super::*;
use crate::png;
use crate::upload::UPLOAD_HEADER;

fn announce(bench: &Bench, path: &str) -> Option<String> {
    let create = CreateRunFiles::new(&bench.table, vec![path.to_owned()]);
    bench.ask(&create).create_run_files.unwrap().files.remove(0).upload_url
}

#[track_caller]
fn refuses(
    path: &str,
    headers: &[(&str, &str)],
    change: fn(String) -> String,
    status: u16,
    message: &str,
) {
    let bench = Bench::new();
    let url = change(announce(&bench, path).unwrap());
    bench.expect_violation(bench.send(Method::PUT, &url, headers, "bytes"), status, message);
    assert!(bench.mock.files(&bench.table).is_empty());
}

#[test]
fn invalid_uploads() {
    let header = &[UPLOAD_HEADER];
    let same = |url| url;
    refuses("a", &[], same, 400, "uploadHeaders");
    refuses("a", &[UPLOAD_HEADER, ("content-encoding", "gzip")], same, 400, "not be compressed");
    refuses("a", header, |url| url + "0", 403, "signature is wrong");
    refuses("a", header, |url| url.replace("/0?", "/1?"), 404, "issued no such URL");
    let named = media_file(MediaKind::Image, "png", b"other bytes").path;
    refuses(&named, header, same, 400, "do not match the hash");
}

#[test]
fn an_image_and_back() {
    let bench = Bench::new();
    let bytes = png(2, 2, 9);
    let path = media_file(MediaKind::Image, "png", &bytes).path;
    let line = format!(
        r#"{{"image":[{{"_type":"image-file","path":"{path}","format":"png"}}],"_client_id":"w"}}"#
    );
    bench.post_rows(0, &[&line]).unwrap();
    assert_eq!(bench.mock.missing_files(&bench.table), std::slice::from_ref(&path));

    let url = announce(&bench, &path).unwrap();
    let (status, _) = bench.send(Method::GET, &url, &[], "").unwrap();
    assert_eq!(status, StatusCode::NOT_FOUND);
    bench.send(Method::PUT, &url, &[UPLOAD_HEADER, AUTHORIZATION], bytes.clone()).unwrap();
    assert_eq!(bench.mock.file(&bench.table, &path).unwrap(), bytes);
    assert_eq!(bench.mock.files(&bench.table), std::slice::from_ref(&path));
    assert!(bench.mock.missing_files(&bench.table).is_empty());
    assert_eq!(bench.send(Method::GET, &url, &[], "").unwrap().1, bytes);
    let served = format!("/files/me/shop/requests/{path}");
    assert_eq!(bench.local(Method::GET, &served, &[AUTHORIZATION], "").unwrap().1, bytes);
    // The name is derived from the content, so nothing needs to be uploaded again.
    assert_eq!(announce(&bench, &path), None);
    bench.post(&[], format!(r#"{{"uploaded":["{path}"]}}"#)).unwrap();
    bench.mock.assert_no_violations();
}
