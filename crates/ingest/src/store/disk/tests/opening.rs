//! What opening takes, and what it makes.

use std::os::unix::fs::PermissionsExt;

use super::faulty::Faulty;
use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn logs_are_read_by_nobody_else_and_a_directory_that_is_there_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let (new, volume) = (dir.path().join("new"), dir.path().join("volume"));
    std::fs::create_dir(&volume).unwrap();
    // As Kubernetes gives it to a group.
    std::fs::set_permissions(&volume, std::fs::Permissions::from_mode(0o2770)).unwrap();
    for (path, expected) in [(&new, 0o700), (&volume, 0o2770)] {
        let mut opened = open(path, SEGMENT_BYTES, Damage::default()).unwrap();
        opened.store.retain().unwrap().seal().unwrap();
        assert_eq!(mode(path), expected);
        let files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 4, "two segments, an index, the lock: {files:?}");
        for file in files {
            assert_eq!(mode(&file) & 0o137, 0, "{}", file.display());
        }
    }
}

/// Anonymous memory of this process, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Time and memory are shown: `OTTO_STORE_MIB=10240 cargo test -p log-ingest --lib opening_takes -- --nocapture` does so for 10 GiB;
/// `OTTO_STORE_LINE` says how long the lines of a block are together.
#[test]
fn opening_takes_as_long_as_the_indexes_are_and_not_as_the_segments() {
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (mib, bytes) = (number("OTTO_STORE_MIB", 64), number("OTTO_STORE_LINE", 64 << 10));
    let segment_bytes = if mib >= 1024 { SEGMENT_BYTES } else { 8 << 20 };
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path(), segment_bytes, Damage::default()).unwrap();
    let text = "x".repeat(bytes);
    let group_size = ((4 << 20) / (bytes + 100)).clamp(1, 4096) as u64;
    let (mut records, mut sequence) = (0, 0);
    while opened.store.size() < (mib as u64) << 20 {
        sequence += 1;
        let group: Vec<_> = (0..group_size)
            .map(|at| appended_lines(&format!("w{}", at % 32), sequence * 1000 + at / 32, &[&text]))
            .collect();
        opened.store.commit(&group).unwrap();
        records += group_size;
    }
    let size = opened.store.size();
    drop(opened);
    let sizes = |ending| {
        let length = |file: std::path::PathBuf| file.metadata().unwrap().len();
        files(dir.path(), ending).into_iter().map(length).collect::<Vec<_>>()
    };
    let (logs, indexes) = (sizes("log"), sizes("idx").into_iter().sum::<u64>());
    let (segments, last) = (logs.len() as u64, *logs.last().unwrap());
    assert!(segments > 4 && indexes < size / 100, "{segments} segments, {indexes} bytes of indexes");

    let disk = Faulty::open(dir.path());
    let (memory_before, started) = (memory(), std::time::Instant::now());
    let on_disk: Arc<dyn Files> = Arc::clone(&disk) as Arc<dyn Files>;
    let (store, shared) = open_files(on_disk, segment_bytes, Damage::default()).unwrap();
    let took = started.elapsed();
    let (read, ..) = disk.asked().take();
    let held = memory().saturating_sub(memory_before);
    println!("{size} bytes, {segments} segments, {records} blocks: opened in {took:?}, {held} KiB held");
    // The header of each segment, its index, and all of the one that goes on.
    assert!(
        read <= segments * HEADER as u64 + indexes + last,
        "{read} bytes read, {indexes} of indexes, {last}"
    );
    let places: usize = store.index.read().workers.values().map(|known| known.open.len()).sum();
    assert!((places * bytes) as u64 <= last, "{places} places are held, of the last segment alone");
    let opened = shared.of(store);
    assert_eq!((opened.recovery.records, opened.recovery.damaged), (records, 0));
    assert_eq!(opened.reader.read(&worker("w1"), Sequence::new(1), 1).unwrap().len(), 1);
}
