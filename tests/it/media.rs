//! Pictures and other files that rows carry.

use std::time::Duration;

use bytes::Bytes;
use streamtable::{Media, row};
use streamtable_mock_backend::{Fault, RequestKind};
use streamtable_schema::{MediaKind, Value};

use crate::support::{mock, open};

/// The smallest PNG: one grey pixel, or so its header says.
fn pixel(grey: u8) -> Bytes {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0".to_vec();
    png.extend_from_slice(&[0, 0, 0, 0, grey]);
    png.into()
}

#[tokio::test(start_paused = true)]
async fn files_lie_beside_the_rows_once_each() {
    let mock = mock();
    let table = open(&mock).await;
    for n in 0..100_u8 {
        let image = Media::image(pixel(n % 10)).unwrap().with_caption(format!("number {n}"));
        table.log(row! { "image" => image, "note" => Media::markdown("*same*") }).await.unwrap();
    }
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.media.uploaded, stats.media.failed), (100, 11, 0));
    assert_eq!(mock.files(table.path()).len(), 11);
    assert!(mock.missing_files(table.path()).is_empty());
    for (n, line) in mock.rows(table.path()).iter().enumerate() {
        let Some(Value::Media(image)) = line.row.get("image") else { panic!("{:?}", line.row) };
        assert_eq!((image.kind(), image.dimensions()), (MediaKind::Image, Some((1, 1))));
        assert_eq!(image.caption(), Some(&*format!("number {n}")));
        let streamtable_schema::MediaSource::Stored(file) = image.source() else { panic!() };
        assert_eq!(mock.file(table.path(), &file.path), Some(pixel(n as u8 % 10)));
    }
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn a_row_never_waits_for_its_image() {
    let mock = mock();
    let table = open(&mock).await;
    for _ in 0..5 {
        mock.push_fault(RequestKind::Upload, Fault::status(503)).unwrap();
    }
    table.log(row! { "image" => Media::image(pixel(1)).unwrap() }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stats = table.stats();
    assert_eq!((stats.acked, stats.media.pending), (1, 1));
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.media.uploaded), (1, 1));
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_refused_is_counted_and_blocks_nothing() {
    let mock = mock();
    let table = open(&mock).await;
    mock.push_fault(RequestKind::Upload, Fault::status(400)).unwrap();
    table.log(row! { "image" => Media::image(pixel(1)).unwrap() }).await.unwrap();
    table.flush(Duration::from_secs(60)).await.unwrap();
    table.log(row! { "image" => Media::image(pixel(2)).unwrap() }).await.unwrap();
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.media.failed, stats.media.uploaded), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_bytes_are_those_of_the_call() {
    let folder = std::env::temp_dir().join(format!("streamtable-media-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("image.png");
    std::fs::write(&path, pixel(1)).unwrap();
    let mock = mock();
    let table = open(&mock).await;
    table
        .log(row! { "image" => Media::from_path(MediaKind::Image, &path).unwrap() })
        .await
        .unwrap();
    std::fs::write(&path, "gone").unwrap();
    table.finish().await.unwrap();
    let files = mock.files(table.path());
    assert_eq!(mock.file(table.path(), &files[0]), Some(pixel(1)));
    std::fs::remove_dir_all(folder).unwrap();
}
