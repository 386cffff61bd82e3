//! Mapped files against plain ones, and against a process that is killed.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use streamtable_mapped::MappedFile;

fn open(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// Makes a file with room for so many bytes, and maps it where that is possible.
fn try_mapped(path: &Path, len: u64) -> Option<(File, MappedFile)> {
    let file = open(path);
    fs4::FileExt::allocate(&file, len).ok()?;
    let map = MappedFile::new(&file).unwrap()?;
    Some((file, map))
}

fn mapped(path: &Path, len: u64) -> (File, MappedFile) {
    try_mapped(path, len).expect("a folder where files are mapped")
}

/// A folder where files are mapped: containers often have their temporary one elsewhere.
fn folder() -> tempfile::TempDir {
    let temporary = std::env::temp_dir();
    let places = [&*temporary, Path::new(env!("CARGO_TARGET_TMPDIR")), Path::new("/dev/shm")];
    let folder = places.into_iter().find_map(|place| {
        let folder = tempfile::tempdir_in(place).ok()?;
        try_mapped(&folder.path().join("f"), 4096)?;
        std::fs::remove_file(folder.path().join("f")).unwrap();
        Some(folder)
    });
    folder.expect("these tests need TMPDIR, the target's tmp or /dev/shm on ext4, XFS or tmpfs")
}

#[test]
fn only_a_file_with_room_is_mapped() {
    let dir = folder();
    let file = open(&dir.path().join("f"));
    assert!(MappedFile::new(&file).unwrap().is_none(), "empty");
    file.set_len(1 << 20).unwrap();
    assert!(MappedFile::new(&file).unwrap().is_none(), "nothing but a hole");
    file.write_all_at(&[1; 4096], 0).unwrap();
    assert!(MappedFile::new(&file).unwrap().is_none(), "a hole at the end");
    // What the kernel makes up is not on a disk.
    assert!(MappedFile::new(&open(Path::new("/proc/self/comm"))).unwrap().is_none());
}

#[test]
fn nothing_is_written_beyond_the_end() {
    let dir = folder();
    let (file, mut map) = mapped(&dir.path().join("f"), 10_000);
    assert_eq!(map.len(), 10_000);
    map.write_at(b"end", 9_997).unwrap();
    map.write_at(b"", 10_000).unwrap();
    for (bytes, offset) in [(&b"more"[..], 9_997), (b"x", 10_000), (b"", 10_001), (b"x", u64::MAX)]
    {
        assert_eq!(map.write_at(bytes, offset).unwrap_err().kind(), ErrorKind::WriteZero);
    }
    let mut read = vec![0; 10_000];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(&read[9_996..], b"\0end");
    assert_eq!(file.metadata().unwrap().len(), 10_000);
}

/// Somebody cut the file: it stands for all that the system does not give.
#[test]
fn a_page_that_is_not_given_is_an_error() {
    let dir = folder();
    let (file, mut map) = mapped(&dir.path().join("f"), 1 << 20);
    map.write_at(b"begun", 0).unwrap();
    file.set_len(128 << 10).unwrap();
    map.write_at(b"ready", (128 << 10) - 5).unwrap();
    for _ in 0..2 {
        map.write_at(b"beyond", (128 << 10) - 3).unwrap_err();
    }
    let mut read = vec![0; 128 << 10];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!((&read[..5], &read[(128 << 10) - 5..]), (&b"begun"[..], &b"ready"[..]));
    // What was ready once need not be given twice.
    file.set_len(0).unwrap();
    map.written_away();
    map.write_at(b"again", 5).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever is written, a reader of the file sees what it would see in any file.
    #[test]
    fn reads_as_if_written_by_the_system(
        writes in prop::collection::vec((0usize..300_000, 0usize..5_000, any::<u8>()), 0..30),
    ) {
        const LEN: usize = 300_000;
        let dir = folder();
        let (file, mut map) = mapped(&dir.path().join("f"), LEN as u64);
        let mut expected = vec![0; LEN];
        for (at, len, first) in writes {
            let len = len.min(LEN - at);
            let bytes: Vec<u8> = (0..len).map(|i| first.wrapping_add(i as u8)).collect();
            map.write_at(&bytes, at as u64).unwrap();
            expected[at..at + len].copy_from_slice(&bytes);
        }
        let mut read = vec![0; LEN];
        file.read_exact_at(&mut read, 0).unwrap();
        prop_assert!(read == expected);
        drop(map);
        file.sync_data().unwrap();
        file.read_exact_at(&mut read, 0).unwrap();
        prop_assert!(read == expected);
    }
}

const CHILD: &str = "STREAMTABLE_MAPPED_CHILD";
const KILLED_LEN: u64 = 16 << 20;
const WRITE_BYTES: usize = 1_001;

/// The process that is killed; the test below starts it.
#[test]
#[ignore = "a_kill_leaves_a_beginning starts it as a process of its own"]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let (_, mut map) = mapped(&PathBuf::from(path), KILLED_LEN);
    // Over and over, so that it does not end by itself: what is written last differs from round to
    // round, and from what was there.
    for round in 1..=u8::MAX {
        for at in (0..KILLED_LEN - WRITE_BYTES as u64).step_by(WRITE_BYTES) {
            map.write_at(&[round; WRITE_BYTES], at).unwrap();
        }
    }
}

/// In the middle of a write, too: the bytes that it wrote stand before those that it did not.
#[test]
fn a_kill_leaves_a_beginning() {
    let dir = folder();
    let mut in_the_middle = 0;
    for kill in 0..20 {
        let path = dir.path().join(format!("f{kill}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored"])
            .env(CHILD, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let first = |path: &Path| {
            let mut byte = [0];
            File::open(path).and_then(|file| file.read_exact_at(&mut byte, 0)).map(|()| byte[0])
        };
        while first(&path).map_or(true, |byte| byte == 0) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(700 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let round = bytes[0];
        assert!(round > 0, "it was killed before it wrote");
        let end = bytes.iter().position(|&byte| byte != round).unwrap();
        let written = KILLED_LEN as usize / WRITE_BYTES * WRITE_BYTES;
        let rest = &bytes[end..written.max(end)];
        assert!(rest.iter().all(|&byte| byte == round - 1), "round {round}: not a beginning");
        in_the_middle += usize::from(!rest.is_empty());
        std::fs::remove_file(&path).unwrap();
    }
    assert!(in_the_middle > 0, "no kill came in the middle of a round");
}
