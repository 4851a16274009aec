//! The thread that writes checkpoints, and which of them are kept.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::file::{Block, BlockKind, Head, block_head};
use pw_isa::wire::Writer;
use pw_jit::CodeSpace;

use super::load::{heads_of, name_of, names_of};
use super::{Sections, SystemCheckpoint};
use crate::disk::Disk;
use crate::portable::bytes_of;

/// The name of a checkpoint that is being written.
const UNFINISHED: &str = "unfinished";
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

/// A checkpoint to be written.
struct Job {
    head: Head,
    blocks: Receiver<Block>,
}

/// What has become of the checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// The newest that was published: its ticks.
    pub(crate) newest: Option<u64>,
    /// Records before this one are not needed any more.
    pub(crate) journal: u64,
    /// Why the last one was not published, if so.
    pub(crate) error: Option<String>,
    /// Checkpoints that were published or given up.
    pub(crate) done: u64,
}

/// What writes checkpoints.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: Option<Sender<Job>>,
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
        let (jobs, incoming) = channel::<Job>();
        let published = Arc::<(Mutex<Published>, Condvar)>::default();
        let told = Arc::clone(&published);
        let builder = std::thread::Builder::new().name("pw checkpoint".to_owned());
        let thread = builder.spawn(move || {
            for job in incoming {
                let head = job.head;
                let written = AssertUnwindSafe(|| {
                    write(&*disk, settings, head, job.blocks)?;
                    retire(&*disk, settings, &mut kept, head)
                });
                let done = catch_unwind(written)
                    .unwrap_or_else(|_| Err(io::Error::other("its thread panicked")));
                let (published, changed) = &*told;
                let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
                match done {
                    Ok(journal) => {
                        published.newest = Some(head.ticks);
                        published.journal = journal;
                        published.error = None;
                    }
                    Err(error) => published.error = Some(error.to_string()),
                }
                published.done += 1;
                drop(published);
                changed.notify_all();
            }
        })?;
        Ok(Keeper {
            jobs: Some(jobs),
            published,
            thread: Some(thread),
        })
    }

    /// A checkpoint begins: where its blocks go. It is published when all have come, and given up when they end before.
    pub(crate) fn begin(&self, head: Head) -> SyncSender<Block> {
        let (to, blocks) = sync_channel(BLOCKS_WAITING);
        if let Some(jobs) = &self.jobs {
            // If the thread is gone, so is the receiver of the blocks: who sends them learns of it.
            let _ = jobs.send(Job { head, blocks });
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
    let mut blocks = vec![Block {
        kind: BlockKind::Sections,
        bytes: bytes_of(&CodeSpace::default(), &sections),
    }];
    let mut end = Writer::default();
    for (id, actor) in &state.actor_states {
        let mut out = Writer::default();
        out.varint(id.0);
        out.blob(&actor.bytes);
        let kind = BlockKind::Actors;
        blocks.push(Block {
            kind,
            bytes: out.bytes,
        });
    }
    end.varint(blocks.len() as u64);
    end.varint(state.actor_states.len() as u64);
    blocks.push(Block {
        kind: BlockKind::End,
        bytes: end.bytes,
    });
    let settings = KeeperSettings {
        kept: 1,
        syncs: false,
    };
    write(disk, settings, head, blocks)
}

/// Writes a checkpoint, and publishes it.
fn write(
    disk: &dyn Disk,
    settings: KeeperSettings,
    head: Head,
    blocks: impl IntoIterator<Item = Block>,
) -> io::Result<()> {
    let mut file = disk.create(UNFINISHED)?;
    let name = name_of(head.ticks);
    let head = head.to_bytes();
    file.write_at(0, &head)?;
    let mut offset = head.len() as u64;
    let mut is_complete = false;
    for block in blocks {
        let head = block_head(&block, offset);
        file.write_at(offset, &head)?;
        file.write_at(offset + head.len() as u64, &block.bytes)?;
        offset += (head.len() + block.bytes.len()) as u64;
        is_complete |= block.kind == BlockKind::End;
    }
    if !is_complete {
        return Err(io::Error::other("the world ended before its checkpoint"));
    }
    if settings.syncs {
        file.sync()?;
    }
    disk.rename(UNFINISHED, &name)?;
    if settings.syncs {
        disk.sync_names()?;
    }
    Ok(())
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
