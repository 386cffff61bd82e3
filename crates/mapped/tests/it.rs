//! Compares mapped files with plain ones, and kills a process that writes one.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

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

/// Makes a file of `len` allocated bytes, and maps it if possible.
fn try_mapped(path: &Path, len: u64) -> Option<(File, MappedFile)> {
    let file = open(path);
    fs4::FileExt::allocate(&file, len).ok()?;
    let map = MappedFile::new(&file).unwrap()?;
    Some((file, map))
}

fn mapped(path: &Path, len: u64) -> (File, MappedFile) {
    try_mapped(path, len).expect("a folder in which files can be mapped")
}

/// A folder on a file system where files can be mapped. In containers the default temporary folder
/// often cannot.
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
fn only_allocated_files_are_mapped() {
    let dir = folder();
    let file = open(&dir.path().join("f"));
    assert!(MappedFile::new(&file).unwrap().is_none(), "empty");
    file.set_len(1 << 20).unwrap();
    assert!(MappedFile::new(&file).unwrap().is_none(), "a file that is one hole");
    file.write_all_at(&[1; 4096], 0).unwrap();
    assert!(MappedFile::new(&file).unwrap().is_none(), "a hole at the end");
    // A file that the kernel generates is not on a disk.
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

/// Truncating the file simulates pages that the file system cannot provide.
#[test]
fn a_page_that_cannot_be_provided_is_an_error() {
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
    // After a sync, a page that was prefaulted before can be missing.
    file.set_len(0).unwrap();
    map.written_away();
    map.write_at(b"again", 5).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A reader of the file sees the same content as after plain writes.
    #[test]
    fn mapped_writes_read_back_like_plain_writes(
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

/// The process that the test below starts and kills.
#[test]
#[ignore = "a_kill_leaves_a_prefix starts it as a process of its own"]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let (_, mut map) = mapped(&PathBuf::from(path), KILLED_LEN);
    // Repeats so that it does not end by itself. The data differs in each round, so that each write
    // can be recognised.
    for round in 1..=u8::MAX {
        for at in (0..KILLED_LEN - WRITE_BYTES as u64).step_by(WRITE_BYTES) {
            map.write_at(&[round; WRITE_BYTES], at).unwrap();
        }
    }
}

/// A kill in the middle of a write must leave the written bytes before the unwritten ones.
#[test]
fn a_kill_leaves_a_prefix() {
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
        assert!(round > 0, "the process was killed before it wrote");
        let end = bytes.iter().position(|&byte| byte != round).unwrap();
        let written = KILLED_LEN as usize / WRITE_BYTES * WRITE_BYTES;
        let rest = &bytes[end..written.max(end)];
        assert!(rest.iter().all(|&byte| byte == round - 1), "round {round}: not a prefix");
        in_the_middle += usize::from(!rest.is_empty());
        std::fs::remove_file(&path).unwrap();
    }
    assert!(in_the_middle > 0, "no kill happened in the middle of a round");
}
