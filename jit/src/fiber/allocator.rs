//! Memory of fibers that are gone, given back to the machine.
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
