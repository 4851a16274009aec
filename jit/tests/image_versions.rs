//! Images that were once written load for ever: `tests/images/v<version>/<name>.image`, each beside nothing
//! but the programs of the testkit. `PW_BLESS=1` writes those of the current version that are missing.

use std::fs;
use std::path::PathBuf;

use pw_jit::Fiber;
use pw_jit::fiber::image::VERSION;
use pw_jit::reference::Outcome;
use pw_jit::text::{Style, value_text};
use testkit::fibers::{self, SHORT};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/images"))
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

#[test]
fn images_of_every_version_load_and_go_on() {
    let code = fibers::code();
    let mut loaded = 0;
    for version in 1..=VERSION {
        for name in SHORT {
            let path = folder().join(format!("v{version}/{name}.image"));
            if version == VERSION && !path.exists() && std::env::var_os("PW_BLESS").is_some() {
                fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
                fs::write(&path, sample(name)).expect("it can be written");
            }
            let image =
                fs::read(&path).unwrap_or_else(|_| panic!("PW_BLESS=1 makes {}", path.display()));
            let mut fiber = Fiber::from_image(&code, &image, 1 << 20).expect("it loads");
            let mut whole = fibers::start(&code, name);
            let results =
                [&mut fiber, &mut whole].map(|fiber| match fibers::run_to_end(fiber, &code) {
                    Outcome::Done(value) => value_text(fiber.heap(&code), value, Style::Quoted),
                    other => panic!("{name} of version {version}: {other:?}"),
                });
            assert_eq!(results[0], results[1], "{name} of version {version}");
            loaded += 1;
        }
    }
    assert!(loaded >= SHORT.len());
}

#[test]
fn the_current_version_writes_the_same_bytes_as_ever() {
    for name in SHORT {
        let path = folder().join(format!("v{VERSION}/{name}.image"));
        let kept = fs::read(&path).expect("images of the current version are kept");
        assert!(
            kept == sample(name),
            "{name}: a change of the format needs a new version"
        );
    }
}
