//! What `docs/SAFETY.md` says about this crate.

use std::fs;
use std::path::Path;

/// Files with unsafe code below a folder.
fn unsafe_files(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            unsafe_files(&path, found);
        } else {
            let source = fs::read_to_string(&path).expect("a source file");
            if source.contains("unsafe {") || source.contains("unsafe fn") {
                found.push(path.display().to_string().replace('\\', "/"));
            }
        }
    }
}

#[test]
fn unsafe_code_stands_where_the_document_says() {
    let root = include_str!("../src/lib.rs");
    assert!(root.contains("#![deny(unsafe_code)]"));
    assert_eq!(root.matches("unsafe_code,").count(), 2);
    let mut found = Vec::new();
    unsafe_files(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut found,
    );
    assert!(
        found.iter().all(|path| {
            path.contains("/src/interp/")
                || path.ends_with("/src/tier/native.rs")
                || path.ends_with("/src/tier/perf.rs")
                || path.ends_with("/src/tier/routines.rs")
                || path.ends_with("/src/code/store.rs")
                || path.ends_with("/src/fiber/allocator.rs")
                || path.ends_with("/src/fiber/hibernate.rs")
                || path.ends_with("/src/fiber/arena/raw.rs")
                || path.ends_with("/src/fiber/arena/raw/elements.rs")
                || path.ends_with("/src/fiber/arena/raw/maps.rs")
                || path.ends_with("/src/fiber/arena/raw/texts.rs")
        }),
        "{found:?}"
    );
}
