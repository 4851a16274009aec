//! The threads that write checkpoints and remove older ones, and which of them are kept.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    /// Why the last one was not published, if so.
    error: Option<String>,
    /// Checkpoints that were published or given up.
    pub(crate) done: u64,
    /// Those that were published and behind which older ones were removed, if there were any.
    pub(crate) settled: u64,
    /// Why older ones could not be removed behind the last one that was published, if so.
    left: Option<String>,
    /// Checkpoints that were published.
    pub(crate) count: u64,
}

impl Published {
    /// Why the last one was not published, or those before it are still there, if so.
    pub(crate) fn error(&self) -> Option<String> {
        let left = self.left.as_ref();
        let left = left.map(|error| format!("older ones cannot be removed: {error}"));
        self.error.clone().or(left)
    }

    fn note_written(&mut self, written: &io::Result<Head>) {
        self.error = written.as_ref().err().map(ToString::to_string);
        if let Ok(head) = written {
            self.newest = Some(head.ticks);
            self.count += 1;
        }
        self.done += 1;
    }

    fn note_retired(&mut self, retired: io::Result<u64>) {
        self.left = retired.as_ref().err().map(ToString::to_string);
        if let Ok(journal) = retired {
            self.journal = journal;
        }
        self.settled += 1;
    }
}

/// What has become of the checkpoints, for all threads.
#[derive(Debug, Default)]
struct Told {
    published: Mutex<Published>,
    changed: Condvar,
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, and tells whoever waits for that.
    fn change(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait_while(&self, is_early: impl Fn(&Published) -> bool) -> MutexGuard<'_, Published> {
        self.changed
            .wait_while(self.lock(), |published| is_early(published))
            .unwrap_or_else(PoisonError::into_inner)
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
    published: Arc<Told>,
    /// The one that writes them, and the one that removes older ones: nobody waits for that, and it takes long when they are large.
    threads: Option<[JoinHandle<()>; 2]>,
}

impl Keeper {
    /// A keeper of the checkpoints of a directory.
    ///
    /// # Errors
    /// Those of the disk, and when there is no thread for it.
    pub(crate) fn new(disk: Arc<dyn Disk>, settings: KeeperSettings) -> io::Result<Keeper> {
        let mut kept = heads_of(&*disk)?;
        let (jobs, incoming) = channel::<Receiver<Part>>();
        let (behind, heads) = channel();
        let published = Arc::<Told>::default();
        let (told, of) = (Arc::clone(&published), Arc::clone(&disk));
        let builder = std::thread::Builder::new().name("pw retire".to_owned());
        let remover = builder.spawn(move || {
            for head in heads {
                let retired = unless_it_panics(|| retire(&*of, settings, &mut kept, head));
                told.change(|published| published.note_retired(retired));
            }
        })?;
        let told = Arc::clone(&published);
        let builder = std::thread::Builder::new().name("pw checkpoint".to_owned());
        // Without it the other thread ends, too: nothing will come.
        let writer = builder.spawn(move || {
            for parts in incoming {
                let written = unless_it_panics(|| write(&*disk, settings, parts));
                told.change(|published| published.note_written(&written));
                if let Ok(head) = written {
                    // If that thread is gone, they stay.
                    let _ = behind.send(head);
                }
            }
        })?;
        Ok(Keeper {
            jobs: Some(jobs),
            published,
            threads: Some([writer, remover]),
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
        look(&self.published.lock())
    }

    /// Waits until so many checkpoints were published or given up; why the last one was not published, if so.
    pub(crate) fn wait(&self, done: u64) -> Option<String> {
        let published = self.published.wait_while(|of| of.done < done);
        published.error.clone()
    }

    /// Waits until nothing is removed any more behind what was published so far.
    pub(crate) fn settle(&self) {
        drop(self.published.wait_while(|of| of.settled < of.count));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.take().into_iter().flatten() {
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

#[cfg(test)]
mod tests {
    use super::super::load::infos;
    use super::*;
    use crate::disk::{DiskFile, MemoryDisk};

    /// Blocks of one actor each, and the last of all.
    fn parts(ticks: u64, actors: u64) -> Vec<Part> {
        let blocks = (1..=actors).map(|id| {
            let mut out = Writer::default();
            out.varint(id);
            out.blob(&[7; 3]);
            Part::Block(Block {
                kind: BlockKind::Actors,
                bytes: out.bytes,
            })
        });
        let mut end = Writer::default();
        end.varint(actors);
        end.varint(actors);
        let head = Head {
            ticks,
            journal: 0,
            outputs: 0,
            base: None,
        };
        let last = Block {
            kind: BlockKind::End,
            bytes: end.bytes,
        };
        blocks.chain([Part::End(head, last)]).collect()
    }

    const SETTINGS: KeeperSettings = KeeperSettings {
        kept: 1,
        syncs: false,
    };

    /// What is wrong with the only checkpoint of a directory, on any number of threads.
    fn flaw(disk: &MemoryDisk) -> Option<String> {
        let flaws = |threads| {
            let (infos, flaws) = infos(disk, threads);
            assert_eq!(infos.len() + flaws.len(), 1);
            flaws.into_iter().next().map(|flaw| flaw.what)
        };
        assert_eq!(flaws(1), flaws(7));
        flaws(1)
    }

    #[test]
    fn the_first_damaged_block_is_told_wherever_it_is_and_whatever_says_where_the_next_one_is() {
        // More than are told at once, of 42 bytes, or 43 with a longer number.
        let disk = MemoryDisk::default();
        write(&disk, SETTINGS, parts(5, 1_500)).expect("memory");
        assert_eq!(flaw(&disk), None);
        let place = |block: u64| HEAD_BYTES as u64 + block * 42 + block.saturating_sub(127);
        let damaged = |changes: &[(u64, u8)]| {
            let copy = disk.copy();
            let mut file = copy.open(&name_of(5)).expect("it is there");
            for (at, change) in changes {
                let mut byte = [0];
                file.read_at(*at, &mut byte).expect("memory");
                file.write_at(*at, &[byte[0] ^ change]).expect("memory");
            }
            flaw(&copy).expect("it is damaged")
        };
        let end_instead = BlockKind::Actors as u8 ^ BlockKind::End as u8;
        for block in [0, 1, 700, 1_023, 1_024, 1_025, 1_499] {
            let at = place(block);
            let damage = format!("a block is damaged (byte {at})");
            let unfinished = format!("the checkpoint was not finished (byte {at})");
            // Its kind, its length, that it is much longer than the file, its hash, and its content.
            for change in [
                (at, 1),
                (at, end_instead),
                (at + 1, 1),
                (at + 5, 1),
                (at + 40, 1),
            ] {
                assert_eq!(damaged(&[change]), damage, "block {block}, {change:?}");
                let behind = (place(1_499) + 38, 1);
                if block < 1_499 {
                    assert_eq!(
                        damaged(&[change, behind]),
                        damage,
                        "block {block}, {change:?}"
                    );
                }
            }
            assert_eq!(damaged(&[(at + 4, 0x40)]), unfinished, "block {block}");
        }
    }

    /// A disk on which nothing is removed until somebody says so, or on which it fails.
    #[derive(Debug)]
    struct Slow {
        disk: MemoryDisk,
        may_remove: Mutex<Receiver<io::Result<()>>>,
    }

    impl Disk for Slow {
        fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
            self.disk.create(name)
        }
        fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
            self.disk.open(name)
        }
        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.disk.rename(from, to)
        }
        fn remove(&self, name: &str) -> io::Result<()> {
            let may = self.may_remove.lock().expect("nobody panicked").recv();
            may.map_err(io::Error::other)??;
            self.disk.remove(name)
        }
        fn list(&self) -> io::Result<Vec<String>> {
            self.disk.list()
        }
        fn sync_names(&self) -> io::Result<()> {
            self.disk.sync_names()
        }
    }

    #[test]
    fn nobody_waits_for_what_is_removed_and_what_cannot_be_removed_is_said() {
        let (say, may_remove) = channel();
        let disk = MemoryDisk::default();
        let slow = Slow {
            disk: disk.clone(),
            may_remove: Mutex::new(may_remove),
        };
        let keeper = Keeper::new(Arc::new(slow), SETTINGS).expect("a thread");
        let keep = |ticks| {
            let to = keeper.begin();
            for part in parts(ticks, 3) {
                to.send(part).expect("it is taken");
            }
        };
        keep(1);
        assert_eq!(keeper.wait(1), None);
        keeper.settle();
        keep(2);
        // It is published while the first is still there.
        assert_eq!(keeper.wait(2), None);
        let settled = || keeper.published(|published| (published.done, published.settled));
        assert_eq!(settled(), (2, 1));
        assert_eq!(disk.list().expect("memory"), [1, 2].map(name_of));
        say.send(Err(io::Error::other("no"))).expect("it waits");
        keeper.settle();
        assert_eq!(keeper.wait(2), None);
        let error = keeper.published(Published::error);
        assert_eq!(error.as_deref(), Some("older ones cannot be removed: no"));
        // Nor do the next ones wait.
        keep(3);
        keep(4);
        assert_eq!(keeper.wait(4), None);
        assert_eq!(settled(), (4, 2));
        assert_eq!(disk.list().expect("memory"), [1, 2, 3, 4].map(name_of));
        for _ in 1..4 {
            say.send(Ok(())).expect("it waits");
        }
        keeper.settle();
        assert_eq!(keeper.published(Published::error), None);
        assert_eq!(disk.list().expect("memory"), [name_of(4)]);
    }
}
