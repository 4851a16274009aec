//! The thread that writes checkpoints, and which of them are kept.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::file::{Block, BlockKind, HEAD_BYTES, Head, Part, block_head};
use pw_isa::wire::Writer;
use pw_jit::CodeSpace;

use super::load::{heads_of, name_of, names_of};
use super::{Sections, SystemCheckpoint};
use crate::disk::Disk;
use crate::portable::bytes_of;

/// The name of a checkpoint that is being written.
const UNFINISHED: &str = "unfinished";
/// Bytes after which what was written is brought to the disk meanwhile.
const WRITE_BACK_BYTES: u64 = 32 << 20;
/// Blocks that may be on their way to the thread.
const BLOCKS_WAITING: usize = 16;

/// Which checkpoints are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KeeperSettings {
    /// So many, the newest; with them those that they stand on.
    pub(crate) kept: usize,
    /// Whether they are to survive the end of the machine.
    pub(crate) syncs: bool,
}

/// What has become of the checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// The newest that was published: its ticks.
    pub(crate) newest: Option<u64>,
    /// Records before this one are not needed any more.
    pub(crate) journal: u64,
    /// Why the last one was not published, or those before it are not removed, if so.
    pub(crate) error: Option<String>,
    /// Checkpoints that were published or given up.
    pub(crate) done: u64,
    /// Checkpoints that were published.
    pub(crate) count: u64,
}

impl Published {
    /// Changes it, and tells whoever waits for that.
    fn change(told: &(Mutex<Published>, Condvar), change: impl FnOnce(&mut Published)) {
        let (published, changed) = told;
        let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut published);
        drop(published);
        changed.notify_all();
    }
}

/// Does something with the disk; a panic is an error.
fn unless_it_panics<T>(act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
}

/// What writes checkpoints.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: Option<Sender<Receiver<Part>>>,
    published: Arc<(Mutex<Published>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// A keeper of the checkpoints of a directory.
    ///
    /// # Errors
    /// Those of the disk, and when there is no thread for it.
    pub(crate) fn new(disk: Arc<dyn Disk>, settings: KeeperSettings) -> io::Result<Keeper> {
        let mut kept = heads_of(&*disk)?;
        let (jobs, incoming) = channel::<Receiver<Part>>();
        let published = Arc::<(Mutex<Published>, Condvar)>::default();
        let told = Arc::clone(&published);
        let builder = std::thread::Builder::new().name("pw checkpoint".to_owned());
        let thread = builder.spawn(move || {
            for parts in incoming {
                let written = unless_it_panics(|| write(&*disk, settings, parts));
                Published::change(&told, |published| {
                    published.error = written.as_ref().err().map(ToString::to_string);
                    if let Ok(head) = &written {
                        published.newest = Some(head.ticks);
                        published.count += 1;
                    }
                    published.done += 1;
                });
                let Ok(head) = written else { continue };
                // Nobody waits until they are gone, which takes long when they are large.
                let retired = unless_it_panics(|| retire(&*disk, settings, &mut kept, head));
                Published::change(&told, |published| match retired {
                    Ok(journal) => published.journal = journal,
                    Err(error) => {
                        published.error = Some(format!("older ones cannot be removed: {error}"));
                    }
                });
            }
        })?;
        Ok(Keeper {
            jobs: Some(jobs),
            published,
            thread: Some(thread),
        })
    }

    /// A checkpoint begins: where its parts go. It is published when the last has come, and given up when they end before.
    pub(crate) fn begin(&self) -> SyncSender<Part> {
        let (to, parts) = sync_channel(BLOCKS_WAITING);
        if let Some(jobs) = &self.jobs {
            // If the thread is gone, so is the receiver of the parts: who sends them learns of it.
            let _ = jobs.send(parts);
        }
        to
    }

    /// What has become of the checkpoints so far.
    pub(crate) fn published<T>(&self, look: impl FnOnce(&Published) -> T) -> T {
        look(
            &self
                .published
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Waits until so many checkpoints were published or given up; why the last one was not published, if so.
    pub(crate) fn wait(&self, done: u64) -> Option<String> {
        let (published, changed) = &*self.published;
        let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
        while published.done < done {
            let waited = changed.wait(published);
            published = waited.unwrap_or_else(PoisonError::into_inner);
        }
        published.error.clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}

/// Writes a checkpoint of everything into a directory whose journal begins behind it.
pub(crate) fn write_whole(disk: &dyn Disk, state: &SystemCheckpoint) -> io::Result<()> {
    let head = Head {
        ticks: state.timestamp,
        journal: 0,
        outputs: 0,
        base: None,
    };
    let sections = Sections {
        programs: state.global_state.programs.clone(),
        system: state.global_state.bytes.clone(),
        capabilities: state.capability_state.bytes.clone(),
    };
    let mut parts = vec![Part::Block(Block {
        kind: BlockKind::Sections,
        bytes: bytes_of(&CodeSpace::default(), &sections),
    })];
    let mut end = Writer::default();
    for (id, actor) in &state.actor_states {
        let mut out = Writer::default();
        out.varint(id.0);
        out.blob(&actor.bytes);
        let kind = BlockKind::Actors;
        parts.push(Part::Block(Block {
            kind,
            bytes: out.bytes,
        }));
    }
    end.varint(parts.len() as u64);
    end.varint(state.actor_states.len() as u64);
    let end = Block {
        kind: BlockKind::End,
        bytes: end.bytes,
    };
    parts.push(Part::End(head, end));
    let settings = KeeperSettings {
        kept: 1,
        syncs: false,
    };
    write(disk, settings, parts).map(drop)
}

/// Writes a checkpoint, and publishes it.
fn write(
    disk: &dyn Disk,
    settings: KeeperSettings,
    parts: impl IntoIterator<Item = Part>,
) -> io::Result<Head> {
    let mut file = disk.create(UNFINISHED)?;
    let mut offset = HEAD_BYTES as u64;
    let mut said = None;
    for part in parts {
        let block = match part {
            Part::Block(block) => block,
            Part::End(head, block) => {
                said = Some(head);
                block
            }
        };
        let head = block_head(&block, offset)?;
        file.write_at(offset, &head)?;
        file.write_at(offset + head.len() as u64, &block.bytes)?;
        let before = offset;
        offset += (head.len() + block.bytes.len()) as u64;
        if settings.syncs && before / WRITE_BACK_BYTES < offset / WRITE_BACK_BYTES {
            file.write_back();
        }
    }
    let Some(head) = said else {
        return Err(io::Error::other("the world ended before its checkpoint"));
    };
    file.write_at(0, &head.to_bytes())?;
    if settings.syncs {
        file.sync()?;
    }
    disk.rename(UNFINISHED, &name_of(head.ticks))?;
    if settings.syncs {
        disk.sync_names()?;
    }
    Ok(head)
}

/// Removes checkpoints that are not kept any more; the first record of the journal that is still needed.
fn retire(
    disk: &dyn Disk,
    settings: KeeperSettings,
    kept: &mut Vec<Head>,
    new: Head,
) -> io::Result<u64> {
    kept.retain(|head| head.ticks < new.ticks);
    kept.push(new);
    // What the newest stand on stays, and everything between.
    let first = kept.len().saturating_sub(settings.kept.max(1));
    let mut needed = kept[first].ticks;
    for head in kept[first..].iter().chain(kept[..first].iter().rev()) {
        if head.ticks >= needed
            && let Some(base) = head.base
        {
            needed = needed.min(base);
        }
    }
    for ticks in names_of(disk)? {
        if ticks < needed {
            disk.remove(&name_of(ticks))?;
        }
    }
    kept.retain(|head| head.ticks >= needed);
    let journals = kept.iter().map(|head| head.journal);
    Ok(journals.min().unwrap_or(new.journal))
}
