//! From a tape or a program that shows a fault to a small program that shows it.

use pw_isa::builder::with_label;
use pw_isa::program::Function;

use crate::generate::{Generated, generate};

/// Attempts to make a tape smaller.
const ATTEMPTS_MAX: u32 = 4_000;

/// The smallest tape found, and then the smallest program, for which `fails` still holds.
pub fn shrink(tape: &[u8], mut fails: impl FnMut(&Generated) -> bool) -> Generated {
    let tape = smaller_tape(tape, |tape| fails(&generate(tape)));
    smaller_program(generate(&tape), fails)
}

/// Leaves out chunks, halves bytes, until nothing more can be left out.
pub fn smaller_tape(tape: &[u8], mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = tape.to_vec();
    let mut attempts = 0;
    loop {
        let before = best.clone();
        let mut size = best.len().max(1);
        while size > 0 {
            let mut start = 0;
            while start < best.len() && attempts < ATTEMPTS_MAX {
                attempts += 1;
                let end = (start + size).min(best.len());
                let shorter = [&best[..start], &best[end..]].concat();
                if fails(&shorter) {
                    best = shorter;
                } else {
                    start = end;
                }
            }
            size /= 2;
        }
        for at in 0..best.len() {
            for smaller in [0, best[at] / 2, best[at].saturating_sub(1)] {
                attempts += 1;
                let mut other = best.clone();
                other[at] = smaller;
                if smaller < best[at] && fails(&other) {
                    best = other;
                }
            }
        }
        if best == before || attempts >= ATTEMPTS_MAX {
            return best;
        }
    }
}

/// Leaves out instructions and handlers one by one, until none can be left out. What `fails` is asked
/// about need not verify any more.
pub fn smaller_program(
    mut best: Generated,
    mut fails: impl FnMut(&Generated) -> bool,
) -> Generated {
    // Names of registers and lines would not fit any more.
    for debug in &mut best.program.debug.functions {
        debug.variables.clear();
        debug.lines.clear();
    }
    loop {
        let before = best.program.clone();
        for number in 0..best.program.functions.len() {
            for step in (0..parts(&best.program.functions[number])).rev() {
                let mut other = best.clone();
                leave_out(&mut other.program.functions[number], step);
                if fails(&other) {
                    best = other;
                }
            }
        }
        if best.program == before {
            return best;
        }
    }
}

/// Instructions and handlers.
fn parts(function: &Function) -> usize {
    function.code.len() + function.handlers.len()
}

fn leave_out(function: &mut Function, part: usize) {
    let count = function.code.len();
    if part >= count {
        function.handlers.remove(part - count);
        return;
    }
    let moved = |target: u32| target - u32::from(target as usize > part);
    function.code.remove(part);
    if !function.gas.is_empty() {
        function.gas.remove(part);
    }
    for op in &mut function.code {
        *op = with_label(*op, moved);
    }
    for handler in &mut function.handlers {
        handler.start = moved(handler.start);
        handler.end = moved(handler.end);
        handler.target = moved(handler.target);
    }
}
