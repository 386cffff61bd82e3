//! Images and other files in rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use streamtable::{
    Append, AppendError, Appended, Backend, FlushFailure, Media, Settings, StopReason, StreamTable,
    Upload, row,
};
use streamtable_mock_backend::{Fault, RequestKind};
use streamtable_schema::{MediaKind, Value};

use crate::support::{NAME, builder, mock, open};

/// Returns the header of a PNG with one grey pixel.
fn pixel(grey: u8) -> Bytes {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0".to_vec();
    png.extend_from_slice(&[0, 0, 0, 0, grey]);
    png.into()
}

#[tokio::test(start_paused = true)]
async fn each_file_is_uploaded_once() {
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
async fn a_rejected_file_is_counted_and_does_not_block_rows() {
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
async fn files_are_read_during_the_call() {
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

/// A backend that stores rows slowly and rejects files.
#[derive(Clone, Debug, Default)]
struct RowsOnly {
    stored: Arc<AtomicUsize>,
}

#[async_trait]
impl Backend for RowsOnly {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        self.stored.fetch_add(append.lines.len(), Ordering::Relaxed);
        Ok(Appended::default())
    }

    async fn upload(&self, _: Upload) -> Result<Appended, AppendError> {
        Err(AppendError::Stopped(StopReason::Forbidden { message: "no files".to_owned() }))
    }
}

#[tokio::test(start_paused = true)]
async fn rows_are_delivered_if_files_are_rejected() {
    let backend = RowsOnly::default();
    let open = || {
        let builder = StreamTable::builder(NAME).settings(Settings::default());
        builder.backend(backend.clone()).open()
    };
    let table = open().await.unwrap();
    table.log(row! { "image" => Media::image(pixel(1)).unwrap() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(table.stop_reason().is_some());
    let error = table.finish().await.unwrap_err();
    assert!(matches!(error.reason, FlushFailure::Stopped(_)), "{error}");
    assert_eq!((error.stats.acked, error.stats.media.pending), (1, 1));

    let table = open().await.unwrap();
    table.log(row! { "image" => Media::image(pixel(1)).unwrap() }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(table);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(backend.stored.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pending_file_is_counted_once_in_the_buffer() {
    let mock = mock();
    let table = builder(&mock).media_buffer_bytes(10).open().await.unwrap();
    for _ in 0..3 {
        table.log(row! { "image" => Media::image(pixel(1)).unwrap() }).await.unwrap();
    }
    assert!(table.log(row! { "image" => Media::image(pixel(2)).unwrap() }).await.is_err());
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.media.uploaded), (3, 1));
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn special_files_are_refused() {
    let path = std::env::temp_dir().join(format!("streamtable-zero-{}.wav", std::process::id()));
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let mock = mock();
    let table = open(&mock).await;
    let media = Media::from_path(MediaKind::Audio, &path).unwrap();
    let error = table.log(row! { "sound" => media }).await.unwrap_err();
    std::fs::remove_file(path).unwrap();
    assert!(error.to_string().ends_with("it is not a file"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn rejected_files_are_reported_to_a_callback() {
    /// Stores no files.
    #[derive(Debug)]
    struct NoFiles;

    #[async_trait]
    impl Backend for NoFiles {
        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Ok(Appended::default())
        }
    }

    let (send, rejected) = std::sync::mpsc::channel();
    let builder = StreamTable::builder(NAME).settings(Settings::default()).backend(NoFiles);
    let table = builder.on_media_reject(move |file| send.send(file).unwrap()).open().await.unwrap();
    table.log(row! { "image" => Media::image(pixel(1)).unwrap() }).await.unwrap();
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.media.failed), (1, 1));
    let file = rejected.try_recv().unwrap();
    assert!(file.path.starts_with("media/images/"), "{file:?}");
    assert_eq!(file.reason, "this backend accepts no media");
}
