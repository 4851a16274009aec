//! A bounded byte arena for embedding programs: tagged objects, precise collection, measured
//! fragmentation, and defragmentation that no pointer notices.
//!
//! An object is a header of 8 bytes and its data, rounded up to 8. A [`HeapPtr`] is the object's
//! *birth address*: where it would stand if nothing had ever been reclaimed. The arena knows where
//! each object really is, so that moving one changes no pointer, and no pointer is ever reused before
//! [`ObjectArena::reset`]. What an object refers to is told with [`ObjectArena::set_references`],
//! never guessed from its bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::HeapPtr;

/// The tag of closures.
pub const TAG_CLOSURE: u8 = 1;
/// The tag of lists, which are pairs.
pub const TAG_LIST: u8 = 2;
/// The tag of pairs.
pub const TAG_PAIR: u8 = 2;
/// The tag of vectors.
pub const TAG_VECTOR: u8 = 3;
/// The tag of strings.
pub const TAG_STRING: u8 = 4;

/// Bytes of a header.
const HEADER_BYTES: u32 = 8;
/// The share of dead bytes above which defragmenting is worth it, unless set otherwise.
const THRESHOLD_DEFAULT: f32 = 0.3;

/// Why an allocation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArenaError {
    /// The object does not fit.
    #[error("Arena is full (capacity {capacity}, requested {requested})")]
    ArenaFull {
        /// Bytes of the arena.
        capacity: u32,
        /// Bytes that the object takes with its header.
        requested: u32,
    },
}

/// What stands before each object's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectHeader {
    /// Bytes of data.
    pub size: u32,
    /// The kind of object.
    pub tag: u8,
    /// Whether the object was marked since the last collection.
    pub marked: bool,
}

impl ObjectHeader {
    /// Bytes of a header.
    pub const fn size_bytes() -> usize {
        HEADER_BYTES as usize
    }
}

/// What a defragmentation did.
#[derive(Debug, Clone, PartialEq)]
pub struct DefragmentationResult {
    /// Objects that now stand elsewhere.
    pub objects_moved: usize,
    /// Bytes that can be allocated again.
    pub bytes_reclaimed: u32,
    /// The share of dead bytes before.
    pub fragmentation_before: f32,
    /// The share of dead bytes after.
    pub fragmentation_after: f32,
    /// Milliseconds it took.
    pub time_taken_ms: u64,
}

#[derive(Debug, Clone)]
struct Object {
    header: ObjectHeader,
    /// Bytes of data, whatever the header is made to say.
    size: u32,
    offset: u32,
    references: Vec<HeapPtr>,
}

impl Object {
    fn total_bytes(&self) -> u32 {
        HEADER_BYTES + self.size.next_multiple_of(8)
    }
}

/// The arena.
#[derive(Debug, Clone)]
pub struct ObjectArena {
    storage: Vec<u8>,
    capacity: u32,
    next_free: u32,
    next_birth: u32,
    live_bytes: u32,
    /// Objects by birth address, which is also the order in which they stand.
    objects: BTreeMap<HeapPtr, Object>,
    threshold: f32,
    auto_defragment: bool,
}

impl ObjectArena {
    /// An arena of this many bytes. Memory is taken as objects are allocated.
    pub fn with_capacity(capacity: u32) -> ObjectArena {
        ObjectArena::with_capacity_and_settings(capacity, THRESHOLD_DEFAULT, true)
    }

    /// An arena with its own settings; see [`ObjectArena::set_defragmentation_settings`].
    pub fn with_capacity_and_settings(
        capacity: u32,
        threshold: f32,
        auto_defragment: bool,
    ) -> ObjectArena {
        ObjectArena {
            storage: Vec::new(),
            capacity,
            next_free: 0,
            next_birth: 0,
            live_bytes: 0,
            objects: BTreeMap::new(),
            threshold: threshold.clamp(0.0, 1.0),
            auto_defragment,
        }
    }

    /// Allocates an object of `size` bytes, all zero.
    ///
    /// # Errors
    /// When it does not fit behind the objects that are there, dead ones included, or when no pointer
    /// is left to name it.
    pub fn allocate(&mut self, size: u32, tag: u8) -> Result<HeapPtr, ArenaError> {
        let requested = size
            .checked_next_multiple_of(8)
            .and_then(|size| size.checked_add(HEADER_BYTES))
            .unwrap_or(u32::MAX);
        let full = ArenaError::ArenaFull {
            capacity: self.capacity,
            requested,
        };
        let end = self.next_free.checked_add(requested);
        let birth_end = self.next_birth.checked_add(requested);
        let (Some(end), Some(birth_end)) = (end, birth_end) else {
            return Err(full);
        };
        if end > self.capacity {
            return Err(full);
        }
        let pointer = HeapPtr(self.next_birth);
        self.storage.truncate(self.next_free as usize);
        self.storage.resize(end as usize, 0);
        self.objects.insert(
            pointer,
            Object {
                header: ObjectHeader {
                    size,
                    tag,
                    marked: false,
                },
                size,
                offset: self.next_free,
                references: Vec::new(),
            },
        );
        self.next_free = end;
        self.next_birth = birth_end;
        self.live_bytes += requested;
        Ok(pointer)
    }

    /// Forgets all objects.
    pub fn reset(&mut self) {
        self.storage.clear();
        self.objects.clear();
        self.next_free = 0;
        self.next_birth = 0;
        self.live_bytes = 0;
    }

    /// The header of an object; `None` when the pointer names none.
    pub fn get_header(&self, pointer: HeapPtr) -> Option<&ObjectHeader> {
        self.objects.get(&pointer).map(|object| &object.header)
    }

    /// The header of an object, to change it. Writing another size there does not resize the object.
    pub fn get_header_mut(&mut self, pointer: HeapPtr) -> Option<&mut ObjectHeader> {
        self.objects
            .get_mut(&pointer)
            .map(|object| &mut object.header)
    }

    /// The bytes of an object; `None` when the pointer names none.
    pub fn get_data(&self, pointer: HeapPtr) -> Option<&[u8]> {
        let range = self.data_range(pointer)?;
        Some(&self.storage[range])
    }

    /// The bytes of an object, to change them.
    pub fn get_data_mut(&mut self, pointer: HeapPtr) -> Option<&mut [u8]> {
        let range = self.data_range(pointer)?;
        Some(&mut self.storage[range])
    }

    fn data_range(&self, pointer: HeapPtr) -> Option<std::ops::Range<usize>> {
        let object = self.objects.get(&pointer)?;
        let start = (object.offset + HEADER_BYTES) as usize;
        Some(start..start + object.size as usize)
    }

    /// Says which objects an object refers to: they live as long as it does.
    pub fn set_references(&mut self, pointer: HeapPtr, references: &[HeapPtr]) -> bool {
        match self.objects.get_mut(&pointer) {
            Some(object) => {
                object.references = references.to_vec();
                true
            }
            None => false,
        }
    }

    /// Keeps an object, and what it refers to, through the next collection.
    pub fn mark_object(&mut self, pointer: HeapPtr) -> bool {
        match self.objects.get_mut(&pointer) {
            Some(object) => {
                object.header.marked = true;
                true
            }
            None => false,
        }
    }

    /// Whether an object was marked since the last collection.
    pub fn is_marked(&self, pointer: HeapPtr) -> bool {
        self.get_header(pointer).is_some_and(|header| header.marked)
    }

    /// Bytes that objects take, dead ones included: where the next object will stand.
    pub fn next_free(&self) -> u32 {
        self.next_free
    }

    /// Bytes of the arena.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Ends the lives of all objects that no root and no marked object leads to, and gives how many
    /// bytes they took. Nothing moves; their bytes are reclaimed by [`ObjectArena::defragment`], which
    /// follows at once when settings and fragmentation ask for it.
    pub fn collect_garbage(&mut self, roots: &[HeapPtr]) -> u32 {
        let mut reached = BTreeSet::new();
        let marked = self
            .objects
            .iter()
            .filter(|(_, object)| object.header.marked)
            .map(|(pointer, _)| *pointer);
        let mut open: Vec<HeapPtr> = roots.iter().copied().chain(marked).collect();
        while let Some(pointer) = open.pop() {
            if let Some(object) = self.objects.get(&pointer)
                && reached.insert(pointer)
            {
                open.extend(&object.references);
            }
        }
        self.objects.retain(|pointer, object| {
            object.header.marked = false;
            reached.contains(pointer)
        });
        let live: u32 = self.objects.values().map(Object::total_bytes).sum();
        let freed = self.live_bytes - live;
        self.live_bytes = live;
        if self.should_defragment() {
            self.defragment();
        }
        freed
    }

    /// Moves the objects together, so that the bytes of dead ones can be allocated again. Pointers
    /// stay what they were.
    pub fn defragment(&mut self) -> DefragmentationResult {
        let started = Instant::now();
        let fragmentation_before = self.fragmentation_ratio();
        let (mut next, mut objects_moved) = (0, 0);
        for object in self.objects.values_mut() {
            let total = object.total_bytes();
            if object.offset != next {
                let from = object.offset as usize;
                self.storage
                    .copy_within(from..from + total as usize, next as usize);
                object.offset = next;
                objects_moved += 1;
            }
            next += total;
        }
        let bytes_reclaimed = self.next_free - next;
        self.next_free = next;
        self.storage.truncate(next as usize);
        DefragmentationResult {
            objects_moved,
            bytes_reclaimed,
            fragmentation_before,
            fragmentation_after: self.fragmentation_ratio(),
            time_taken_ms: started.elapsed().as_millis() as u64,
        }
    }

    /// Whether the settings ask for a defragmentation now.
    pub fn should_defragment(&self) -> bool {
        self.auto_defragment && self.fragmentation_ratio() > self.threshold
    }

    /// Dead bytes as a share of all bytes that objects take; 0 when there are none.
    pub fn fragmentation_ratio(&self) -> f32 {
        if self.next_free == 0 {
            0.0
        } else {
            (self.next_free - self.live_bytes) as f32 / self.next_free as f32
        }
    }

    /// The share of dead bytes above which defragmenting is worth it, and whether collections do it by
    /// themselves.
    pub fn get_defragmentation_settings(&self) -> (f32, bool) {
        (self.threshold, self.auto_defragment)
    }

    /// Changes what [`ObjectArena::get_defragmentation_settings`] gives; the share is clamped to 0..1.
    pub fn set_defragmentation_settings(&mut self, threshold: f32, auto_defragment: bool) {
        self.threshold = threshold.clamp(0.0, 1.0);
        self.auto_defragment = auto_defragment;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_stand_one_behind_the_other() {
        let mut arena = ObjectArena::with_capacity(64);
        let first = arena.allocate(1, TAG_STRING).unwrap();
        let second = arena.allocate(16, TAG_PAIR).unwrap();
        let third = arena.allocate(0, TAG_VECTOR).unwrap();
        assert_eq!(
            (first, second, third),
            (HeapPtr(0), HeapPtr(16), HeapPtr(40))
        );
        assert_eq!((arena.next_free(), arena.capacity()), (48, 64));
        assert_eq!(ObjectHeader::size_bytes(), 8);
        let header = arena.get_header(second).unwrap();
        assert_eq!((header.size, header.tag), (16, TAG_LIST));
        assert_eq!(arena.get_data(second), Some(&[0; 16][..]));
        arena.get_data_mut(first).unwrap()[0] = 7;
        assert_eq!(arena.get_data(first), Some(&[7][..]));
        let header = arena.get_header_mut(third).unwrap();
        (header.tag, header.size) = (TAG_CLOSURE, 1000);
        assert_eq!(arena.get_data(third), Some(&[][..]));
        assert_eq!(arena.get_header(third).unwrap().tag, TAG_CLOSURE);
    }

    #[test]
    fn an_object_that_exactly_fits_is_the_last() {
        let mut arena = ObjectArena::with_capacity(32);
        arena.allocate(24, TAG_PAIR).unwrap();
        let full = |requested| ArenaError::ArenaFull {
            capacity: 32,
            requested,
        };
        assert_eq!(arena.allocate(0, TAG_PAIR), Err(full(8)));
        assert_eq!(arena.allocate(u32::MAX, TAG_PAIR), Err(full(u32::MAX)));
        assert_eq!(
            full(8).to_string(),
            "Arena is full (capacity 32, requested 8)"
        );
        arena.reset();
        assert_eq!(arena.next_free(), 0);
        assert_eq!(arena.allocate(0, TAG_PAIR), Ok(HeapPtr(0)));
    }

    #[test]
    fn pointers_that_name_nothing_give_nothing() {
        let mut arena = ObjectArena::with_capacity(64);
        arena.allocate(8, TAG_PAIR).unwrap();
        let nowhere = HeapPtr(8);
        assert!(arena.get_header(nowhere).is_none());
        assert!(arena.get_data(nowhere).is_none());
        assert!(arena.get_data_mut(nowhere).is_none());
        assert!(!arena.mark_object(nowhere));
        assert!(!arena.is_marked(nowhere));
        assert!(!arena.set_references(nowhere, &[]));
        assert!(arena.get_header_mut(nowhere).is_none());
        assert_eq!(arena.collect_garbage(&[nowhere]), 16);
    }

    #[test]
    fn collection_keeps_what_roots_and_marks_lead_to() {
        let mut arena = ObjectArena::with_capacity_and_settings(1024, 0.3, false);
        let objects: Vec<HeapPtr> = (0..5)
            .map(|_| arena.allocate(3, TAG_PAIR).unwrap())
            .collect();
        arena.set_references(objects[0], &[objects[2]]);
        arena.set_references(objects[2], &[objects[0]]);
        assert!(arena.mark_object(objects[4]));
        assert!(arena.is_marked(objects[4]));
        assert_eq!(arena.collect_garbage(&[objects[0]]), 32);
        assert!(!arena.is_marked(objects[4]));
        assert!(arena.get_data(objects[2]).is_some());
        assert!(arena.get_data(objects[1]).is_none());
        assert_eq!(arena.fragmentation_ratio(), 32.0 / 80.0);
        assert_eq!(arena.next_free(), 80);
        // What was only marked is gone next time.
        assert_eq!(arena.collect_garbage(&[objects[0]]), 16);
    }

    #[test]
    fn defragmentation_moves_objects_and_changes_no_pointer() {
        let mut arena = ObjectArena::with_capacity_and_settings(1024, 0.3, false);
        let objects: Vec<HeapPtr> = (0..4)
            .map(|number| {
                let pointer = arena.allocate(5, TAG_STRING).unwrap();
                arena.get_data_mut(pointer).unwrap().fill(number);
                pointer
            })
            .collect();
        arena.collect_garbage(&[objects[1], objects[3]]);
        let result = arena.defragment();
        assert_eq!((result.objects_moved, result.bytes_reclaimed), (2, 32));
        assert_eq!(result.fragmentation_before, 0.5);
        assert_eq!(result.fragmentation_after, 0.0);
        assert!(result.time_taken_ms < 1000);
        assert_eq!(arena.next_free(), 32);
        assert_eq!(arena.get_data(objects[1]), Some(&[1; 5][..]));
        assert_eq!(arena.get_data(objects[3]), Some(&[3; 5][..]));
        let new = arena.allocate(1, TAG_STRING).unwrap();
        assert!(!objects.contains(&new));
        assert_eq!(arena.get_data(new), Some(&[0][..]));
        // Without a collection nothing is dead, so nothing is lost.
        assert_eq!(arena.defragment().bytes_reclaimed, 0);
    }

    #[test]
    fn collections_defragment_by_themselves_above_the_threshold() {
        let mut arena = ObjectArena::with_capacity(1024);
        assert_eq!(arena.get_defragmentation_settings(), (0.3, true));
        arena.allocate(8, TAG_PAIR).unwrap();
        let kept = arena.allocate(8, TAG_PAIR).unwrap();
        arena.set_defragmentation_settings(0.6, true);
        arena.collect_garbage(&[kept]);
        assert_eq!(arena.next_free(), 32);
        assert!(!arena.should_defragment());
        arena.set_defragmentation_settings(7.0, true);
        assert_eq!(arena.get_defragmentation_settings(), (1.0, true));
        arena.set_defragmentation_settings(0.2, true);
        assert!(arena.should_defragment());
        arena.collect_garbage(&[kept]);
        assert_eq!(arena.next_free(), 16);
    }
}
