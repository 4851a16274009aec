//! Native code kept in a directory, for processes that come later.
//!
//! A file holds the code of one request, is named after its key, and is written as a temporary file that
//! then gets its name, so that no reader sees half of one. What is read is copied, and the copy is
//! checked: a key that says for what it was made, and a checksum over everything. The checksum finds
//! damage; it cannot tell who wrote the file. Whoever may write to the directory can make programs run any
//! machine code, so the directory must be ours, and nobody else may write to it: others are refused.
//!
//! What is kept is bounded: when a directory is opened, the files that were written longest ago go until
//! the rest fits, and so does what writers that died have left.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use memmap2::Mmap;

use crate::compile::CompiledCode;

/// What files begin with: their form.
const MAGIC: [u8; 8] = *b"PWCODE01";
/// Bytes of a key and of a checksum.
const HASH: usize = 32;
/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The most bytes that a directory holds after it was opened.
const DIRECTORY_BYTES_MAX: u64 = 256 << 20;
/// How old a temporary file is whose writer is certainly gone.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Why kept code is not used, or was not kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is not what was written.
    #[error("{path}: ignored, for {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Others than the user of this process could put machine code into the directory.
    #[error(
        "{path}: {reason}, so others could put machine code there; a directory for kept code must be this user's, with mode 0700",
        path = path.display()
    )]
    Unguarded {
        /// The directory.
        path: PathBuf,
        /// Why others could.
        reason: String,
    },
}

/// A directory of native code.
#[derive(Debug)]
pub(crate) struct CodeStore {
    directory: PathBuf,
    /// Tells the temporary files of this process apart.
    serial: AtomicU64,
}

impl CodeStore {
    /// Opens a directory, makes it if it is not there, and makes room in it.
    pub(crate) fn open(directory: &Path) -> Result<CodeStore, StoreError> {
        let io = |error| StoreError::Io {
            path: directory.to_owned(),
            error,
        };
        create(directory).map_err(io)?;
        if let Some(reason) = danger(directory).map_err(io)? {
            return Err(StoreError::Unguarded {
                path: directory.to_owned(),
                reason,
            });
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the age of abandoned files decides nothing that a program can see"
        )]
        let now = SystemTime::now();
        prune(directory, DIRECTORY_BYTES_MAX, now).map_err(io)?;
        Ok(CodeStore {
            directory: directory.to_owned(),
            serial: AtomicU64::new(0),
        })
    }

    fn path(&self, key: &[u8; HASH]) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(name + ".pwc")
    }

    /// The code that was kept for a key, if there is some.
    pub(crate) fn read(&self, key: &[u8; HASH]) -> Result<Option<CompiledCode>, StoreError> {
        let path = self.path(key);
        let bytes = match contents(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::Io { path, error }),
        };
        match decode(key, &bytes) {
            Ok(code) => Ok(Some(code)),
            Err(reason) => Err(StoreError::Damaged { path, reason }),
        }
    }

    /// Keeps code for a key.
    pub(crate) fn write(&self, key: &[u8; HASH], code: &CompiledCode) -> Result<(), StoreError> {
        let path = self.path(key);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{serial}.tmp", std::process::id()));
        let written = File::create_new(&temporary)
            .and_then(|mut file| file.write_all(&encode(key, code)))
            .and_then(|()| std::fs::rename(&temporary, &path));
        written.map_err(|error| {
            // It may not even be there.
            let _ = std::fs::remove_file(&temporary);
            StoreError::Io { path, error }
        })
    }
}

/// Makes a directory that only its owner can use, unless it is there.
fn create(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Why others than the user of this process could write to a directory, if they could.
#[cfg(unix)]
fn danger(directory: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;

    let found = std::fs::metadata(directory)?;
    let user = rustix::process::geteuid().as_raw();
    Ok(if found.uid() != user {
        Some(format!("it belongs to user {}, not {user}", found.uid()))
    } else if found.mode() & 0o077 != 0 {
        Some(format!("its mode is {:04o}", found.mode() & 0o7777))
    } else {
        None
    })
}

/// Where directories have no such owners, native code does not run either.
#[cfg(not(unix))]
fn danger(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}

/// Removes the files that were written longest ago until the others take `bytes_max` at most, and temporary
/// files that nobody will finish. Another process may do the same: a file that is gone is no error.
fn prune(directory: &Path, bytes_max: u64, now: SystemTime) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let Ok(found) = std::fs::metadata(&path) else {
            continue;
        };
        let written = found.modified()?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pwc") => kept.push((written, found.len(), path)),
            Some("tmp") if now.duration_since(written).is_ok_and(|age| age > ABANDONED) => {
                remove(&path)?;
            }
            _ => {}
        }
    }
    kept.sort();
    let mut bytes: u64 = kept.iter().map(|(_, length, _)| length).sum();
    for (_, length, path) in kept {
        if bytes <= bytes_max {
            break;
        }
        remove(&path)?;
        bytes -= length;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A copy of a file's bytes.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(Vec::new());
    }
    if length > FILE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "too long for code"));
    }
    // SAFETY: the bytes are only copied, and it is the copy that is looked at; files are replaced by
    // others under their name, never changed.
    let map = unsafe { Mmap::map(&file) }?;
    Ok(map.to_vec())
}

fn encode(key: &[u8; HASH], code: &CompiledCode) -> Vec<u8> {
    let mut payload = Vec::with_capacity(code.bytes.len() + 64);
    payload.extend_from_slice(&code.slots.to_le_bytes());
    payload.extend_from_slice(&code.instructions.to_le_bytes());
    payload.extend_from_slice(&(code.loops.len() as u32).to_le_bytes());
    for pc in &code.loops {
        payload.extend_from_slice(&pc.to_le_bytes());
    }
    payload.extend_from_slice(&code.bytes);
    [&MAGIC[..], key, &checksum(key, &payload), &payload].concat()
}

fn decode(key: &[u8; HASH], bytes: &[u8]) -> Result<CompiledCode, &'static str> {
    let short = "it is too short";
    let (magic, rest) = bytes.split_first_chunk().ok_or(short)?;
    if *magic != MAGIC {
        return Err("it is no native code, or of another version");
    }
    let (of, rest) = rest.split_first_chunk::<HASH>().ok_or(short)?;
    if of != key {
        return Err("it is the code of something else");
    }
    let (sum, payload) = rest.split_first_chunk::<HASH>().ok_or(short)?;
    if *sum != checksum(key, payload) {
        return Err("it is damaged");
    }
    let (slots, rest) = number(payload).ok_or(short)?;
    let (instructions, rest) = number(rest).ok_or(short)?;
    let (count, mut rest) = number(rest).ok_or(short)?;
    let mut loops = Vec::new();
    for _ in 0..count {
        let (pc, after) = number(rest).ok_or(short)?;
        loops.push(pc);
        rest = after;
    }
    Ok(CompiledCode {
        bytes: rest.to_vec(),
        loops,
        slots,
        instructions,
    })
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

fn checksum(key: &[u8; HASH], payload: &[u8]) -> [u8; HASH] {
    let mut hash = blake3::Hasher::new_derive_key("physics-world kept code 1");
    hash.update(key).update(payload);
    *hash.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; HASH] = [7; HASH];

    fn store(name: &str) -> CodeStore {
        let folder = format!("pw-code-store-{}-{name}", std::process::id());
        CodeStore::open(&std::env::temp_dir().join(folder)).expect("a directory")
    }

    fn code() -> CompiledCode {
        CompiledCode {
            bytes: (0..=255).collect(),
            loops: vec![3, 90],
            slots: 12,
            instructions: 40,
        }
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let store = store("found");
        assert!(store.read(&KEY).expect("nothing is wrong").is_none());
        for _ in 0..2 {
            store.write(&KEY, &code()).expect("it can be written");
            assert_eq!(store.read(&KEY).expect("a file"), Some(code()));
        }
        assert!(store.read(&[8; HASH]).expect("nothing is wrong").is_none());
        let left = std::fs::read_dir(&store.directory)
            .expect("a directory")
            .count();
        assert_eq!(left, 1, "no temporary file is left");
        std::fs::remove_dir_all(&store.directory).expect("it was there");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let made = store("guarded").directory;
        let mode = |mode| std::fs::set_permissions(&made, PermissionsExt::from_mode(mode));
        for (bits, is_safe) in [(0o700, true), (0o770, false), (0o701, false), (0o500, true)] {
            mode(bits).expect("it is ours");
            let opened = CodeStore::open(&made);
            assert_eq!(opened.is_ok(), is_safe, "{bits:o}: {opened:?}");
        }
        std::fs::remove_dir_all(&made).expect("it was there");
    }

    #[test]
    fn the_oldest_code_makes_room_and_abandoned_files_go() {
        let store = store("pruned");
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        for age in 0..4u8 {
            let key = [age; HASH];
            store.write(&key, &code()).expect("it can be written");
            let file = File::options().append(true).open(store.path(&key));
            let when = written - Duration::from_secs(u64::from(age));
            file.and_then(|file| file.set_modified(when))
                .expect("it is ours");
        }
        let half = File::create(store.directory.join("some.tmp"));
        half.and_then(|file| file.set_modified(written))
            .expect("it can be written");
        let length = std::fs::metadata(store.path(&[0; HASH]))
            .expect("a file")
            .len();
        let names = || {
            std::fs::read_dir(&store.directory)
                .expect("it is there")
                .count()
        };
        prune(&store.directory, 2 * length, written).expect("nothing is wrong");
        assert_eq!(names(), 3, "two of four, and what may still be written");
        for (age, is_there) in [(0, true), (1, true), (2, false), (3, false)] {
            let found = store.read(&[age; HASH]).expect("nothing is wrong");
            assert_eq!(found.is_some(), is_there, "written {age} s ago");
        }
        let later = written + ABANDONED + Duration::from_secs(60);
        prune(&store.directory, 2 * length, later).expect("nothing is wrong");
        assert_eq!(names(), 2);
        std::fs::remove_dir_all(&store.directory).expect("it was there");
    }

    #[test]
    fn no_damaged_file_is_used() {
        let store = store("damaged");
        let whole = encode(&KEY, &code());
        let path = store.path(&KEY);
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("it can be written");
            matches!(store.read(&KEY), Err(StoreError::Damaged { .. }))
        };
        for length in 0..whole.len() {
            assert!(refused(&whole[..length]), "cut to {length} bytes");
        }
        for place in 0..whole.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut bytes = whole.clone();
                bytes[place] ^= bit;
                assert!(refused(&bytes), "bit {bit:#x} of byte {place}");
            }
        }
        assert!(refused(&[&whole[..], &[0]].concat()), "a byte too many");
        assert!(
            refused(&encode(&[8; HASH], &code())),
            "made for something else"
        );
        std::fs::write(&path, &whole).expect("it can be written");
        assert_eq!(store.read(&KEY).expect("a file"), Some(code()));
        std::fs::remove_dir_all(&store.directory).expect("it was there");
    }
}
