//! Segments: the pieces of a large arena, collected one by one.

/// How often the objects of a segment have survived a collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Age {
    /// Never: objects are allocated here.
    New,
    /// Once.
    Survived,
    /// At least twice: they stay in place.
    Old,
    /// No objects: free to be used again.
    Free,
}

/// What is known about a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) age: Age,
    /// Words in use from the segment's start, live or dead; counted when it is closed.
    pub(super) used: usize,
    /// Words found live by the last collection.
    pub(super) live: usize,
    /// The running collection moves its objects away.
    pub(super) evacuating: bool,
    /// Native code has taken room here for objects that it did not have to write, so that what lies between the
    /// objects that values name cannot be walked through.
    pub(super) has_gaps: bool,
}

impl Segment {
    pub(super) fn new(age: Age) -> Segment {
        Segment {
            age,
            used: 0,
            live: 0,
            evacuating: false,
            has_gaps: false,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.age == Age::Free
    }
}
