//! The height of the operand stack before each instruction.
//!
//! V2 code is free to reach an instruction with different heights. Where every path agrees, operands
//! can be registers; else, and where the world can push messages, the stack is a Vector.

use super::resolve::{Resolved, Source};

/// The highest stack kept in registers.
const HEIGHT_MAX: usize = 240;

/// For each instruction, and for the end behind the last one, the height of the stack before it;
/// `None` where control never comes.
pub(super) type Heights = Vec<Option<u16>>;

/// The heights of a function; `None` when they are not the same on all paths, too high, or changed
/// from outside.
pub(super) fn heights(source: &Source<'_>) -> Option<Heights> {
    let mut heights: Heights = vec![None; source.code.len() + 1];
    heights[0] = Some(0);
    let mut queue = vec![0];
    while let Some(ip) = queue.pop() {
        let height = usize::from(heights[ip]?);
        if ip == source.code.len() {
            continue;
        }
        let resolved = source.resolve(ip);
        if matches!(resolved, Resolved::Yield) {
            return None;
        }
        let effect = resolved.effect();
        let Some(rest) = height.checked_sub(effect.pops) else {
            continue;
        };
        let height = rest + effect.pushes;
        if height > HEIGHT_MAX {
            return None;
        }
        let next = effect.falls_through.then_some(ip + 1);
        for target in next.into_iter().chain(effect.jumps_to) {
            match heights[target] {
                None => {
                    heights[target] = Some(height as u16);
                    queue.push(target);
                }
                Some(known) if usize::from(known) == height => {}
                Some(_) => return None,
            }
        }
    }
    Some(heights)
}
