//! Says how the engine is built: whether calls at the end of functions become jumps, which the fast
//! interpreter relies on for speed and optimised builds do; and a name for the whole, so that native code
//! kept by another build, which could rely on other layouts, costs or rules, is not used.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What decides how the sources are built.
const SETTINGS: [&str; 4] = ["TARGET", "OPT_LEVEL", "PROFILE", "DEBUG"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(pw_threaded)");
    let optimised = env::var("OPT_LEVEL").is_ok_and(|level| level != "0");
    let interpreted = env::var_os("CARGO_CFG_MIRI").is_some();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if optimised && !interpreted && ["x86_64", "aarch64"].contains(&arch.as_str()) {
        println!("cargo::rustc-cfg=pw_threaded");
    }
    println!("cargo::rustc-env=PW_JIT_BUILD={:016x}", build_name());
}

/// A hash of the sources and of how they are built.
fn build_name() -> u64 {
    let mut files = Vec::new();
    for folder in ["src", "isa/src"] {
        println!("cargo::rerun-if-changed={folder}");
        sources(Path::new(folder), &mut files);
    }
    files.sort();
    let mut hash = DefaultHasher::new();
    for file in &files {
        let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        hash.write(file.to_string_lossy().as_bytes());
        hash.write(&text);
    }
    for setting in SETTINGS {
        hash.write(env::var(setting).unwrap_or_default().as_bytes());
    }
    hash.finish()
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder of sources can be read").path();
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push(path);
        }
    }
}
