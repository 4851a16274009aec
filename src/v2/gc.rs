//! A second heap, for objects that only the embedding program uses. No instruction reaches it.
//!
//! Objects are found by [`GcPtr`]s that stay valid until a collection finds them unreachable from
//! the roots; a pointer is never given to another object.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{GcPtr, Value};

/// An object of the heap.
#[derive(Debug, Clone, PartialEq)]
pub enum GcObject {
    /// Code with the values it refers to.
    Closure {
        /// What the embedding program calls the code.
        code_ptr: usize,
        /// The values, by number.
        environment: BTreeMap<usize, Value>,
    },
    /// Values in order.
    Array(Vec<Value>),
}

impl GcObject {
    fn references(&self) -> Vec<GcPtr> {
        let pointer = |value: &Value| match value {
            Value::GcPtr(pointer) => Some(*pointer),
            _ => None,
        };
        match self {
            GcObject::Closure { environment, .. } => {
                environment.values().filter_map(pointer).collect()
            }
            GcObject::Array(elements) => elements.iter().filter_map(pointer).collect(),
        }
    }
}

/// An object that stays, with all it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcRoot {
    /// The object.
    pub ptr: GcPtr,
    /// Why it stays.
    pub description: String,
}

/// What collections did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GcStats {
    /// Collections.
    pub collections: u32,
    /// Objects that they freed.
    pub objects_collected: u32,
    /// Milliseconds that they took.
    pub total_time_millis: u64,
    /// Milliseconds of the longest.
    pub max_pause_time_millis: u64,
}

/// The heap.
#[derive(Debug, Clone, Default)]
pub struct GarbageCollector {
    objects: BTreeMap<GcPtr, GcObject>,
    roots: Vec<GcRoot>,
    next: usize,
    allocation_threshold: usize,
    allocations_since_last_gc: usize,
    stats: GcStats,
}

impl GarbageCollector {
    /// A heap that collects after every `allocation_threshold` allocations; 0 means never.
    pub fn new(allocation_threshold: usize) -> GarbageCollector {
        GarbageCollector {
            allocation_threshold,
            ..GarbageCollector::default()
        }
    }

    /// Adds an object. When a collection is due it comes first, so that the new object survives it.
    pub fn allocate(&mut self, object: GcObject) -> GcPtr {
        if self.allocation_threshold > 0
            && self.allocations_since_last_gc >= self.allocation_threshold
        {
            let references = object.references();
            self.collect_keeping(&references);
        }
        self.allocations_since_last_gc += 1;
        let pointer = GcPtr(self.next);
        self.next += 1;
        self.objects.insert(pointer, object);
        pointer
    }

    /// The object that a pointer names.
    pub fn get(&self, pointer: GcPtr) -> Option<&GcObject> {
        self.objects.get(&pointer)
    }

    /// Keeps an object, and all it refers to.
    pub fn add_root(&mut self, ptr: GcPtr, description: &str) {
        self.roots.push(GcRoot {
            ptr,
            description: description.to_owned(),
        });
    }

    /// No longer keeps an object for its own sake.
    pub fn remove_root(&mut self, ptr: GcPtr) {
        self.roots.retain(|root| root.ptr != ptr);
    }

    /// The roots.
    pub fn roots(&self) -> &[GcRoot] {
        &self.roots
    }

    /// How many objects there are.
    pub fn object_count(&self) -> usize {
        self.objects.len()
    }

    /// What collections did so far.
    pub fn stats(&self) -> GcStats {
        self.stats
    }

    /// Frees every object that no root leads to.
    pub fn collect(&mut self) {
        self.collect_keeping(&[]);
    }

    fn collect_keeping(&mut self, kept: &[GcPtr]) {
        let started = Instant::now();
        let mut reached = std::collections::BTreeSet::new();
        let mut open: Vec<GcPtr> = self.roots.iter().map(|root| root.ptr).collect();
        open.extend(kept);
        while let Some(pointer) = open.pop() {
            if let Some(object) = self.objects.get(&pointer)
                && reached.insert(pointer)
            {
                open.extend(object.references());
            }
        }
        let before = self.objects.len();
        self.objects.retain(|pointer, _| reached.contains(pointer));
        let pause = started.elapsed().as_millis() as u64;
        self.stats.collections += 1;
        self.stats.objects_collected += (before - self.objects.len()) as u32;
        self.stats.total_time_millis += pause;
        self.stats.max_pause_time_millis = self.stats.max_pause_time_millis.max(pause);
        self.allocations_since_last_gc = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(elements: &[Value]) -> GcObject {
        GcObject::Array(elements.to_vec())
    }

    #[test]
    fn what_a_root_leads_to_stays_under_its_pointer() {
        let mut heap = GarbageCollector::new(0);
        let dead = heap.allocate(array(&[]));
        let inner = heap.allocate(array(&[Value::Int(1)]));
        let outer = heap.allocate(GcObject::Closure {
            code_ptr: 7,
            environment: BTreeMap::from([(0, Value::GcPtr(inner))]),
        });
        heap.add_root(outer, "test");
        heap.collect();
        assert_eq!(heap.get(dead), None);
        assert_eq!(heap.get(inner), Some(&array(&[Value::Int(1)])));
        assert_eq!(heap.roots()[0].description, "test");
        heap.remove_root(outer);
        heap.collect();
        assert_eq!(heap.object_count(), 0);
        assert_eq!(heap.stats().collections, 2);
        assert_eq!(heap.stats().objects_collected, 3);
        let new = heap.allocate(array(&[]));
        assert!(![dead, inner, outer].contains(&new));
    }

    #[test]
    fn a_collection_that_is_due_spares_the_new_object_and_what_it_refers_to() {
        let mut heap = GarbageCollector::new(2);
        let first = heap.allocate(array(&[]));
        let second = heap.allocate(array(&[]));
        let third = heap.allocate(array(&[Value::GcPtr(second)]));
        assert_eq!(heap.get(first), None);
        assert!(heap.get(second).is_some());
        assert!(heap.get(third).is_some());
    }
}
