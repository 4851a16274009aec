//! What things cost: gas for work of variable size, logical sizes of objects, growth of buffers,
//! and when a collection happens.
//!
//! These numbers are part of the language: every tier computes them the same, whatever it really
//! does, so that a limit trips at the same instruction everywhere. Logical sizes are in bytes and
//! have nothing to do with how a tier lays objects out.

use crate::op::Work;

/// Gas for `amount` units of work, on top of the instruction's fixed gas.
pub const fn work_gas(work: Work, amount: u64) -> u64 {
    match work {
        Work::None => 0,
        Work::Bytes => amount / 64,
        Work::Elements => amount / 8,
        Work::Nodes => amount / 4,
    }
}

/// Gas that a collection charges to the instruction that caused it: for the objects found live and
/// the stack, in bytes.
pub const fn collection_gas(live_bytes: u64) -> u64 {
    live_bytes / 64
}

/// A collection happens when an instruction allocates and would bring what was allocated since the last
/// one beyond this, unless nothing was; `live_bytes` are the objects found live then and the stack as it
/// is now.
pub const fn collection_threshold(live_bytes: u64) -> u64 {
    if live_bytes < COLLECTION_MIN_BYTES {
        COLLECTION_MIN_BYTES
    } else {
        live_bytes
    }
}

/// The least that is allocated between two collections.
pub const COLLECTION_MIN_BYTES: u64 = 256 * 1024;

/// A slot of the stack: a register, or the header of a frame.
pub const SLOT_BYTES: u64 = 16;
/// A pair.
pub const PAIR_BYTES: u64 = 24;
/// A cell.
pub const CELL_BYTES: u64 = 16;
/// An Error, its message and values apart.
pub const ERROR_BYTES: u64 = 40;
/// A Capability, its name and parameter apart.
pub const CAPABILITY_BYTES: u64 = 40;
/// A vector, its buffer apart.
pub const VECTOR_BYTES: u64 = 32;
/// A map, its buffer apart.
pub const MAP_BYTES: u64 = 40;
/// Bytes, their buffer apart.
pub const BYTES_BYTES: u64 = 24;
/// What every buffer takes on top of its capacity.
pub const BUFFER_BYTES: u64 = 16;
/// A place in the buffer of a map: key, value and the share of the index.
pub const MAP_ENTRY_BYTES: u64 = 48;
/// A string or symbol of more than [`TEXT_INLINE_MAX`] bytes, its buffer apart.
pub const LONG_TEXT_BYTES: u64 = 24;
/// The longest text without a buffer of its own, in bytes.
pub const TEXT_INLINE_MAX: u64 = 64;

/// A closure with this many captured values.
pub const fn closure_bytes(captures: u64) -> u64 {
    16 + SLOT_BYTES * captures
}

/// A text of at most [`TEXT_INLINE_MAX`] bytes.
pub const fn short_text_bytes(len: u64) -> u64 {
    16 + len.next_multiple_of(8)
}

/// A text of this length that was not made by appending.
pub const fn text_bytes(len: u64) -> u64 {
    if len <= TEXT_INLINE_MAX {
        short_text_bytes(len)
    } else {
        LONG_TEXT_BYTES + BUFFER_BYTES + len
    }
}

/// The buffer of a vector with room for `capacity` elements of `element` bytes (8 flat, 16 otherwise).
pub const fn vector_buffer_bytes(capacity: u64, element: u64) -> u64 {
    if capacity == 0 {
        0
    } else {
        BUFFER_BYTES + capacity * element
    }
}

/// The buffer of a map with room for `capacity` entries.
pub const fn map_buffer_bytes(capacity: u64) -> u64 {
    if capacity == 0 {
        0
    } else {
        BUFFER_BYTES + capacity * MAP_ENTRY_BYTES
    }
}

/// The capacity that a full vector or map grows to.
pub const fn grown_capacity(capacity: u64) -> u64 {
    if capacity < 4 { 4 } else { capacity * 2 }
}

/// The capacity of a string's buffer that must grow to hold `len` bytes.
pub const fn grown_text_capacity(len: u64) -> u64 {
    len * 2
}

/// A frame with this many registers, its header included. Windows overlap: the stack's size is the
/// highest slot of the newest frame, which this bounds from above.
pub const fn frame_slots(registers: u64) -> u64 {
    1 + registers
}

/// The most elements a vector or map holds, and the most bytes a string or Bytes.
pub const LENGTH_MAX: u64 = u32::MAX as u64;
