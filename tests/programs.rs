//! Programs that state their result and their gas, run in every mode: one program, one truth.
//!
//! A program is a file `*.jue` or `*.pwa` below `tests/programs`. The comment lines at its head say how
//! it is run and what must come of it:
//!
//! ```text
//! ; What the program is about.
//! ;! run 10 "two words"        a run with these arguments, as on the command line
//! ;! gas-limit 5_000           for this run; before the first `run`: only for that one
//! ;! memory-limit 65_536       logical bytes
//! ;! depth-limit 1_000         frames
//! ;> prints hello              one for each printed line
//! ;> result (1 2 3)            the value, as `pw run` shows it …
//! ;> error Kind: message       … or the error that nobody caught,
//! ;> in main (errors/x.jue:7)  and where it happened
//! ;> gas 1234                  gas used, exactly
//! ```
//!
//! A file without `;! run` is run once, without arguments. Results were found by other means than
//! this engine; gas is what the engine takes, and changes only with the compiler or the cost table.
//!
//! | command | what it does |
//! |---|---|
//! | `cargo test --test programs` | runs every program in every mode |
//! | `cargo test --test programs images` | one mode |
//! | `PW_PROGRAM=kernels/ cargo test --test programs` | programs whose names contain this |
//! | `PW_BLESS=1 cargo test --test programs` | writes what was observed into the files; `PW_BLESS=gas` only gas. Read the difference before you commit it |

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use physics_world::isa::Opcode;
use support::modes::{self, Mode, Observed};
use support::program_file::{self, ProgramFile};

/// A program and what the reference interpreter makes of its cases.
struct Known {
    file: ProgramFile,
    observed: Vec<Observed>,
}

static PROGRAMS: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let filter = std::env::var("PW_PROGRAM").unwrap_or_default();
    let files = program_file::find(&folder, &filter);
    assert!(!files.is_empty(), "no program has a name with `{filter}`");
    let known = files.into_iter().map(|file| {
        let observed = modes::run(&file, &modes::REFERENCE, None);
        Known { file, observed }
    });
    known.collect()
});

/// Runs every program whose number leaves this rest, and compares with the reference.
fn agree(mode: &Mode, parts: usize, part: usize) {
    let programs = PROGRAMS.iter().skip(part).step_by(parts);
    let wrong: Vec<String> = programs
        .flat_map(|known| differences(known, mode))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn differences(known: &Known, mode: &Mode) -> Vec<String> {
    let name = &known.file.name;
    let found = modes::run(&known.file, mode, Some(&known.observed));
    let pairs = known
        .observed
        .iter()
        .zip(&found)
        .filter(|(expected, found)| expected != found);
    pairs
        .map(|(expected, found)| {
            let (expected, found) = (expected.text(), found.text());
            format!(
                "{name} in mode `{}`\n-- reference\n{expected}\n-- found\n{found}",
                mode.name
            )
        })
        .collect()
}

#[test]
fn programs_do_what_they_state() {
    let bless = std::env::var("PW_BLESS").ok();
    let mut wrong = Vec::new();
    for Known { file, observed } in PROGRAMS.iter() {
        let stated = file.cases.iter().map(|case| case.expected.clone());
        let found: Vec<Vec<String>> = match bless.as_deref() {
            Some("gas") => stated
                .zip(observed)
                .map(|(stated, found)| with_gas(stated, found))
                .collect(),
            _ => observed
                .iter()
                .map(|observed| observed.lines.clone())
                .collect(),
        };
        if bless.is_some() {
            file.bless(&found);
        }
        for (case, observed) in file.cases.iter().zip(observed) {
            if bless.is_none() && case.expected != observed.lines {
                let (run, stated) = (case.arguments.join(" "), case.expected.join("\n"));
                let found = observed.text();
                wrong.push(format!(
                    "{} run {run}\n-- stated\n{stated}\n-- found\n{found}",
                    file.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What a case states, with the gas that was found.
fn with_gas(mut stated: Vec<String>, found: &Observed) -> Vec<String> {
    stated.retain(|line| !line.starts_with("gas "));
    stated.extend(
        found
            .lines
            .iter()
            .filter(|line| line.starts_with("gas "))
            .cloned(),
    );
    stated
}

#[test]
fn slices_of_7() {
    agree(&modes::SLICES_7, 1, 0);
}

#[test]
fn slices_of_1009() {
    agree(&modes::SLICES_1009, 1, 0);
}

#[test]
fn images_of_even_programs() {
    agree(&modes::IMAGES, 2, 0);
}

#[test]
fn images_of_odd_programs() {
    agree(&modes::IMAGES, 2, 1);
}

#[test]
fn compact_even_programs() {
    agree(&modes::COMPACT, 2, 0);
}

#[test]
fn compact_odd_programs() {
    agree(&modes::COMPACT, 2, 1);
}

#[test]
fn rewritten_programs() {
    agree(&modes::REWRITTEN, 1, 0);
}

#[test]
fn other_secrets() {
    agree(&modes::SECRETS, 1, 0);
}

#[test]
fn interp() {
    agree(&modes::INTERP, 1, 0);
}

#[test]
fn interp_slices_of_7() {
    agree(&modes::INTERP_SLICES_7, 1, 0);
}

#[test]
fn interp_slices_of_1009() {
    agree(&modes::INTERP_SLICES_1009, 1, 0);
}

#[test]
fn interp_images_of_even_programs() {
    agree(&modes::INTERP_IMAGES, 2, 0);
}

#[test]
fn interp_images_of_odd_programs() {
    agree(&modes::INTERP_IMAGES, 2, 1);
}

#[test]
fn interp_pages_of_even_programs() {
    agree(&modes::INTERP_PAGES, 2, 0);
}

#[test]
fn interp_pages_of_odd_programs() {
    agree(&modes::INTERP_PAGES, 2, 1);
}

#[test]
fn jit_pages() {
    agree(&modes::JIT_PAGES, 1, 0);
}

#[test]
fn every_instruction_occurs_in_assembly() {
    let assembly = PROGRAMS
        .iter()
        .filter(|known| known.file.name.ends_with(".pwa"));
    let functions = assembly.flat_map(|known| &known.file.program.functions);
    let used: BTreeSet<&str> = functions
        .flat_map(|function| &function.code)
        .map(|op| op.info().mnemonic)
        .collect();
    // Module `v2` is what V2 code becomes; the V2 vectors run it.
    let missing: Vec<&str> = Opcode::all()
        .map(|(_, info)| info.mnemonic)
        .filter(|mnemonic| !mnemonic.starts_with("v2-") && !used.contains(mnemonic))
        .collect();
    let filtered = std::env::var_os("PW_PROGRAM").is_some();
    assert!(
        filtered || missing.is_empty(),
        "no program uses {missing:?}"
    );
}

#[test]
fn jit() {
    agree(&modes::JIT, 1, 0);
}

#[test]
fn jit_background() {
    agree(&modes::JIT_BACKGROUND, 1, 0);
}

#[test]
fn jit_leaving_at_every_3rd_exit() {
    agree(&modes::JIT_LEAVING[0], 1, 0);
}

#[test]
fn jit_leaving_at_every_61st_exit() {
    agree(&modes::JIT_LEAVING[1], 1, 0);
}

#[test]
fn jit_slices_of_1009() {
    agree(&modes::JIT_SLICES_1009, 1, 0);
}

#[test]
fn jit_images_of_even_programs() {
    agree(&modes::JIT_IMAGES, 2, 0);
}

#[test]
fn jit_images_of_odd_programs() {
    agree(&modes::JIT_IMAGES, 2, 1);
}

#[test]
fn memo() {
    agree(&modes::MEMO[0], 1, 0);
}

#[test]
fn memo_slices_of_1009() {
    agree(&modes::MEMO[1], 1, 0);
}

#[test]
fn memo_jit() {
    agree(&modes::MEMO[2], 1, 0);
}

#[test]
fn memo_jit_slices_of_1009() {
    agree(&modes::MEMO[3], 1, 0);
}

#[test]
fn jit_without_inline() {
    agree(&modes::WITHOUT[0], 2, 0);
}

#[test]
fn jit_without_hoist() {
    agree(&modes::WITHOUT[1], 2, 1);
}

#[test]
fn jit_without_elide() {
    agree(&modes::WITHOUT[2], 2, 0);
}

#[test]
fn jit_without_osr() {
    agree(&modes::WITHOUT[3], 2, 1);
}

#[test]
fn jit_without_caches() {
    agree(&modes::WITHOUT[4], 2, 0);
}
