//! Bundles: a part of a history in one file, with everything that is needed to see it again on another machine.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `PWBU` |
//! | 2 | version |
//! | 32 | hash of the rest |
//! | | names and contents of files, as blobs |

use std::sync::Arc;

use pw_isa::wire::{DecodeError, Decoded, Reader, Writer};

use super::Replay;
use crate::checkpoint::{RecoveryError, write_whole};
use crate::disk::{Disk, MemoryDisk, read_all};
use crate::journal::Journal;

const MAGIC: [u8; 4] = *b"PWBU";
const VERSION: u16 = 1;

/// A part of a history in one file.
#[derive(Debug)]
pub struct Bundle;

impl Bundle {
    /// The directory that a bundle is.
    ///
    /// # Errors
    /// What is wrong with the bytes, and where.
    pub fn open(bytes: &[u8]) -> Decoded<MemoryDisk> {
        let mut input = Reader::new(bytes);
        if input.take(4)? != MAGIC {
            return Err(input.error("not a bundle: it does not start with PWBU"));
        }
        let version = input.u16()?;
        if version != VERSION {
            return Err(input.error(format!("version {version}; this reader knows {VERSION}")));
        }
        let hash = input.hash()?;
        let start = input.offset();
        if hash != *blake3::hash(&bytes[start..]).as_bytes() {
            return Err(input.error("the bundle is damaged"));
        }
        let disk = MemoryDisk::default();
        while input.remaining() > 0 {
            let name = input.text()?;
            let content = input.blob()?;
            let written = disk
                .create(name)
                .and_then(|mut file| file.write_at(0, content));
            written.map_err(|error| DecodeError {
                offset: input.offset(),
                what: error.to_string(),
            })?;
        }
        Ok(disk)
    }

    pub(super) fn close(disk: &MemoryDisk) -> std::io::Result<Vec<u8>> {
        let mut content = Writer::default();
        for name in disk.list()? {
            content.text(&name);
            content.blob(&read_all(disk, &name)?);
        }
        let mut out = Writer::default();
        out.bytes.extend_from_slice(&MAGIC);
        out.u16(VERSION);
        let hash = blake3::hash(&content.bytes);
        out.bytes.extend_from_slice(hash.as_bytes());
        out.bytes.extend_from_slice(&content.bytes);
        Ok(out.bytes)
    }
}

impl Replay {
    /// The history from a tick to another in one file: the state, the programs and the inputs.
    ///
    /// # Errors
    /// When the history does not know a tick, or cannot be used.
    pub fn bundle(&mut self, from: u64, to: u64) -> Result<Vec<u8>, RecoveryError> {
        self.go_to(to)?;
        self.go_to(from)?;
        let failed = |error| RecoveryError::Disk {
            what: "the bundle".to_owned(),
            error,
        };
        let disk = MemoryDisk::default();
        write_whole(&disk, &self.to_checkpoint()).map_err(failed)?;
        let mut journal = Journal::begin(Arc::new(disk.clone()), 0).map_err(failed)?;
        self.copy_records(&mut journal, to)?;
        journal.finish().map_err(failed)?;
        Bundle::close(&disk).map_err(failed)
    }
}
