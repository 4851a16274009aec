//! What is asked of the allocator: memory of fibers that are gone, given back to the machine, and memory for many that are made.
//!
//! An allocator keeps what is freed for whoever needs some next. When a million fibers went out of memory, nobody does.

/// Has the allocator give back to the machine what it holds and nobody uses. It takes time in proportion to that. With an allocator other than
/// the GNU C library's, which may do so by itself, nothing happens.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(kept: usize) -> core::ffi::c_int;
        }
        // SAFETY: it may be called at any time on any thread, and touches only memory that nobody has.
        let _ = unsafe { malloc_trim(0) };
    }
}

/// Bytes that are taken from the machine at once: fewer than make the allocator of the GNU C library tidy up, or give them back again.
const ROOM_BYTES: usize = 60 << 10;

/// Has the allocator take memory from the machine for what is made next, if that is small. The GNU C library's would take it page by page,
/// with a system call for each, on any thread but the first.
pub fn make_room() {
    // What is free again at once stays with the thread.
    std::hint::black_box(Vec::<u8>::with_capacity(ROOM_BYTES));
}
