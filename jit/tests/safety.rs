//! What `docs/SAFETY.md` says about this crate.

#[test]
fn the_crate_has_no_unsafe_code() {
    let root = include_str!("../src/lib.rs");
    assert!(root.contains("#![forbid(unsafe_code)]"));
}
