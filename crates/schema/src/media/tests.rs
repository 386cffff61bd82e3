use super::*;

fn png(width: u32, height: u32) -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    [&head[..], &width.to_be_bytes(), &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat()
}

fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let head = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x11\x08";
    [&head[..], &height.to_be_bytes(), &width.to_be_bytes(), &[3]].concat()
}

fn gif(width: u16, height: u16) -> Vec<u8> {
    [&b"GIF89a"[..], &width.to_le_bytes(), &height.to_le_bytes(), &[0, 0, 0]].concat()
}

fn bmp(width: i32, height: i32) -> Vec<u8> {
    [&b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..], &width.to_le_bytes(), &height.to_le_bytes()]
        .concat()
}

fn webp(width: u32, height: u32) -> Vec<u8> {
    let size = (width - 1) | ((height - 1) << 14);
    [&b"RIFF\x20\0\0\0WEBPVP8L\x10\0\0\0\x2f"[..], &size.to_le_bytes()].concat()
}

#[track_caller]
fn check(bytes: Vec<u8>, format: &str, dimensions: (u32, u32)) {
    let image = Media::image(bytes.clone()).unwrap();
    assert_eq!(image.kind(), MediaKind::Image);
    assert_eq!(image.format(), format);
    assert_eq!(image.dimensions(), Some(dimensions));
    assert_eq!(image.caption(), None);
    assert_eq!(*image.source(), MediaSource::Bytes(bytes.into()));
}

#[track_caller]
fn check_refused(bytes: impl Into<Bytes>) {
    let bytes = bytes.into();
    assert_eq!(Media::image(bytes.clone()), Err(MediaError::NotAnImage { bytes: bytes.len() }));
}

#[test]
fn images() {
    check(png(1, 1), "png", (1, 1));
    check(png(640, 480), "png", (640, 480));
    check(jpeg(640, 480), "jpg", (640, 480));
    check(gif(640, 480), "gif", (640, 480));
    check(bmp(640, 480), "bmp", (640, 480));
    check(bmp(640, -480), "bmp", (640, 480));
    check(webp(640, 480), "webp", (640, 480));

    check_refused("");
    check_refused("PNG");
    check_refused("<svg xmlns='http://www.w3.org/2000/svg'/>");
    check_refused(vec![0; 64 * 64 * 3]);
    check_refused(png(640, 480)[..20].to_vec());
    check_refused(jpeg(640, 480)[..24].to_vec());
    check_refused(png(0, 480));
    check_refused(png(640, u32::MAX));
    check_refused("BMX bikes are no bitmaps, whatever their first letters say");
}

#[test]
fn kinds_and_formats() {
    for kind in MediaKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert!(MediaKind::ALL.is_sorted());
    assert_eq!(
        "Image".parse::<MediaKind>().unwrap_err().to_string(),
        r#""Image" is not a kind of media; the kinds are image, audio, video, html and markdown"#
    );

    #[track_caller]
    fn check(format: &str, is_usable: bool) {
        let expected = MediaError::BadFormat { format: format.to_owned() };
        assert_eq!(Media::audio("", format).err(), (!is_usable).then_some(expected));
    }
    check("wav", true);
    check("7z", true);
    check("abcdefghijklmnop", true);
    check("abcdefghijklmnopq", false);
    check("", false);
    check("WAV", false);
    check(".wav", false);
    check("../wav", false);
    check("wäv", false);
    assert_eq!(
        Media::video("", "MP4").unwrap_err().to_string(),
        r#""MP4" is not a media format; give a lower-case file extension, such as png, wav or mp4"#
    );
}

#[test]
fn files() {
    #[track_caller]
    fn check(path: &str, format: Option<&str>) {
        let media = Media::from_path(MediaKind::Image, path);
        assert_eq!(media.as_ref().ok().map(Media::format), format);
        if let Ok(media) = media {
            assert_eq!(*media.source(), MediaSource::Path(path.into()));
            assert_eq!(media.dimensions(), None);
        }
    }
    check("a.png", Some("png"));
    check("dir.x/a.tar.GZ", Some("gz"));
    check("dir.x/a", None);
    check(".png", None);
    check("a.", None);
}

#[test]
fn with_bytes_reads_the_file() {
    let file = Media::from_path(MediaKind::Image, "x.jpeg").unwrap().with_caption("c");
    let read = file.clone().with_bytes(png(4, 3).into()).unwrap();
    assert_eq!(read, Media::image(png(4, 3)).unwrap().with_caption("c"));
    assert_eq!(file.with_bytes("junk".into()), Err(MediaError::NotAnImage { bytes: 4 }));

    let sound = Media::from_path(MediaKind::Audio, "x.WAV").unwrap().with_caption("c");
    let read = sound.with_bytes("RIFF".into()).unwrap();
    assert_eq!(read, Media::audio("RIFF", "wav").unwrap().with_caption("c"));
}

#[test]
fn bytes_stay_out_of_debug() {
    let media = Media::html("<b>secret</b>");
    let debug = format!("{media:?}");
    assert!(debug.contains("Bytes(13 bytes)") && !debug.contains("secret"), "{debug}");
}

#[test]
fn media_passes_through_serde() {
    let head = r#""dimensions":[4,3],"caption":"c","path":null,"stored":null"#;
    let packed =
        |kind, format| format!(r#"{{"kind":"{kind}","format":"{format}",{head}}}"#) + "\n\nbytes\n";
    let media = unpack(packed("video", "mp4").as_bytes()).unwrap();
    let expected = Media::video("\nbytes\n", "mp4").unwrap().with_caption("c");
    assert_eq!(media, Media { dimensions: Some((4, 3)), ..expected });

    assert_eq!(unpack(packed("smell", "mp4").as_bytes()), None);
    assert_eq!(unpack(packed("video", "../mp4").as_bytes()), None);
    assert_eq!(unpack(b""), None);
    assert_eq!(unpack(b"{}"), None);
    assert_eq!(unpack(b"{}\n"), None);
}
