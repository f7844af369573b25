//! The archives by which Docker hands files in and out, as far as they are needed: a few entries in, one file
//! out.
//!
//! The format is POSIX ustar: blocks of 512 bytes, a head before each entry, two empty blocks at the end.

/// The size of everything.
const BLOCK: usize = 512;

/// Where in a head its fields are: offset and length.
const NAME: (usize, usize) = (0, 100);
const MODE: (usize, usize) = (100, 8);
const OWNER: (usize, usize) = (108, 8);
const GROUP: (usize, usize) = (116, 8);
const SIZE: (usize, usize) = (124, 12);
const TIME: (usize, usize) = (136, 12);
const CHECKSUM: (usize, usize) = (148, 8);
const KIND: usize = 156;
const MAGIC: (usize, usize) = (257, 8);

/// An archive that is being written.
#[derive(Debug, Default)]
pub(super) struct Archive(Vec<u8>);

impl Archive {
    /// Adds a directory that everyone may write into, and where nobody may take away what is others'.
    #[must_use]
    pub(super) fn shared_directory(mut self, name: &str) -> Self {
        self.0.extend_from_slice(&head(name, b'5', 0o1777, 0));
        self
    }

    /// Adds a file of root's.
    #[must_use]
    pub(super) fn file(mut self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.0.extend_from_slice(&head(name, b'0', mode, content.len()));
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// The bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

fn head(name: &str, kind: u8, mode: u32, size: usize) -> [u8; BLOCK] {
    let mut head = [0; BLOCK];
    let mut put = |(at, length): (usize, usize), text: &[u8]| {
        let length = length.min(text.len());
        head[at..at + length].copy_from_slice(&text[..length]);
    };
    put(NAME, name.as_bytes());
    put(MODE, format!("{mode:07o}").as_bytes());
    put(OWNER, b"0000000");
    put(GROUP, b"0000000");
    put(SIZE, format!("{size:011o}").as_bytes());
    put(TIME, b"00000000000");
    // While it is added up it counts as spaces.
    put(CHECKSUM, b"        ");
    put((KIND, 1), &[kind]);
    put(MAGIC, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    head[CHECKSUM.0..CHECKSUM.0 + CHECKSUM.1].copy_from_slice(sum.as_bytes());
    head
}

/// The content of the first plain file; nothing where there is none, or where the archive was cut before its end.
pub(super) fn first_file(archive: &[u8]) -> Option<&[u8]> {
    let mut rest = archive;
    loop {
        let (head, after) = rest.split_at_checked(BLOCK)?;
        let size = number(&head[SIZE.0..SIZE.0 + SIZE.1])?;
        match head[KIND] {
            b'0' | 0 if head[0] != 0 => return after.get(..size),
            // What is said about the next entry goes before it.
            b'x' | b'g' | b'L' => rest = after.get(size.checked_next_multiple_of(BLOCK)?..)?,
            _ => return None,
        }
    }
}

/// Octal digits, up to a space or a zero.
fn number(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?;
    usize::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_written_is_what_tar_unpacks() {
        let dir = tempfile::tempdir().unwrap();
        let archive =
            Archive::default().shared_directory("run").file("otto-agent", 0o755, b"program").finish();
        std::fs::write(dir.path().join("a.tar"), archive).unwrap();
        let status = Command::new("tar").current_dir(dir.path()).args(["-xpf", "a.tar"]).status().unwrap();
        assert!(status.success());
        assert_eq!(std::fs::read(dir.path().join("otto-agent")).unwrap(), b"program");
        let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("run"), mode("otto-agent")), (0o1777, 0o755));
    }

    #[test]
    fn a_file_is_found_behind_what_is_said_about_it_and_nothing_else_is_taken_for_one() {
        let plain = Archive::default().file("summary.json", 0o644, b"{}").finish();
        assert_eq!(first_file(&plain), Some(&b"{}"[..]));
        let mut described = head("extended", b'x', 0o644, 5).to_vec();
        described.extend_from_slice(b"12345");
        described.resize(2 * BLOCK, 0);
        described.extend_from_slice(&plain);
        assert_eq!(first_file(&described), Some(&b"{}"[..]));
        assert_eq!(first_file(&head("link", b'2', 0o777, 0)), None);
        assert_eq!(first_file(&Archive::default().shared_directory("d").finish()), None);
        assert_eq!(first_file(&plain[..=BLOCK]), None, "cut");
        assert_eq!(first_file(&Archive::default().finish()), None);
        assert_eq!(first_file(b""), None);
    }
}
