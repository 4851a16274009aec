//! Images that were once written load for ever. `tests/images/v<version>` holds images, the programs they
//! belong to as they were then, and the results they end with. `PW_BLESS=1` writes what is missing for the
//! current version; what is there is never written again.

use std::fs;
use std::path::PathBuf;

use pw_jit::fiber::image::VERSION;
use pw_jit::reference::Outcome;
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber};
use testkit::fibers::{self, PROGRAMS, SHORT};

fn file(version: u16, name: &str) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/images"));
    folder.join(format!("v{version}")).join(name)
}

/// Reads a file, which is written first if it is missing and may be.
fn kept(version: u16, name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = file(version, name);
    if version == VERSION && !path.exists() && std::env::var_os("PW_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        fs::write(&path, make()).expect("it can be written");
    }
    fs::read(&path).unwrap_or_else(|_| panic!("PW_BLESS=1 makes {}", path.display()))
}

/// The image of a program in the middle of its run.
fn sample(name: &str) -> Vec<u8> {
    let code = fibers::code();
    let mut fiber = fibers::start(&code, name);
    for _ in 0..70 {
        assert!(
            fibers::step(&mut fiber, &code).is_none(),
            "{name} is longer"
        );
    }
    fiber.to_image(&code)
}

/// The first version in which there is an image of a program.
fn since(name: &str) -> u16 {
    if name == "sandboxes" { 2 } else { 1 }
}

fn result(fiber: &mut Fiber, code: &CodeSpace) -> String {
    match fibers::run_to_end(fiber, code) {
        Outcome::Done(value) => value_text(fiber.heap(code), value, Style::Quoted),
        other => panic!("{other:?}"),
    }
}

#[test]
fn images_of_every_version_load_and_end_as_they_did() {
    for version in 1..=VERSION {
        let mut code = CodeSpace::default();
        let was_known = |name: &str| version >= since(name);
        for (name, source) in PROGRAMS.into_iter().filter(|(name, _)| was_known(name)) {
            let source = kept(version, &format!("{name}.pwa"), || source.into());
            fibers::load(&mut code, std::str::from_utf8(&source).expect("a text"));
        }
        for name in SHORT.into_iter().filter(|name| was_known(name)) {
            let image = kept(version, &format!("{name}.image"), || sample(name));
            let mut fiber = Fiber::from_image(&code, &image, 1 << 20).expect("it loads");
            let found = result(&mut fiber, &code);
            let expected = kept(version, &format!("{name}.result"), || found.clone().into());
            assert_eq!(found.as_bytes(), expected, "{name} of version {version}");
        }
    }
}

#[test]
fn the_current_version_writes_the_same_bytes_as_ever() {
    for (name, source) in PROGRAMS.iter().filter(|(name, _)| SHORT.contains(name)) {
        let same_program = fs::read(file(VERSION, &format!("{name}.pwa"))).expect("it is kept");
        if same_program == source.as_bytes() {
            let kept = fs::read(file(VERSION, &format!("{name}.image"))).expect("it is kept");
            assert!(
                kept == sample(name),
                "{name}: another format needs another version"
            );
        }
    }
}
